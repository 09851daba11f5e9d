//! What became of the frames of one instance of a buddy, known to all of its streams.
//!
//! A frame that was delivered before a cut, or is still on its way to a sink, comes again when the
//! buddy has reconnected; so does one that a required sink could not take. It is routed to those
//! sinks only that neither have it nor hold it (see [`Cursors`]), and answered when all have it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapster_shared::Map;
use tokio::sync::oneshot;

use super::lineup::LineupView;
use crate::{
    core::{
        cursors::{Admission, Cursors},
        sink_set::SinkSet,
    },
    delivery::{Outcome, Ticket, Watch},
};

/// The frames of one instance of a buddy.
#[derive(Debug)]
pub struct Ledger {
    sinks: LineupView,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cursors: Cursors,
    /// Who waits until nobody holds a frame any more.
    waiting: Map<u64, Vec<oneshot::Sender<()>>>,
}

/// A frame that is to be routed.
#[derive(Debug)]
pub struct Admitted {
    /// To whom.
    pub to: SinkSet,
    /// Who gets it settles it.
    pub ticket: Ticket,
    /// Where its outcome will be.
    pub outcome: oneshot::Receiver<Outcome>,
}

impl Ledger {
    /// The ledger of an instance that has sent nothing yet; with the sinks, of which
    /// acknowledgements wait for the required ones.
    #[must_use]
    pub fn new(sinks: LineupView) -> Self {
        let cursors = Cursors::new(&sinks.roster());
        Self { sinks, state: Mutex::new(State { cursors, waiting: Map::default() }) }
    }

    /// Whether a frame is to be routed, and to whom; they are taken to hold it from then on, until
    /// its ticket says otherwise. `None` where each sink has it or holds it.
    pub fn admit(self: &Arc<Self>, sequence: u64) -> Option<Admitted> {
        let (to, as_of) = {
            let mut state = self.lock();
            let Admission::Route(to) = state.cursors.admit(sequence) else { return None };
            (to, state.cursors.version())
        };
        let routed = Routed { ledger: Arc::clone(self), sequence, to, as_of };
        let (ticket, outcome) = Ticket::watched(Arc::new(routed));
        Some(Admitted { to, ticket, outcome })
    }

    /// Whether the frame before this one came here too, or there is none: otherwise what it had
    /// of a round went to another master, or is still to come.
    pub fn follows(&self, sequence: u64) -> bool {
        let before = sequence.saturating_sub(1);
        before == 0 || self.lock().cursors.is_known(before)
    }

    /// Waits until nobody holds a frame; whether every sink that should have it has it then.
    pub async fn outcome(&self, sequence: u64) -> bool {
        let mut sinks = self.sinks.clone();
        loop {
            let released = {
                let mut state = self.lock();
                if !state.cursors.is_pending(sequence) {
                    return state.cursors.is_delivered(sequence);
                }
                let (sender, released) = oneshot::channel();
                let waiting = state.waiting.entry(sequence).or_default();
                waiting.retain(|waiter| !waiter.is_closed());
                waiting.push(sender);
                released
            };
            // It may have been admitted again by then, and who held it may be a sink no more, so
            // that the loop looks again.
            tokio::select! {
                _ = released => {}
                () = sinks.changed() => {}
            }
        }
    }

    /// Waits until a frame is delivered because who lacked it is a sink no more; for ever where that
    /// does not happen.
    pub async fn relieved(&self, sequence: u64) {
        let mut sinks = self.sinks.clone();
        loop {
            sinks.changed().await;
            let state = self.lock();
            if !state.cursors.is_pending(sequence) && state.cursors.is_delivered(sequence) {
                return;
            }
        }
    }

    /// Whether every sink that should have a frame has it for good.
    #[must_use]
    pub fn is_delivered(&self, sequence: u64) -> bool {
        self.lock().cursors.is_delivered(sequence)
    }

    /// The newest frame that any sink has for good.
    #[must_use]
    pub fn last_delivered(&self) -> u64 {
        self.lock().cursors.last()
    }

    fn release(&self, routed: &Routed, sinks: SinkSet, for_good: bool) {
        let (sequence, as_of) = (routed.sequence, routed.as_of);
        let mut state = self.lock();
        if for_good {
            state.cursors.passed(sequence, sinks, as_of);
        }
        let nobody = state.cursors.released(sequence, sinks, as_of);
        let waiting = if nobody { state.waiting.remove(&sequence) } else { None };
        drop(state);
        for waiter in waiting.into_iter().flatten() {
            // Who no longer waits does not miss it.
            let _ = waiter.send(());
        }
    }

    /// The state, by the sinks there are now. Nothing panics while it holds this lock, and each
    /// change leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { cursors, waiting } = &mut *state;
        if cursors.follow(&self.sinks.roster()) {
            // Who waits for a sink that has gone is woken by its going.
            waiting.retain(|sequence, _| cursors.is_pending(*sequence));
        }
        state
    }
}

/// A frame that was routed.
#[derive(Debug)]
struct Routed {
    ledger: Arc<Ledger>,
    sequence: u64,
    /// The sinks that it was routed to this time.
    to: SinkSet,
    /// The version of the roster that these are of.
    as_of: u64,
}

impl Watch for Routed {
    fn settled(&self, sinks: SinkSet, outcome: &Outcome) {
        self.ledger.release(self, self.to.only(sinks), outcome.is_for_good());
    }

    fn ended(&self) {
        self.ledger.release(self, self.to, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::lineup::Lineups;

    const A: SinkSet = SinkSet::one(0);
    const B: SinkSet = SinkSet::one(1);

    fn retry() -> Outcome {
        Outcome::Retry { reason: "full".into() }
    }

    fn ledger(lineups: &Lineups) -> Arc<Ledger> {
        Arc::new(Ledger::new(lineups.view()))
    }

    fn route(ledger: &Arc<Ledger>, sequence: u64) -> (SinkSet, Ticket, oneshot::Receiver<Outcome>) {
        let Admitted { to, ticket, outcome } = ledger.admit(sequence).expect("nobody lacks it");
        (to, ticket, outcome)
    }

    #[tokio::test]
    async fn a_frame_is_routed_once_and_answered_each_time() {
        let ledger = ledger(&Lineups::requiring(1));
        let (to, ticket, _outcome) = route(&ledger, 1);
        assert_eq!(to, A.with(SinkSet::OTHERS));
        assert!(ledger.admit(1).is_none(), "it is pending");
        let waiter = Arc::clone(&ledger);
        let outcome = tokio::spawn(async move { waiter.outcome(1).await });
        ticket.of(SinkSet::OTHERS).settle(Outcome::Delivered);
        ticket.settle(Outcome::Delivered);
        assert!(outcome.await.unwrap());
        assert!(ledger.admit(1).is_none(), "it is delivered");
        assert_eq!(ledger.last_delivered(), 1);
    }

    #[test]
    fn a_gap_before_a_frame_is_seen() {
        let ledger = ledger(&Lineups::requiring(1));
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
        let ledger = ledger(&Lineups::requiring(2));
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

    /// A required sink hangs and is removed: who waits for what it alone held is told at once that
    /// it is delivered, whatever becomes of the sink's tickets.
    #[tokio::test]
    async fn a_sink_that_is_removed_holds_nothing_back() {
        let lineups = Lineups::requiring(2);
        let ledger = ledger(&lineups);
        let (_, ticket, _outcome) = route(&ledger, 1);
        let [hung, steady] = [ticket.of(B), ticket.of(A.with(SinkSet::OTHERS))];
        steady.settle(Outcome::Delivered);
        ticket.leave();
        let mut first = Box::pin(ledger.relieved(1));
        let mut again = Box::pin(ledger.outcome(1));
        assert!(futures::poll!(first.as_mut()).is_pending());
        assert!(futures::poll!(again.as_mut()).is_pending());
        lineups.change(|lineup| lineup.roster.remove(B));
        first.await;
        assert!(again.await);
        hung.settle(retry());
        assert!(ledger.outcome(1).await);
    }
}
