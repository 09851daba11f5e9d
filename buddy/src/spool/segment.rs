//! One segment of the log.

mod prelude;

use std::{io, ops::RangeInclusive, path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::time::Instant;

use super::frame::{Fate, LogFrame};
use prelude::{Packed, Prelude};

/// Number of a segment within the log of this process, restored ones included: grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u64);

/// Frames from one Open up to the next; the Open itself is made anew for each time it is sent.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    instance: Arc<str>,
    number: u64,
    /// What is kept of frames that were let go of.
    prelude: Prelude,
    /// So many frames were let go of.
    let_go: usize,
    frames: Vec<LogFrame>,
    fates: Vec<Fate>,
    /// To go in place of frames as soon as all of them are settled.
    checkpoint: Option<Checkpoint>,
    frame_bytes: usize,
    /// Of all definitions so far, as they were sent.
    definition_bytes: usize,
    /// Of the frames that are kept and no definitions.
    data_bytes: usize,
    unsettled: usize,
    /// Of the frames with events that are not settled.
    event_bytes: usize,
    /// So many frames from the first on are settled: answers mostly come in order.
    settled_prefix: usize,
    closed: bool,
    retry_at: Option<Instant>,
    /// Whether it has been sent, in part at least, as backfill.
    pub(crate) replayed: bool,
    pub(super) file: Option<PathBuf>,
}

/// Frames that stand for all rows before a place in the segment.
#[derive(Debug)]
struct Checkpoint {
    /// So many frames lie before it.
    at: usize,
    frames: Packed,
}

impl Segment {
    pub(super) fn new(id: SegmentId, instance: Arc<str>, number: u64) -> Self {
        Self {
            id,
            instance,
            number,
            prelude: Prelude::default(),
            let_go: 0,
            frames: Vec::new(),
            fates: Vec::new(),
            checkpoint: None,
            frame_bytes: 0,
            definition_bytes: 0,
            data_bytes: 0,
            unsettled: 0,
            event_bytes: 0,
            settled_prefix: 0,
            closed: false,
            retry_at: None,
            replayed: false,
            file: None,
        }
    }

    pub(super) fn push(&mut self, frame: LogFrame) {
        self.frame_bytes += frame.size();
        if frame.sequence == 0 {
            self.definition_bytes += frame.size();
            self.fates.push(Fate::Settled);
        } else {
            self.data_bytes += frame.size();
            self.unsettled += 1;
            self.event_bytes += frame.event_bytes();
            self.fates.push(Fate::Waiting);
        }
        self.frames.push(frame);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.checkpoint = None;
    }

    /// Takes frames that stand for all rows so far. As soon as all before them are settled, those
    /// are let go of.
    pub(super) fn set_checkpoint(&mut self, frames: Vec<LogFrame>) {
        self.checkpoint = Some(Checkpoint { at: self.end(), frames: Packed::new(frames) });
        self.use_checkpoint();
    }

    /// Whether a checkpoint would make room: rows are more than the one before takes, or all that
    /// could be let go of is more than this; and none is waiting.
    pub(super) const fn wants_checkpoint(&self, most_bytes: usize) -> bool {
        let is_worth_it = self.data_bytes > self.prelude.checkpoint_bytes();
        self.checkpoint.is_none() && (is_worth_it || self.frame_bytes > most_bytes)
    }

    fn use_checkpoint(&mut self) {
        let is_due = |checkpoint: &mut Checkpoint| {
            checkpoint.at <= self.let_go + self.settled_prefix && checkpoint.at > self.let_go
        };
        let Some(Checkpoint { at, frames }) = self.checkpoint.take_if(is_due) else { return };
        let count = at - self.let_go;
        let gone: Vec<LogFrame> = self.frames.drain(..count).collect();
        self.fates.drain(..count);
        self.settled_prefix -= count;
        self.let_go = at;
        for frame in &gone {
            self.frame_bytes -= frame.size();
            self.data_bytes -= if frame.sequence == 0 { 0 } else { frame.size() };
        }
        self.prelude.take(gone, frames);
    }

    /// Notes what became of its frames of these numbers; a settled frame stays settled.
    pub(super) fn settle(&mut self, sequences: RangeInclusive<u64>, fate: Fate) {
        let from = self.settled_prefix;
        for (frame, known) in self.frames[from..].iter().zip(&mut self.fates[from..]) {
            if frame.sequence > *sequences.end() {
                break;
            }
            if *known == Fate::Settled || !sequences.contains(&frame.sequence) {
                continue;
            }
            if fate == Fate::Settled {
                self.unsettled -= 1;
                self.event_bytes -= frame.event_bytes();
            }
            *known = fate;
        }
        let settled = self.fates[from..].iter().take_while(|fate| **fate == Fate::Settled);
        self.settled_prefix += settled.count();
        self.use_checkpoint();
    }

    /// Whether one of its frames has a number in this range.
    pub(crate) fn has_any(&self, sequences: &RangeInclusive<u64>) -> bool {
        let mut numbered = self.frames.iter().filter(|frame| frame.sequence > 0);
        let first = numbered.next().map(|frame| frame.sequence);
        let last = self.frames.iter().rev().find(|frame| frame.sequence > 0);
        first.zip(last).is_some_and(|(first, last)| {
            first <= *sequences.end() && last.sequence >= *sequences.start()
        })
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

    /// The frame with so many before it, if it is kept.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&LogFrame> {
        self.frames.get(index.checked_sub(self.let_go)?)
    }

    /// Its first so many frames were let go of, and the prelude goes in their place.
    #[must_use]
    pub const fn let_go(&self) -> usize {
        self.let_go
    }

    /// Number of its frames, with those that were let go of.
    #[must_use]
    pub fn end(&self) -> usize {
        self.let_go + self.frames.len()
    }

    /// One part of the prelude after the other, as frames; `None` past the last.
    ///
    /// # Errors
    /// When it cannot be unpacked.
    pub fn prelude(&self, part: usize) -> io::Result<Option<Vec<Bytes>>> {
        self.prelude.part(part)
    }

    /// Whether no more is appended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes of what is kept of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let waiting = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.frames.bytes());
        self.frame_bytes + self.prelude.bytes() + waiting
    }

    /// Bytes of its frames, without the prelude.
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
    pub const fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Bytes of its frames with events that are not settled.
    #[must_use]
    pub const fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// Whether a frame was not answered yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.fates[self.settled_prefix..].contains(&Fate::Waiting)
    }

    /// All numbered frames up to this one are settled.
    #[must_use]
    pub fn delivered_through(&self) -> u64 {
        let settled = self.frames[..self.settled_prefix].iter().rev();
        let newest = settled.map(|frame| frame.sequence).find(|sequence| *sequence > 0);
        newest.unwrap_or(self.prelude.through())
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
        for fate in &mut self.fates[self.settled_prefix..] {
            if *fate == Fate::Retry {
                *fate = Fate::Waiting;
            }
        }
    }

    /// The tick of the oldest frame that is not settled.
    #[must_use]
    pub fn oldest_unix_ms(&self) -> Option<i64> {
        self.unsettled_ticks().map(|(oldest, _)| oldest)
    }

    /// The first and last tick of what is not settled.
    #[must_use]
    pub fn unsettled_ticks(&self) -> Option<(i64, i64)> {
        let unsettled = self.frames.iter().zip(&self.fates).skip(self.settled_prefix);
        let mut ticks = unsettled
            .filter(|(_, fate)| **fate != Fate::Settled)
            .map(|(frame, _)| frame.tick_unix_ms);
        let first = ticks.next()?;
        Some(ticks.fold((first, first), |(from, to), tick| (from.min(tick), to.max(tick))))
    }

    /// Whether an earlier start left it on disk.
    #[must_use]
    pub const fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn remove_file(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(file = %file.display(), %error, "cannot remove a spool file that was sent");
        }
    }
}
