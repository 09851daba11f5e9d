//! The live stream: follows the tail, from the segment that its session began with.

use bytes::Bytes;
use heapster_proto::v1::open::Purpose;

use super::{State, open_frame};
use crate::spool::{Segment, SegmentId};

/// Where the live stream is.
#[derive(Debug)]
pub(super) struct Tail {
    /// Where it began.
    from: SegmentId,
    segment: SegmentId,
    /// The next frame of the segment; `None` for its Open.
    next: Option<usize>,
}

impl Tail {
    pub(super) const fn new(segment: SegmentId) -> Self {
        Self { from: segment, segment, next: None }
    }

    /// The segment that is being sent.
    pub(super) const fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Whether the stream will never send this segment: it is from before the session.
    pub(super) fn is_behind(&self, segment: &Segment) -> bool {
        segment.id() < self.from
    }

    /// Whether the stream has sent all that there is of this segment.
    pub(super) fn has_sent(&self, segment: &Segment) -> bool {
        segment.id() < self.segment
            || segment.id() == self.segment && self.next == Some(segment.end())
    }
}

impl State {
    pub(super) fn next_live(&mut self) -> Option<Bytes> {
        let live = self.live.as_mut()?;
        loop {
            let segment = self.spool.first_from(live.segment)?;
            if segment.id() != live.segment {
                live.segment = segment.id();
                live.next = None;
            }
            let Some(next) = live.next else {
                live.next = Some(0);
                return Some(open_frame(segment, &self.session_id, Purpose::Live));
            };
            if let Some(frame) = segment.frame(next) {
                live.next = Some(next + 1);
                self.sent_live = self.sent_live.max(frame.sequence);
                return Some(frame.bytes.clone());
            }
            if !segment.is_closed() {
                return None;
            }
            live.segment = SegmentId(segment.id().0 + 1);
            live.next = None;
        }
    }
}
