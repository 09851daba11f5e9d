//! Holds a stream that backfills to the pace of the sinks that lack its frames.
//!
//! Reading on while those are full would be of no use: each frame would be given back, and the buddy
//! would send all of its log again and again. So the stream waits for room, for a while a frame;
//! frames that others lack too do not wait.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Stream;
use crate::{
    actors::{router::SinkSlot, session::StreamPurpose},
    core::sink_set::SinkSet,
};

/// The longest wait after a frame.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

impl Stream {
    /// Waits, if this stream backfills and none of the sinks that its last frame went to has room.
    pub(super) async fn pace(&self) {
        let Some(segment) = &self.segment else { return };
        if segment.purpose != StreamPurpose::Backfill {
            return;
        }
        let until = Instant::now() + PATIENCE;
        while is_stuck(self.lacking, &self.context.sinks) && Instant::now() < until {
            tokio::select! {
                biased;
                () = segment.closed.cancelled() => return,
                () = self.context.draining.cancelled() => return,
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// Whether a frame is for required sinks only, of which none has room.
fn is_stuck(lacking: SinkSet, sinks: &[impl AsRef<SinkSlot>]) -> bool {
    if lacking.is_empty() || lacking.has(SinkSet::OTHERS) {
        return false;
    }
    let mut wanted =
        sinks.iter().enumerate().filter(|(index, _)| lacking.has(SinkSet::one(*index)));
    !wanted.any(|(_, slot)| slot.as_ref().has_room())
}
