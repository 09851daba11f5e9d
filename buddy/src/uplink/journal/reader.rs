//! Reads a segment from its start: its Open, what it begins with, its frames; from memory what is
//! there, and from the file what is not.
//!
//! Files are read by another thread, a part at a time. So a reader asks for the part that it needs,
//! and goes on when that has come.

use std::{collections::VecDeque, path::Path, sync::Arc};

use bytes::Bytes;
use heapster_proto::v1::open::Purpose;

use super::open_frame;
use crate::spool::{
    Segment, SegmentId,
    disk::{Record, size_on_disk},
};

/// Where a stream is in a segment.
#[derive(Debug)]
pub(super) struct Reader {
    segment: SegmentId,
    place: Place,
    /// What comes next and was read already.
    ready: VecDeque<(u64, Bytes)>,
    /// Where in the file the part begins that is asked for.
    asked: Option<u64>,
    failed: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Open,
    /// In the prelude, which is in memory, at this part.
    Prelude(usize),
    /// In what is before the frames in the file, at this place of the file.
    Head(u64),
    /// At the frame with so many before it, which take so many bytes in a file; what was let go of
    /// counts too, and is in none.
    Frames {
        index: usize,
        bytes: u64,
    },
}

/// What a reader has.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame, with its number.
    Frame(u64, Bytes),
    /// A part of the file is needed first.
    Fetch(Fetch),
    /// The same, and it is on its way.
    Wait,
    /// No more, yet.
    End,
    /// What comes next cannot be read: why.
    Broken(String),
    /// It has been moved to disk meanwhile, and has to be read from its start.
    Restart,
}

/// A part of a file that is needed.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) segment: SegmentId,
    pub(super) path: Arc<Path>,
    /// From here on.
    pub(super) offset: u64,
    /// What is behind this is not whole yet.
    pub(super) until: u64,
}

/// What a part of a file has.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) records: Vec<Record>,
    /// Why there are no more where there should be.
    pub(super) failed: Option<String>,
}

impl Reader {
    pub(super) const fn new(segment: SegmentId) -> Self {
        Self::at(segment, Place::Open)
    }

    /// For a stream that knows already what the segment begins with.
    pub(super) const fn continuing(segment: SegmentId) -> Self {
        Self::at(segment, Place::Frames { index: 0, bytes: 0 })
    }

    const fn at(segment: SegmentId, place: Place) -> Self {
        Self { segment, place, ready: VecDeque::new(), asked: None, failed: None }
    }

    /// The segment that is being read.
    pub(super) const fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Whether it waits for a part of a file.
    #[cfg(test)]
    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some() || !self.ready.is_empty()
    }

    /// Frames of the segment that were read.
    pub(super) const fn index(&self) -> usize {
        match self.place {
            Place::Frames { index, .. } => index,
            _ => 0,
        }
    }

    /// Whether it has read all that there is.
    pub(super) fn is_at_end(&self, segment: &Segment) -> bool {
        matches!(self.place, Place::Frames { index, .. } if index == segment.end())
    }

    pub(super) fn next(&mut self, segment: &Segment, session_id: &str, purpose: Purpose) -> Next {
        loop {
            if let Some((sequence, bytes)) = self.ready.pop_front() {
                self.advance(bytes.len());
                return Next::Frame(sequence, bytes);
            }
            if let Some(reason) = self.failed.take() {
                return Next::Broken(reason);
            }
            if self.asked.is_some() {
                return Next::Wait;
            }
            match self.place {
                Place::Open => {
                    let file = segment.file();
                    self.place = file.map_or(Place::Prelude(0), |file| Place::Head(file.first));
                    return Next::Frame(0, open_frame(segment, session_id, purpose));
                }
                Place::Prelude(part) if let Some(file) = segment.file() => match part {
                    0 => self.place = Place::Head(file.first),
                    _ => return Next::Restart,
                },
                Place::Prelude(part) => match segment.prelude(part) {
                    Err(error) => return Next::Broken(error.to_string()),
                    Ok(Some(part_of_it)) => {
                        self.place = Place::Prelude(part + 1);
                        self.ready =
                            part_of_it.frames.into_iter().map(|bytes| (0, bytes)).collect();
                    }
                    Ok(None) => self.place = first_frame(segment),
                },
                Place::Head(offset) => match segment.file() {
                    Some(file) if offset < file.head => {
                        return self.ask(segment, offset, file.head);
                    }
                    _ => self.place = first_frame(segment),
                },
                Place::Frames { index, bytes } => return self.frame(segment, index, bytes),
            }
        }
    }

    fn frame(&mut self, segment: &Segment, index: usize, bytes: u64) -> Next {
        if let Some(frame) = segment.frame(index) {
            self.advance(frame.bytes.len());
            return Next::Frame(frame.sequence, frame.bytes.clone());
        }
        match segment.file() {
            _ if index >= segment.end() => Next::End,
            Some(file) => {
                let bytes = bytes.saturating_sub(segment.let_go_bytes());
                self.ask(segment, file.head + bytes, file.bytes)
            }
            None => Next::Broken("a frame is neither in memory nor on disk".to_owned()),
        }
    }

    fn ask(&mut self, segment: &Segment, offset: u64, until: u64) -> Next {
        let Some(file) = segment.file() else { return Next::End };
        self.asked = Some(offset);
        let (segment, path) = (self.segment, Arc::clone(&file.path));
        Next::Fetch(Fetch { segment, path, offset, until })
    }

    fn advance(&mut self, frame_bytes: usize) {
        match &mut self.place {
            Place::Head(offset) => *offset += size_on_disk(frame_bytes),
            Place::Frames { index, bytes } => {
                *index += 1;
                *bytes += size_on_disk(frame_bytes);
            }
            Place::Open | Place::Prelude(_) => {}
        }
    }

    /// Takes what was asked for.
    pub(super) fn deliver(&mut self, fetch: &Fetch, fetched: Fetched) {
        if fetch.segment != self.segment || self.asked != Some(fetch.offset) {
            return;
        }
        self.asked = None;
        self.failed = fetched.failed;
        let frames = fetched.records.into_iter();
        self.ready.extend(frames.map(|record| (record.sequence, record.bytes)));
    }
}

/// Behind what goes before the frames.
fn first_frame(segment: &Segment) -> Place {
    Place::Frames { index: segment.let_go(), bytes: segment.let_go_bytes() }
}
