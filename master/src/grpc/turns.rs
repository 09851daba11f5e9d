//! Whose turn it is to decode: a bound on the frames that are decoded and not yet with the router,
//! of all streams together.
//!
//! Streams have their turns in the order in which they asked, a frame each, so that one that floods
//! takes nobody's turn. What is backfilled has turns of its own, so that fresh data waits for none
//! of it however many buddies come back at once.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::actors::session::StreamPurpose;

/// Frames of live streams.
pub const LIVE_TURNS: usize = 8;
/// Frames of streams that backfill.
pub const BACKFILL_TURNS: usize = 4;

/// See the module's header.
#[derive(Debug)]
pub struct Turns {
    live: Semaphore,
    backfill: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        let (live, backfill) = (Semaphore::new(LIVE_TURNS), Semaphore::new(BACKFILL_TURNS));
        Self { live, backfill }
    }
}

impl Turns {
    /// Waits for a turn of a stream; over when what this gives is dropped.
    pub(super) async fn wait(&self, purpose: StreamPurpose) -> Option<SemaphorePermit<'_>> {
        let turns = match purpose {
            StreamPurpose::Live => &self.live,
            StreamPurpose::Backfill => &self.backfill,
        };
        // Nobody closes them, so that there is always a permit.
        turns.acquire().await.ok()
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
