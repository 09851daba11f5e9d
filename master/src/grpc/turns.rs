//! Whose turn it is to decode: a bound on the frames that are decoded and not yet handed to the
//! sinks, of all streams together. A turn goes with its frame, until the router has handed it out.
//!
//! Streams have their turns in the order in which they asked, a frame each, so that one that floods
//! takes nobody's turn. What is backfilled has turns of its own, so that fresh data waits for none
//! of it however many buddies come back at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actors::session::StreamPurpose;

/// Frames of live streams.
pub const LIVE_TURNS: usize = 8;
/// Frames of streams that backfill.
pub const BACKFILL_TURNS: usize = 4;

/// See the module's header.
#[derive(Debug)]
pub struct Turns {
    live: Arc<Semaphore>,
    backfill: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let turns = |count| Arc::new(Semaphore::new(count));
        Self { live: turns(LIVE_TURNS), backfill: turns(BACKFILL_TURNS) }
    }
}

impl Turns {
    /// Waits for a turn of a stream; over when what this gives is dropped.
    pub(super) async fn wait(&self, purpose: StreamPurpose) -> Option<OwnedSemaphorePermit> {
        let turns = match purpose {
            StreamPurpose::Live => &self.live,
            StreamPurpose::Backfill => &self.backfill,
        };
        // Nobody closes them, so that there is always a permit.
        Arc::clone(turns).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// However many come back at once, what is fresh has its turn.
    #[test]
    fn what_is_fresh_waits_for_nothing_that_is_backfilled() {
        let turns = Turns::default();
        let backfill = || turns.wait(StreamPurpose::Backfill).now_or_never();
        let held: Vec<_> = std::iter::from_fn(backfill).collect();
        assert_eq!(held.len(), BACKFILL_TURNS);
        assert!(turns.wait(StreamPurpose::Live).now_or_never().is_some());
        drop(held);
        assert!(backfill().is_some());
    }
}
