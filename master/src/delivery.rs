//! What travels from a cluster to the sinks, and how its sender learns what became of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use heapster_shared::{event::Event, row::RowBatch, tick::Tick};
use tokio::sync::oneshot;

/// Something for the sinks; shared by all of them and never changed.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Rows of one cluster.
    Rows(Arc<RowBatch>),
    /// Events of one cluster.
    Events(Arc<EventBatch>),
    /// A round of one cluster is over; nothing more comes for the tick, late rows apart.
    RoundEnd {
        /// The cluster's name.
        cluster: Arc<str>,
        /// The tick of the round.
        tick: Tick,
    },
}

/// Events of one cluster.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

/// What became of a payload, by the worst that any required sink says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Outcome {
    /// Every required sink has it.
    #[default]
    Delivered,
    /// A required sink could not take it now: send it again later.
    Retry {
        /// Which sink, and why.
        reason: String,
    },
    /// A required sink will never take it.
    Rejected {
        /// Which sink, and why.
        reason: String,
    },
}

/// A payload's way back to its sender. The router gives a clone to each required sink, which
/// settles it; when the last clone is gone the sender gets the [`Outcome`]. A clone that is dropped
/// unsettled, because its sink died, counts as [`Outcome::Retry`].
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    settled: bool,
}

#[derive(Debug)]
struct Inner {
    worst: Mutex<Outcome>,
    sender: Mutex<Option<oneshot::Sender<Outcome>>>,
    holders: AtomicU64,
}

impl Ticket {
    /// A ticket, and where its outcome will be.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        let inner = Inner {
            worst: Mutex::default(),
            sender: Mutex::new(Some(sender)),
            holders: AtomicU64::new(1),
        };
        (Self { inner: Arc::new(inner), settled: false }, receiver)
    }

    /// Says what became of the payload here.
    pub fn settle(mut self, outcome: Outcome) {
        self.record(outcome);
    }

    fn record(&mut self, outcome: Outcome) {
        self.settled = true;
        let mut worst = lock(&self.inner.worst);
        if severity(&outcome) > severity(&worst) {
            *worst = outcome;
        }
    }
}

/// Nothing panics while it holds one of these locks, and each leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn severity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Rejected { .. } => 1,
        Outcome::Retry { .. } => 2,
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Self {
        self.inner.holders.fetch_add(1, Ordering::Relaxed);
        Self { inner: Arc::clone(&self.inner), settled: false }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.record(Outcome::Retry {
                reason: "a sink stopped before it took the batch".into(),
            });
        }
        if self.inner.holders.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let sender = lock(&self.inner.sender).take();
        let outcome = std::mem::take(&mut *lock(&self.inner.worst));
        if let Some(sender) = sender {
            // The sender may have gone: then nobody wants to know.
            let _ = sender.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected() -> Outcome {
        Outcome::Rejected { reason: "no".into() }
    }

    #[test]
    fn the_worst_verdict_wins_when_all_are_in() {
        let (ticket, mut outcome) = Ticket::new();
        let second = ticket.clone();
        ticket.settle(Outcome::Delivered);
        assert!(outcome.try_recv().is_err());
        second.settle(rejected());
        assert_eq!(outcome.try_recv().unwrap(), rejected());
    }

    /// Otherwise a crash of a sink would acknowledge what it had not written.
    #[test]
    fn a_sink_that_dies_asks_for_the_batch_again() {
        let (ticket, mut outcome) = Ticket::new();
        let second = ticket.clone();
        ticket.settle(rejected());
        drop(second);
        assert!(matches!(outcome.try_recv().unwrap(), Outcome::Retry { .. }));
    }
}
