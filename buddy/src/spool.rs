//! The spool: the log of what is not yet acknowledged, in segments, within a bound of bytes.
//!
//! A segment is a recorded stream. Its rows are differences to rows before, so it is replayed from
//! its start and dropped whole. A segment that is closed and settled is freed; when the bound is
//! passed the oldest segment goes first, and the gap is named once in the log.
//!
//! The open segment can be long, because definitions are sent once a segment. What is settled of it
//! need not stay: a [checkpoint](Spool::set_checkpoint) has the newest row of each entity, and goes
//! in place of all rows before it as soon as those are settled; definitions stay. Both are packed. A
//! replay then begins with the definitions and the checkpoint.
//!
//! With a directory the log lives on [`disk`]: each segment is appended to a file as it is written,
//! and memory has the newest frames alone. There a segment ends when its file has grown, and the next
//! one goes on with the same definitions, after a checkpoint: on the wire they are one. Where the disk
//! refuses, segments stay in memory until it works again (see [`stored`]).

pub mod disk;
mod frame;
mod numbers;
mod segment;
pub mod stored;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use disk::DiskConfig;
pub use frame::{Fate, LogFrame};
pub use numbers::Numbers;
pub use segment::{Prelude, PreludePart, Segment, SegmentId, StoredFile};
use stored::Disk;
use tokio::time::Instant;

/// A segment of at least this size is closed when its data outgrow its definitions.
const SMALLEST_ROTATION_BYTES: usize = 1 << 20;

/// Where the log is, and how much of it there may be.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// In memory: all of it, or where there is a disk what that does not take.
    pub memory_bytes: usize,
    /// Where it outlasts the program.
    pub disk: Option<DiskConfig>,
}

impl SpoolConfig {
    /// A log that is gone with the program.
    #[must_use]
    pub const fn in_memory(memory_bytes: usize) -> Self {
        Self { memory_bytes, disk: None }
    }
}

/// The log.
#[derive(Debug)]
pub struct Spool {
    segments: VecDeque<Segment>,
    instance: Arc<str>,
    most_bytes: usize,
    last_id: i64,
    last_number: u64,
    dropped_frames: u64,
    /// Dropped because the log was full; those before it were dropped or freed. Of this start, and of
    /// earlier ones.
    last_dropped: [Option<SegmentId>; 2],
    disk: Option<Disk>,
}

/// How full the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpoolState {
    /// Bytes that are kept, in memory and on disk.
    pub bytes: usize,
    /// Frames that are not settled.
    pub frames: usize,
    /// Frames that were dropped because the log was full.
    pub dropped_frames: u64,
    /// Tick of the oldest frame that is not settled; 0 for none.
    pub oldest_unix_ms: i64,
}

impl Spool {
    /// An empty log of one start of a buddy, within so many bytes of memory.
    #[must_use]
    pub fn new(instance: Arc<str>, most_bytes: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            instance,
            most_bytes,
            last_id: 0,
            last_number: 0,
            dropped_frames: 0,
            last_dropped: [None; 2],
            disk: None,
        }
    }

    /// Closes the open segment, and begins the next.
    pub fn begin(&mut self) -> SegmentId {
        self.close();
        self.last_id += 1;
        self.last_number += 1;
        let (id, instance) = (SegmentId(self.last_id), Arc::clone(&self.instance));
        let is_on_disk = self.takes_disk();
        self.segments.push_back(Segment::new(id, instance, self.last_number, is_on_disk));
        id
    }

    /// Closes the open segment: what comes next has to go into a new one.
    pub fn close(&mut self) {
        if let Some(segment) = self.segments.back_mut() {
            segment.close();
        }
        self.free_settled();
    }

    /// The segment that frames are appended to.
    #[must_use]
    pub fn open(&self) -> Option<&Segment> {
        self.segments.back().filter(|segment| !segment.is_closed())
    }

    /// Appends a frame to the open segment, and says whether there was one.
    pub fn append(&mut self, frame: LogFrame) -> bool {
        let Some(segment) = self.segments.back_mut().filter(|segment| !segment.is_closed()) else {
            return false;
        };
        segment.push(frame);
        self.keep_within_bound();
        true
    }

    /// Whether there is room for more events: those that are not settled have a quarter of the log,
    /// so that however many there are rows have the rest.
    #[must_use]
    pub fn takes_events(&self) -> bool {
        let waiting: usize = self.segments.iter().map(Segment::event_bytes).sum();
        waiting < self.room() / 4
    }

    /// Whether the open segment holds more rows than a checkpoint would, or so much that could be let
    /// go of that the log has little room left.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.open().is_some_and(|open| open.wants_checkpoint(self.most_bytes / 4))
    }

    /// Whether a checkpoint should not wait for the end of the round: all that a large cluster has is
    /// defined in its first round, and a segment that had to end before it would define it again.
    #[must_use]
    pub fn is_checkpoint_urgent(&self) -> bool {
        self.wants_checkpoint()
            && self.open().is_some_and(|open| open.frame_bytes() > self.most_bytes / 4)
    }

    /// Gives the open segment frames that stand for all of its rows so far, for when those are
    /// settled.
    pub fn set_checkpoint(&mut self, frames: Vec<LogFrame>) {
        let open = self.segments.back_mut().filter(|segment| !segment.is_closed());
        if let Some(segment) = open {
            segment.set_checkpoint(frames);
            self.keep_within_bound();
        }
    }

    /// Counts a frame that could not be appended.
    pub fn count_dropped(&mut self) {
        self.dropped_frames += 1;
    }

    /// Whether the open segment is to be closed: its data are about twice its definitions, so that
    /// definitions stay a small part of what is sent, and a segment a small part of the log. Where
    /// entities come and go so fast that definitions are most of it, the bound decides: an open
    /// segment is not freed, however much of it is settled. What a checkpoint keeps counts for
    /// little: the next segment would have to have it too. One that belongs on disk goes on in the
    /// next file instead, as long as it can.
    #[must_use]
    pub fn is_rotation_due(&self) -> bool {
        let Some(open) = self.open() else { return false };
        if open.is_on_disk() || self.takes_disk() {
            return self.is_disk_rotation_due(open);
        }
        let smallest = SMALLEST_ROTATION_BYTES.min(self.most_bytes / 8);
        open.data_bytes() >= smallest.max(2 * open.definition_bytes())
            || open.frame_bytes() >= self.most_bytes / 2
            || open.memory_bytes() >= self.most_bytes / 8 * 7
    }

    /// Whether this segment was dropped because the log was full.
    #[must_use]
    pub fn was_dropped(&self, id: SegmentId) -> bool {
        let last = self.last_dropped[usize::from(id < SegmentId(0))];
        last.is_some_and(|last| id <= last) && self.segment(id).is_none()
    }

    /// What became of these frames of this segment, or with `None` of this start of the buddy.
    pub fn settle(
        &mut self,
        segment: Option<SegmentId>,
        sequences: RangeInclusive<u64>,
        fate: Fate,
    ) {
        for candidate in &mut self.segments {
            let is_meant = match segment {
                Some(id) => candidate.id() == id,
                None => Arc::ptr_eq(candidate.instance(), &self.instance),
            };
            if is_meant {
                candidate.settle(&sequences, fate);
            }
        }
        self.free_settled();
    }

    /// Drops a segment that the master cannot read; returns how many frames are lost with it.
    pub fn discard(&mut self, id: SegmentId) -> usize {
        let Some(place) = self.segments.iter().position(|segment| segment.id() == id) else {
            return 0;
        };
        let frames = self.segments[place].unsettled();
        self.remove(place);
        if self.segments.get(place).and_then(Segment::needs) == Some(id) {
            self.drop_full(place);
        }
        frames
    }

    /// A segment that is still kept.
    #[must_use]
    pub fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id() == id)
    }

    /// A segment that is still kept.
    pub fn segment_mut(&mut self, id: SegmentId) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.id() == id)
    }

    /// Puts the segments that have these frames off to a time.
    pub fn put_off(
        &mut self,
        segment: Option<SegmentId>,
        sequences: &RangeInclusive<u64>,
        mut until: impl FnMut() -> Instant,
    ) {
        for candidate in &mut self.segments {
            let is_meant = match segment {
                Some(id) => candidate.id() == id,
                None => Arc::ptr_eq(candidate.instance(), &self.instance),
            };
            if is_meant && candidate.retry_at().is_none() && candidate.has_any(sequences) {
                candidate.put_off(until());
            }
        }
    }

    /// The first segment from this one on.
    #[must_use]
    pub fn first_from(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id() >= id)
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// How full the log is.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        SpoolState {
            bytes: self.memory_bytes().saturating_add(self.disk_bytes()),
            frames: self.segments.iter().map(Segment::unsettled).sum(),
            dropped_frames: self.dropped_frames,
            oldest_unix_ms: self.segments.iter().find_map(Segment::oldest_unix_ms).unwrap_or(0),
        }
    }

    /// The next time, after this one, at which a segment that is put off may be sent again.
    #[must_use]
    pub fn next_retry(&self, now: Instant) -> Option<Instant> {
        self.segments.iter().filter_map(Segment::retry_at).filter(|at| *at > now).min()
    }

    fn memory_bytes(&self) -> usize {
        self.segments.iter().map(Segment::memory_bytes).sum()
    }

    fn free_settled(&mut self) {
        let mut place = 0;
        while let Some(segment) = self.segments.get(place) {
            let id = segment.id();
            let is_needed = || self.segments.get(place + 1).and_then(Segment::needs) == Some(id);
            if !segment.is_closed() || segment.unsettled() > 0 || is_needed() {
                place += 1;
            } else {
                self.remove(place);
            }
        }
    }

    /// Takes a segment out, and its file with it.
    fn remove(&mut self, place: usize) -> Option<Segment> {
        let segment = self.segments.remove(place)?;
        if let (Some(file), Some(disk)) = (segment.file(), &mut self.disk) {
            disk.trash.push(Arc::clone(&file.path));
        }
        Some(segment)
    }

    /// Drops the oldest segments while there is too much; the open one too, when it alone is too
    /// much.
    fn keep_within_bound(&mut self) {
        if self.memory_bytes() > self.most_bytes {
            self.evict_all();
        }
        while self.memory_bytes() > self.most_bytes {
            let has_any = |segment: &Segment| segment.frame_bytes() > 0 || !segment.is_on_disk();
            let Some(place) = self.segments.iter().position(has_any) else { break };
            self.drop_full(place);
        }
        while self.disk_bytes() > self.room() {
            // The open one ends when it is large, and goes then.
            let is_there = |one: &Segment| one.file().is_some() && one.is_closed();
            let Some(place) = self.segments.iter().position(is_there) else { break };
            self.drop_full(place);
        }
    }

    fn drop_full(&mut self, place: usize) {
        let Some(segment) = self.remove(place) else { return };
        let id = segment.id();
        self.last_dropped[usize::from(id < SegmentId(0))] = Some(id);
        self.dropped_frames += segment.unsettled() as u64;
        if let Some((from_ms, to_ms)) = segment.unsettled_ticks() {
            tracing::warn!(
                frames = segment.unsettled(),
                from = %heapster_shared::tick::rfc3339(from_ms),
                to = %heapster_shared::tick::rfc3339(to_ms),
                "the spool is full: the oldest rows are lost; --spool-bytes gives it more room"
            );
        }
        // Without its definitions the next one means nothing.
        if self.segments.get(place).and_then(Segment::needs) == Some(id) {
            self.drop_full(place);
        }
    }
}
