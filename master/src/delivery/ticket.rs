//! A payload's way back to its sender.

use std::{
    fmt::Debug,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use super::Outcome;
use crate::core::sink_set::SinkSet;

/// Told what becomes of a payload at each sink, before its sender is.
pub trait Watch: Send + Sync + Debug {
    /// What became of it at these sinks.
    fn settled(&self, sinks: SinkSet, outcome: &Outcome);
    /// No more will be told: what was not settled never will be.
    fn ended(&self);
}

/// A payload's way back to its sender. The router makes one for each required sink, which settles
/// it; when the last one is gone the sender gets the [`Outcome`]. One that is dropped unsettled,
/// because its sink died, counts as [`Outcome::Retry`].
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    /// Whom it speaks for.
    sinks: SinkSet,
    settled: bool,
}

#[derive(Debug)]
struct Inner {
    worst: Mutex<Outcome>,
    sender: Mutex<Option<oneshot::Sender<Outcome>>>,
    watch: Option<Arc<dyn Watch>>,
    holders: AtomicU64,
}

impl Ticket {
    /// A ticket, and where its outcome will be.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Outcome>) {
        Self::make(None)
    }

    /// A ticket of which somebody else is told too, sink by sink.
    #[must_use]
    pub fn watched(watch: Arc<dyn Watch>) -> (Self, oneshot::Receiver<Outcome>) {
        Self::make(Some(watch))
    }

    fn make(watch: Option<Arc<dyn Watch>>) -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        let inner = Inner {
            worst: Mutex::default(),
            sender: Mutex::new(Some(sender)),
            watch,
            holders: AtomicU64::new(1),
        };
        (Self { inner: Arc::new(inner), sinks: SinkSet::ALL, settled: false }, receiver)
    }

    /// The ticket of one of the sinks.
    #[must_use]
    pub fn of(&self, sink: SinkSet) -> Self {
        self.inner.holders.fetch_add(1, Ordering::Relaxed);
        Self { inner: Arc::clone(&self.inner), sinks: sink, settled: false }
    }

    /// Says what became of the payload here.
    pub fn settle(mut self, outcome: Outcome) {
        self.record(outcome);
    }

    /// Leaves it to the tickets that were made of this one.
    pub fn leave(mut self) {
        self.settled = true;
    }

    fn record(&mut self, outcome: Outcome) {
        self.settled = true;
        if let Some(watch) = &self.inner.watch {
            watch.settled(self.sinks, &outcome);
        }
        lock(&self.inner.worst).worsen(outcome);
    }
}

/// Nothing panics while it holds one of these locks, and each leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Some(watch) = &self.inner.watch {
            watch.ended();
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
        let (first, second) = (ticket.of(SinkSet::one(0)), ticket.of(SinkSet::one(1)));
        ticket.leave();
        first.settle(Outcome::Delivered);
        assert!(outcome.try_recv().is_err());
        second.settle(rejected());
        assert_eq!(outcome.try_recv().unwrap(), rejected());
    }

    /// Otherwise a crash of a sink would acknowledge what it had not written.
    #[test]
    fn a_sink_that_dies_asks_for_the_batch_again() {
        let (ticket, mut outcome) = Ticket::new();
        let second = ticket.of(SinkSet::one(0));
        ticket.settle(rejected());
        drop(second);
        assert!(matches!(outcome.try_recv().unwrap(), Outcome::Retry { .. }));
    }

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Watch for Heard {
        fn settled(&self, sinks: SinkSet, outcome: &Outcome) {
            let said = format!("{} {outcome:?}", sinks.has(SinkSet::one(1)));
            lock(&self.0).push(said);
        }

        fn ended(&self) {
            lock(&self.0).push("ended".into());
        }
    }

    /// Whoever keeps the books has it all before the sender can act on it.
    #[test]
    fn a_watch_hears_of_each_sink_before_the_sender_does() {
        let heard = Arc::new(Heard::default());
        let (ticket, mut outcome) = Ticket::watched(Arc::clone(&heard) as Arc<dyn Watch>);
        let (first, second) = (ticket.of(SinkSet::one(0)), ticket.of(SinkSet::one(1)));
        ticket.leave();
        second.settle(Outcome::Delivered);
        assert_eq!(*lock(&heard.0), ["true Delivered"]);
        first.settle(Outcome::Delivered);
        assert_eq!(lock(&heard.0)[1..], ["false Delivered", "ended"]);
        assert_eq!(outcome.try_recv().unwrap(), Outcome::Delivered);
    }
}
