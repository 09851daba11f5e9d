//! What became of the frames of one instance of a buddy, known to all of its streams.
//!
//! A frame that was delivered before a cut, or is still on its way to a sink, comes again when the
//! buddy has reconnected; so does one that a required sink could not take. It is routed to those
//! sinks only that neither have it nor hold it (see [`Cursors`]), and answered when all have it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapster_shared::Map;
use tokio::sync::oneshot;

pub use crate::core::cursors::Admission;
use crate::{
    core::{cursors::Cursors, sink_set::SinkSet},
    delivery::{Outcome, Ticket, Watch},
};

/// The frames of one instance of a buddy.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cursors: Cursors,
    /// Who waits until nobody holds a frame any more.
    waiting: Map<u64, Vec<oneshot::Sender<()>>>,
}

impl Ledger {
    /// The ledger of an instance that has sent nothing yet; with the sinks that acknowledgements
    /// wait for.
    #[must_use]
    pub fn new(required: SinkSet) -> Self {
        let state = State { cursors: Cursors::new(required), waiting: Map::default() };
        Self { state: Mutex::new(state) }
    }

    /// Whether a frame is to be routed, and to whom; they are taken to hold it from then on, until
    /// the [`Ledger::ticket`] of it says otherwise.
    pub fn admit(&self, sequence: u64) -> Admission {
        self.lock().cursors.admit(sequence)
    }

    /// The ticket of a frame that was admitted for these sinks, and where its outcome will be.
    #[must_use]
    pub fn ticket(
        self: &Arc<Self>,
        sequence: u64,
        to: SinkSet,
    ) -> (Ticket, oneshot::Receiver<Outcome>) {
        Ticket::watched(Arc::new(Routed { ledger: Arc::clone(self), sequence, to }))
    }

    /// Whether the frame before this one came here too, or there is none: otherwise what it had
    /// of a round went to another master, or is still to come.
    pub fn follows(&self, sequence: u64) -> bool {
        let before = sequence.saturating_sub(1);
        before == 0 || self.lock().cursors.is_known(before)
    }

    /// Waits until nobody holds a frame; whether every sink that should have it has it then.
    pub async fn outcome(&self, sequence: u64) -> bool {
        loop {
            let released = {
                let mut state = self.lock();
                if !state.cursors.is_pending(sequence) {
                    return state.cursors.is_delivered(sequence);
                }
                let (sender, released) = oneshot::channel();
                state.waiting.entry(sequence).or_default().push(sender);
                released
            };
            // It may have been admitted again by then, so that the loop looks again.
            let _ = released.await;
        }
    }

    /// The newest frame that any sink has for good.
    #[must_use]
    pub fn last_delivered(&self) -> u64 {
        self.lock().cursors.last()
    }

    fn release(&self, sequence: u64, sinks: SinkSet, for_good: bool) {
        let mut state = self.lock();
        if for_good {
            state.cursors.passed(sequence, sinks);
        }
        let nobody = state.cursors.released(sequence, sinks);
        let waiting = if nobody { state.waiting.remove(&sequence) } else { None };
        drop(state);
        for waiter in waiting.into_iter().flatten() {
            // Who no longer waits does not miss it.
            let _ = waiter.send(());
        }
    }

    /// Nothing panics while it holds this lock, and each change leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame that was routed.
#[derive(Debug)]
struct Routed {
    ledger: Arc<Ledger>,
    sequence: u64,
    /// The sinks that it was routed to this time.
    to: SinkSet,
}

impl Watch for Routed {
    fn settled(&self, sinks: SinkSet, outcome: &Outcome) {
        let sinks = self.to.only(sinks);
        self.ledger.release(self.sequence, sinks, outcome.is_for_good());
    }

    fn ended(&self) {
        self.ledger.release(self.sequence, self.to, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SinkSet = SinkSet::one(0);
    const B: SinkSet = SinkSet::one(1);

    fn retry() -> Outcome {
        Outcome::Retry { reason: "full".into() }
    }

    fn route(ledger: &Arc<Ledger>, sequence: u64) -> (SinkSet, Ticket, oneshot::Receiver<Outcome>) {
        let Admission::Route(to) = ledger.admit(sequence) else { panic!("nobody lacks it") };
        let (ticket, outcome) = ledger.ticket(sequence, to);
        (to, ticket, outcome)
    }

    #[tokio::test]
    async fn a_frame_is_routed_once_and_answered_each_time() {
        let ledger = Arc::new(Ledger::new(A));
        let (to, ticket, _outcome) = route(&ledger, 1);
        assert_eq!(to, A.with(SinkSet::OTHERS));
        assert_eq!(ledger.admit(1), Admission::Known, "it is pending");
        let waiter = Arc::clone(&ledger);
        let outcome = tokio::spawn(async move { waiter.outcome(1).await });
        ticket.of(SinkSet::OTHERS).settle(Outcome::Delivered);
        ticket.settle(Outcome::Delivered);
        assert!(outcome.await.unwrap());
        assert_eq!(ledger.admit(1), Admission::Known, "it is delivered");
        assert_eq!(ledger.last_delivered(), 1);
    }

    #[test]
    fn a_gap_before_a_frame_is_seen() {
        let ledger = Arc::new(Ledger::new(A));
        assert!(ledger.follows(1), "nothing comes before the first");
        assert!(!ledger.follows(7), "a master that was started in between");
        let (_, ticket, _outcome) = route(&ledger, 7);
        assert!(ledger.follows(8));
        ticket.settle(Outcome::Delivered);
        assert!(ledger.follows(8) && !ledger.follows(7));
    }

    /// What one required sink could not take comes again, and only that sink is to have it.
    #[tokio::test]
    async fn a_frame_to_be_sent_again_goes_to_who_lacks_it() {
        let ledger = Arc::new(Ledger::new(A.with(B)));
        let (_, ticket, _outcome) = route(&ledger, 1);
        drop(ticket);
        assert!(!ledger.outcome(1).await, "a router that died has given it to nobody");
        let (to, ticket, outcome) = route(&ledger, 1);
        assert_eq!(to, A.with(B).with(SinkSet::OTHERS));
        ticket.of(SinkSet::OTHERS).settle(Outcome::Delivered);
        ticket.of(A).settle(Outcome::Delivered);
        ticket.of(B).settle(retry());
        ticket.leave();
        assert_eq!(outcome.await.unwrap(), retry());
        assert!(!ledger.outcome(1).await);
        let (to, ticket, _outcome) = route(&ledger, 1);
        assert_eq!(to, B);
        ticket.of(B).settle(Outcome::Delivered);
        ticket.leave();
        assert!(ledger.outcome(1).await);
    }
}
