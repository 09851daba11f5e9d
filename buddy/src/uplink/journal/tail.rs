//! The live stream: follows the tail, from the segment that its session began with.

use bytes::Bytes;
use heapster_proto::v1::open::Purpose;

use super::{
    State,
    reader::{Next, Reader},
};
use crate::spool::{Segment, SegmentId};

/// Where the live stream is.
#[derive(Debug)]
pub(super) struct Tail {
    /// Where it began.
    from: SegmentId,
    /// The segment that it sends, or that comes next.
    at: SegmentId,
    pub(super) reader: Option<Reader>,
}

impl Tail {
    pub(super) const fn new(segment: SegmentId) -> Self {
        Self { from: segment, at: segment, reader: None }
    }

    /// The segment that is being sent.
    pub(super) const fn segment(&self) -> SegmentId {
        self.at
    }

    /// Where it is, as a segment and a number of frames.
    pub(super) fn place(&self) -> (SegmentId, usize) {
        (self.at, self.reader.as_ref().map_or(0, Reader::index))
    }

    /// Whether the stream will never send this segment: it is from before the session.
    pub(super) fn is_behind(&self, segment: &Segment) -> bool {
        segment.id() < self.from
    }

    /// Whether the stream has sent all that there is of this segment.
    pub(super) fn has_sent(&self, segment: &Segment) -> bool {
        segment.id() < self.at
            || segment.id() == self.at
                && self.reader.as_ref().is_some_and(|reader| reader.is_at_end(segment))
    }

    /// The reader of this segment. One that goes on where the stream is has no Open of its own.
    fn reader_of(&mut self, segment: &Segment, sent: u64) -> &mut Reader {
        self.at = segment.id();
        let is_known = segment.continues().is_some_and(|before| before >= self.from)
            && segment.prelude_through() <= sent;
        let id = segment.id();
        self.reader.take_if(|reader| reader.segment() != id);
        self.reader.get_or_insert_with(|| match is_known {
            true => Reader::continuing(id),
            false => Reader::new(id),
        })
    }
}

impl State {
    pub(super) fn next_live(&mut self) -> Option<Bytes> {
        let live = self.live.as_mut()?;
        loop {
            let segment = self.spool.first_from(live.at)?;
            let (id, is_closed) = (segment.id(), segment.is_closed());
            let reader = live.reader_of(segment, self.sent_live);
            match reader.next(segment, &self.session_id, Purpose::Live) {
                Next::Frame(sequence, frame) => {
                    let read = reader.index();
                    self.sent_live = self.sent_live.max(sequence);
                    self.spool.evict_sent(id, read);
                    return Some(frame);
                }
                Next::Fetch(fetch) => {
                    self.fetches[0] = Some(fetch);
                    return None;
                }
                Next::Wait => return None,
                Next::End if !is_closed => return None,
                Next::End => live.at = SegmentId(id.0 + 1),
                Next::Broken(reason) => {
                    let frames = self.spool.discard(id);
                    tracing::error!(frames, reason, "{UNREADABLE}");
                }
                Next::Restart => live.reader = None,
            }
        }
    }
}

/// What is said where the spool's own files cannot be read.
pub(super) const UNREADABLE: &str = "a spool file cannot be read any more: its rows are lost";
