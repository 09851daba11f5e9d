//! What became of the frames of one instance of a buddy, known to all of its streams.
//!
//! A frame that was delivered before a cut, or is still on its way to a sink, comes again when the
//! buddy has reconnected. It is answered when its outcome is known, and never routed again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use heapster_shared::Set;
use tokio::sync::Notify;

use crate::core::delivered::Delivered;

/// The frames of one instance of a buddy.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    delivered: Delivered,
    pending: Set<u64>,
    /// Those that the sinks were offered, whatever became of them.
    handed: Delivered,
}

/// What a frame is to the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Delivered or pending: it is not to be routed.
    Known,
    /// No sink has seen it.
    New,
    /// A required sink could not take it before; the other sinks have had their turn.
    Again,
}

impl Ledger {
    /// Whether a frame is to be routed, and to whom; it is pending from then on.
    pub fn admit(&self, sequence: u64) -> Admission {
        let mut state = self.lock();
        if state.delivered.contains(sequence) || !state.pending.insert(sequence) {
            Admission::Known
        } else if state.handed.contains(sequence) {
            Admission::Again
        } else {
            Admission::New
        }
    }

    /// Whether the frame before this one came here too, or there is none: otherwise what it had
    /// of a round went to another master, or is still to come.
    pub fn follows(&self, sequence: u64) -> bool {
        let Some(before) = sequence.checked_sub(1).filter(|before| *before > 0) else {
            return true;
        };
        let state = self.lock();
        state.delivered.contains(before)
            || state.pending.contains(&before)
            || state.handed.contains(before)
    }

    /// A frame was handed to the sinks.
    pub fn handed(&self, sequence: u64) {
        self.lock().handed.insert(sequence);
    }

    /// A pending frame is settled: for good, or to be sent again.
    pub fn settle(&self, sequence: u64, for_good: bool) {
        let mut state = self.lock();
        state.pending.remove(&sequence);
        if for_good {
            state.delivered.insert(sequence);
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// Waits until a frame is not pending; whether it is settled for good.
    pub async fn outcome(&self, sequence: u64) -> bool {
        loop {
            // Made before the look, so that what is settled in between wakes it.
            let settled = self.settled.notified();
            {
                let state = self.lock();
                if !state.pending.contains(&sequence) {
                    return state.delivered.contains(sequence);
                }
            }
            settled.await;
        }
    }

    /// The newest frame that is settled for good.
    #[must_use]
    pub fn last_delivered(&self) -> u64 {
        self.lock().delivered.last()
    }

    /// Nothing panics while it holds this lock, and each change leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_frame_is_routed_once_and_answered_each_time() {
        let ledger = Arc::new(Ledger::default());
        assert_eq!(ledger.admit(1), Admission::New);
        assert_eq!(ledger.admit(1), Admission::Known, "it is pending");
        let waiter = Arc::clone(&ledger);
        let outcome = tokio::spawn(async move { waiter.outcome(1).await });
        ledger.settle(1, true);
        assert!(outcome.await.unwrap());
        assert_eq!(ledger.admit(1), Admission::Known, "it is delivered");
        assert_eq!(ledger.last_delivered(), 1);
    }

    #[test]
    fn a_gap_before_a_frame_is_seen() {
        let ledger = Ledger::default();
        assert!(ledger.follows(1), "nothing comes before the first");
        assert!(!ledger.follows(7), "a master that was started in between");
        ledger.admit(7);
        assert!(ledger.follows(8));
        ledger.settle(7, true);
        assert!(ledger.follows(8) && !ledger.follows(7));
    }

    /// What a required sink could not take comes again, and only that sink is to have it.
    #[tokio::test]
    async fn a_frame_to_be_sent_again_is_new_again() {
        let ledger = Ledger::default();
        assert_eq!(ledger.admit(1), Admission::New);
        ledger.settle(1, false);
        assert!(!ledger.outcome(1).await);
        assert_eq!(ledger.admit(1), Admission::New, "it was not handed to anybody");
        ledger.handed(1);
        ledger.settle(1, false);
        assert_eq!(ledger.admit(1), Admission::Again);
    }
}
