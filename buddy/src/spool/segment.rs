//! One segment of the log.

use std::{ops::RangeInclusive, path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::time::Instant;

/// Number of a segment within the log of this process, restored ones included: grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u64);

/// One frame, encoded.
#[derive(Clone, Debug)]
pub struct LogFrame {
    /// Its number; 0 for definitions.
    pub sequence: u64,
    /// The tick of its rows; 0 for definitions.
    pub tick_unix_ms: i64,
    /// The frame as it is sent.
    pub bytes: Bytes,
}

impl LogFrame {
    /// Memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>() + size_of::<Fate>()
    }
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Not sent, or not answered.
    Waiting,
    /// To be sent again.
    Retry,
    /// Delivered, or refused for good.
    Settled,
}

/// Frames from one Open up to the next; the Open itself is made anew for each time it is sent.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    instance: Arc<str>,
    number: u64,
    frames: Vec<LogFrame>,
    fates: Vec<Fate>,
    bytes: usize,
    definition_bytes: usize,
    unsettled: usize,
    /// So many frames from the first on are settled: answers mostly come in order.
    settled_prefix: usize,
    closed: bool,
    retry_at: Option<Instant>,
    /// Whether it has been sent, in part at least, as backfill.
    pub(crate) replayed: bool,
    pub(super) file: Option<PathBuf>,
}

impl Segment {
    pub(super) fn new(id: SegmentId, instance: Arc<str>, number: u64) -> Self {
        Self {
            id,
            instance,
            number,
            frames: Vec::new(),
            fates: Vec::new(),
            bytes: 0,
            definition_bytes: 0,
            unsettled: 0,
            settled_prefix: 0,
            closed: false,
            retry_at: None,
            replayed: false,
            file: None,
        }
    }

    pub(super) fn push(&mut self, frame: LogFrame) {
        self.bytes += frame.size();
        if frame.sequence == 0 {
            self.definition_bytes += frame.size();
            self.fates.push(Fate::Settled);
        } else {
            self.unsettled += 1;
            self.fates.push(Fate::Waiting);
        }
        self.frames.push(frame);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
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
            }
            *known = fate;
        }
        let settled = self.fates[from..].iter().take_while(|fate| **fate == Fate::Settled);
        self.settled_prefix += settled.count();
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

    /// Its frames in order.
    #[must_use]
    pub fn frames(&self) -> &[LogFrame] {
        &self.frames
    }

    /// Whether no more is appended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes of its frames.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of its definitions.
    #[must_use]
    pub const fn definition_bytes(&self) -> usize {
        self.definition_bytes
    }

    /// Bytes of all that is not a definition.
    #[must_use]
    pub const fn data_bytes(&self) -> usize {
        self.bytes - self.definition_bytes
    }

    /// Frames that are not settled.
    #[must_use]
    pub const fn unsettled(&self) -> usize {
        self.unsettled
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
        settled.map(|frame| frame.sequence).find(|sequence| *sequence > 0).unwrap_or(0)
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
