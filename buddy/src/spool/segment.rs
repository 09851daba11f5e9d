//! One segment of the log.

mod on_disk;
mod prelude;

use std::{collections::VecDeque, io, ops::RangeInclusive, sync::Arc};

use tokio::time::Instant;

use super::{
    Numbers,
    disk::{Scanned, size_on_disk},
    frame::{Fate, LogFrame},
};
use on_disk::OnDisk;
pub use on_disk::StoredFile;
use prelude::Packed;
pub use prelude::{Prelude, PreludePart};

/// Number of a segment within the log of this process: grows. Those of earlier starts, which were
/// found on disk, have negative ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub i64);

/// Frames from one Open up to the next; the Open itself is made anew for each time it is sent.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    instance: Arc<str>,
    number: u64,
    /// What a replay has before the frames.
    prelude: Arc<Prelude>,
    /// So many frames were let go of, for the prelude.
    let_go: usize,
    /// What those would take in a file.
    let_go_bytes: u64,
    /// The frames that are in memory: the newest ones. Others are let go of, or in the file.
    frames: VecDeque<LogFrame>,
    /// Frames before those.
    before: usize,
    numbers: Numbers,
    /// To go in place of frames as soon as all of them are settled.
    checkpoint: Option<Checkpoint>,
    /// Of the frames in memory.
    frame_bytes: usize,
    /// Of all definitions so far, as they were sent.
    definition_bytes: usize,
    /// Of the frames that are kept and no definitions, in memory or not.
    data_bytes: usize,
    closed: bool,
    retry_at: Option<Instant>,
    /// Whether it has been sent, in part at least, as backfill.
    pub(crate) replayed: bool,
    /// Of one that belongs on disk.
    disk: Option<OnDisk>,
}

/// Frames that stand for all rows before a place in the segment.
#[derive(Debug)]
struct Checkpoint {
    /// So many frames lie before it, of which this is the last with a number.
    at: usize,
    last: u64,
    frames: Packed,
}

impl Segment {
    pub(super) fn new(id: SegmentId, instance: Arc<str>, number: u64, is_on_disk: bool) -> Self {
        Self {
            id,
            instance,
            number,
            prelude: Arc::default(),
            let_go: 0,
            let_go_bytes: 0,
            frames: VecDeque::new(),
            before: 0,
            numbers: Numbers::default(),
            checkpoint: None,
            frame_bytes: 0,
            definition_bytes: 0,
            data_bytes: 0,
            closed: false,
            retry_at: None,
            replayed: false,
            disk: is_on_disk.then(OnDisk::default),
        }
    }

    /// One that goes on where another ended: with its definitions, which are in its file, and a
    /// checkpoint.
    pub(super) fn continuing(mut self, before: SegmentId, checkpoint: Vec<LogFrame>) -> Self {
        self.prelude = Arc::new(Prelude::of_checkpoint(checkpoint));
        self.disk = Some(OnDisk { continues: Some(before), file: None });
        self
    }

    /// One that an earlier start left on disk.
    pub(super) fn found(mut self, found: Scanned) -> Self {
        self.prelude = Arc::new(Prelude::stored(found.through));
        self.before = found.records;
        self.numbers = found.numbers;
        let file = StoredFile {
            path: found.path.into(),
            first: found.head_bytes,
            head: found.head_bytes,
            frames: found.records,
            bytes: found.bytes,
        };
        self.disk = Some(OnDisk { continues: None, file: Some(file) });
        self.closed = true;
        self
    }

    pub(super) fn push(&mut self, frame: LogFrame) {
        self.frame_bytes += frame.size();
        if frame.sequence == 0 {
            self.definition_bytes += frame.size();
        } else {
            self.data_bytes += frame.size();
            self.numbers.push(frame.sequence, frame.tick_unix_ms, frame.event_bytes());
        }
        self.frames.push_back(frame);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.checkpoint = None;
    }

    /// Takes frames that stand for all rows so far. As soon as all before them are settled, those
    /// are let go of.
    pub(super) fn set_checkpoint(&mut self, frames: Vec<LogFrame>) {
        let Some(last) = self.numbers.last() else { return };
        self.checkpoint = Some(Checkpoint { at: self.end(), last, frames: Packed::new(frames) });
        self.use_checkpoint();
    }

    /// Whether a checkpoint would make room: rows are more than the one before takes, or all that
    /// could be let go of is more than this; and none is waiting. One on disk lets go of nothing.
    pub(super) fn wants_checkpoint(&self, most_bytes: usize) -> bool {
        let is_worth_it = self.data_bytes > self.prelude.checkpoint_bytes();
        let is_possible = self.disk.is_none() && self.checkpoint.is_none();
        is_possible && (is_worth_it || self.frame_bytes > most_bytes)
    }

    fn use_checkpoint(&mut self) {
        let through = self.numbers.settled_through().unwrap_or(0);
        let is_due =
            |checkpoint: &mut Checkpoint| checkpoint.last <= through && checkpoint.at > self.let_go;
        let Some(Checkpoint { at, frames, .. }) = self.checkpoint.take_if(is_due) else { return };
        let gone: Vec<LogFrame> = self.frames.drain(..at - self.let_go).collect();
        self.let_go = at;
        self.before = at;
        for frame in &gone {
            self.let_go_bytes += size_on_disk(frame.bytes.len());
            self.frame_bytes -= frame.size();
            self.data_bytes -= if frame.sequence == 0 { 0 } else { frame.size() };
        }
        Arc::make_mut(&mut self.prelude).take(gone, frames);
    }

    /// Notes what became of its frames of these numbers; a settled frame stays settled.
    pub(super) fn settle(&mut self, sequences: &RangeInclusive<u64>, fate: Fate) {
        self.numbers.settle(sequences, fate);
        self.use_checkpoint();
    }

    /// Whether one of its frames has a number in this range.
    pub(crate) fn has_any(&self, sequences: &RangeInclusive<u64>) -> bool {
        self.numbers.has_any(sequences)
    }

    /// Its number in the log.
    #[must_use]
    pub const fn id(&self) -> SegmentId {
        self.id
    }

    /// The start of the buddy that wrote it.
    #[must_use]
    pub const fn instance(&self) -> &Arc<str> {
        &self.instance
    }

    /// Its number among the segments of that start.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The frame with so many before it, if it is in memory.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&LogFrame> {
        self.frames.get(index.checked_sub(self.before)?)
    }

    /// Its first so many frames were let go of, and the prelude goes in their place.
    #[must_use]
    pub const fn let_go(&self) -> usize {
        self.let_go
    }

    /// Bytes that those would take in a file.
    #[must_use]
    pub const fn let_go_bytes(&self) -> u64 {
        self.let_go_bytes
    }

    /// Number of its frames, with those that were let go of.
    #[must_use]
    pub fn end(&self) -> usize {
        self.before + self.frames.len()
    }

    /// One part of the prelude after the other; `None` past the last. Where there is a file, it is
    /// in the file.
    ///
    /// # Errors
    /// When it cannot be unpacked.
    pub fn prelude(&self, part: usize) -> io::Result<Option<PreludePart>> {
        self.prelude.part(part)
    }

    /// Whether no more is appended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let waiting = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.frames.bytes());
        self.frame_bytes + self.prelude.bytes() + waiting + self.numbers.size()
    }

    /// Bytes of its frames in memory, without the prelude.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Bytes of its definitions, as they were sent.
    #[must_use]
    pub const fn definition_bytes(&self) -> usize {
        self.definition_bytes
    }

    /// Bytes of what is kept and is neither a definition nor a checkpoint.
    #[must_use]
    pub const fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Frames that are not settled.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.numbers.unsettled()
    }

    /// Bytes of its frames with events that are not settled.
    #[must_use]
    pub const fn event_bytes(&self) -> usize {
        self.numbers.event_bytes()
    }

    /// Whether a frame was not answered yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.numbers.is_waiting()
    }

    /// All numbered frames up to this one are settled, or stand in another segment.
    #[must_use]
    pub fn delivered_through(&self) -> u64 {
        self.numbers.settled_through().unwrap_or(0).max(self.prelude.through())
    }

    /// The last frame that its prelude stands for.
    #[must_use]
    pub fn prelude_through(&self) -> u64 {
        self.prelude.through()
    }

    /// When it may be sent again, where the master has put it off.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Puts sending it again off to a time, if it is not put off for longer.
    pub fn put_off(&mut self, until: Instant) {
        self.retry_at = Some(self.retry_at.map_or(until, |known| known.max(until)));
    }

    /// Makes ready to send it once more: what is not settled waits for an answer again.
    pub fn replay(&mut self) {
        self.replayed = true;
        self.retry_at = None;
        self.numbers.wait_again();
    }

    /// The tick of the oldest frame that is not settled.
    #[must_use]
    pub fn oldest_unix_ms(&self) -> Option<i64> {
        self.unsettled_ticks().map(|(oldest, _)| oldest)
    }

    /// The first and last tick of what is not settled.
    #[must_use]
    pub fn unsettled_ticks(&self) -> Option<(i64, i64)> {
        self.numbers.unsettled_ticks()
    }
}
