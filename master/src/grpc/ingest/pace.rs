//! Holds a stream that backfills to the pace of the sinks that lack its frames.
//!
//! Reading on while those are full would be of no use: each frame would be given back, and the buddy
//! would send all of its log again and again. So the stream waits for room. After a while it reads
//! the rest of the segment without waiting, for the next one may have what other sinks lack; the
//! buddy puts off what is given back. Frames that others lack too do not wait at all.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::Stream;
use crate::{
    actors::{router::SinkSlot, session::StreamPurpose},
    core::sink_set::SinkSet,
};

/// The longest wait in a segment.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

impl Stream {
    /// Waits, if this stream backfills and none of the sinks that its last frame went to has room.
    pub(super) async fn pace(&mut self) {
        let Some(segment) = &self.segment else { return };
        if segment.purpose != StreamPurpose::Backfill || self.lacking.is_empty() {
            return;
        }
        let until = Instant::now() + if self.impatient { Duration::ZERO } else { PATIENCE };
        self.impatient = false;
        while is_stuck(self.lacking, &self.context.sinks.now().sinks) {
            if Instant::now() >= until {
                self.impatient = true;
                return;
            }
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
fn is_stuck(lacking: SinkSet, sinks: &[Arc<SinkSlot>]) -> bool {
    if lacking.is_empty() || lacking.has(SinkSet::OTHERS) {
        return false;
    }
    let mut wanted = sinks.iter().filter(|slot| lacking.has(slot.whom)).peekable();
    // Of those that have gone nothing is waited for.
    wanted.peek().is_some() && !wanted.any(|slot| slot.has_room())
}
