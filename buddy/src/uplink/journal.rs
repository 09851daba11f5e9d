//! The journal: rows become frames at the tail of the spool, and the streams read them from there.
//!
//! The live stream starts with a fresh segment at each connection and follows the tail. What lies
//! before, and what the master put off, goes over the backfill stream: a segment at a time, from
//! its start, because its rows are differences to rows before.

#[cfg(test)]
mod tests;

use std::{
    ops::RangeInclusive,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use heapster_proto::v1::{self, Delivery, Frame, delivery::Outcome, frame::Kind, open::Purpose};
use heapster_shared::{backoff::Backoff, tick::unix_ms};
use prost::Message;
use tokio::{sync::watch, time::Instant};

use super::encode::{SegmentWriter, WriteLimits};
use crate::{
    poller::{Polled, RoundEnd},
    spool::{Fate, LogFrame, Segment, SegmentId, Spool, SpoolState, disk},
};

/// The spool with its writer and its readers.
#[derive(Debug)]
pub struct Journal {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    spool: Spool,
    writer: SegmentWriter,
    limits: WriteLimits,
    last_sequence: u64,
    session_id: String,
    /// Where the live stream of this session began.
    live_from: SegmentId,
    live: Cursor,
    backfill: Option<Cursor>,
    put_off: Backoff,
    rejected_frames: u64,
}

/// Where a stream is: the next frame of a segment; `None` for its Open.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    segment: SegmentId,
    next: Option<usize>,
}

/// Why there is no frame for a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoFrame {
    /// Ask again when the journal has changed, or at this time.
    Wait(Option<Instant>),
    /// The stream has to be opened anew: what it was sending was dropped, and answers to that must
    /// not be taken for answers to another segment, whose frames may have the same numbers.
    End,
}

/// Between sessions: behind all segments.
const NO_LIVE: Cursor = Cursor { segment: SegmentId(u64::MAX), next: None };

impl Journal {
    /// An empty journal of one start of a buddy.
    #[must_use]
    pub fn new(instance: Arc<str>, most_bytes: usize) -> Self {
        let limits = WriteLimits::default();
        let state = State {
            spool: Spool::new(instance, most_bytes),
            writer: SegmentWriter::new(limits),
            limits,
            last_sequence: 0,
            session_id: String::new(),
            live_from: NO_LIVE.segment,
            live: NO_LIVE,
            backfill: None,
            put_off: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            rejected_frames: 0,
        };
        Self { state: Mutex::new(state), changed: watch::Sender::default() }
    }

    /// Told of each change: new frames, and frames that were settled.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How full the spool is.
    #[must_use]
    pub fn spool_state(&self) -> SpoolState {
        self.lock().spool.state()
    }

    /// Frames that a master refused for good, since the start.
    #[must_use]
    pub fn rejected_frames(&self) -> u64 {
        self.lock().rejected_frames
    }

    /// Appends what was polled.
    pub fn write(&self, polled: &Polled) {
        self.lock().write(polled);
        self.changed.send_replace(());
    }

    /// Begins what the live stream of a new session sends.
    pub fn start_session(&self, session_id: String, limits: WriteLimits) {
        let mut state = self.lock();
        state.session_id = session_id;
        state.limits = limits;
        let segment = state.begin();
        state.live_from = segment;
        state.live = Cursor { segment, next: None };
        state.backfill = None;
    }

    /// The session is over, if there was one: what comes now is for the next one.
    pub fn end_session(&self) {
        let mut state = self.lock();
        if state.live_from == NO_LIVE.segment {
            return;
        }
        state.spool.close();
        state.live_from = NO_LIVE.segment;
        state.live = NO_LIVE;
        state.backfill = None;
    }

    /// The next frame for a stream.
    ///
    /// # Errors
    /// What to do where there is none.
    pub fn next(&self, purpose: Purpose) -> Result<Bytes, NoFrame> {
        let mut state = self.lock();
        match purpose {
            Purpose::Backfill => state.next_backfill(),
            _ => state.next_live().ok_or(NoFrame::Wait(None)),
        }
    }

    /// What the master says of frames that came over this stream.
    pub fn settle(&self, purpose: Purpose, delivery: &Delivery) {
        self.lock().settle(purpose, delivery);
        self.changed.send_replace(());
    }

    /// The backfill stream was cut: it starts again with an Open. When the master cannot read what
    /// it was sent, the segment is given up.
    pub fn cut_backfill(&self, unreadable: Option<&str>) {
        let mut state = self.lock();
        let Some(cursor) = state.backfill.take() else { return };
        let Some(error) = unreadable else { return };
        let frames = state.spool.discard(cursor.segment);
        state.rejected_frames += frames as u64;
        tracing::error!(frames, error, "the master cannot read a segment: its rows are lost");
    }

    /// Takes over what an earlier start left on disk.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn restore(&self, directory: &Path) -> std::io::Result<usize> {
        let mut state = self.lock();
        let mut frames = 0;
        for stored in disk::read_all(directory)? {
            match decode(&stored.records) {
                Ok((open, log)) => {
                    frames +=
                        log.iter().filter(|frame| frame.sequence > open.delivered_through).count();
                    let instance = Arc::from(open.instance_id);
                    let through = open.delivered_through;
                    state.spool.restore(instance, open.segment, through, log, stored.file);
                }
                Err(error) => disk::set_aside(&stored.file, &error),
            }
        }
        Ok(frames)
    }

    /// Writes what is not settled to disk; returns how many frames that are.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, directory: &Path) -> std::io::Result<usize> {
        let state = self.lock();
        let mut frames = 0;
        for segment in state.spool.segments().filter(|segment| segment.unsettled() > 0) {
            frames += segment.unsettled();
            if segment.is_on_disk() {
                continue;
            }
            let open = open_frame(segment, String::new(), Purpose::Backfill);
            let name = format!("{:013}-{}-{:08}", unix_ms(), segment.instance(), segment.number());
            let records = segment.frames().iter().map(|frame| frame.bytes.as_ref());
            disk::write(directory, &name, std::iter::once(open.as_ref()).chain(records))?;
        }
        Ok(frames)
    }

    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self) -> SegmentId {
        self.writer = SegmentWriter::new(self.limits);
        self.spool.begin()
    }

    fn write(&mut self, polled: &Polled) {
        let has_room = match polled {
            Polled::Rows(batch) => self.writer.has_room_for(batch),
            Polled::RoundEnd(_) => true,
        };
        let is_full = self.writer.is_full() || !has_room;
        if self.spool.open().is_none() || is_full || self.spool.is_rotation_due() {
            self.begin();
        }
        match polled {
            Polled::Rows(batch) => {
                let left_out = self.writer.left_out();
                for kind in self.writer.rows(batch) {
                    self.append(kind, batch.tick.0);
                }
                let rows = self.writer.left_out() - left_out;
                // Once a segment: it is likely so at each tick.
                if rows > 0 && left_out == 0 {
                    tracing::warn!(
                        rows,
                        "rows are left out: the master would not take their names or metrics, or so many at once"
                    );
                }
            }
            Polled::RoundEnd(end) => {
                if let Some(ended) = self.writer.end_unused() {
                    self.append(ended, end.tick.0);
                }
                self.append(round_end(*end), end.tick.0);
            }
        }
    }

    fn append(&mut self, kind: Kind, tick_unix_ms: i64) {
        let sequence = match &kind {
            Kind::Open(_) | Kind::Define(_) => 0,
            Kind::Batch(_) | Kind::Events(_) | Kind::RoundEnd(_) => {
                self.last_sequence += 1;
                self.last_sequence
            }
        };
        let bytes = Frame { sequence, kind: Some(kind) }.encode_to_vec().into();
        // Refused only where the segment was dropped whole, because the spool is too small for it:
        // then this frame, which goes with the same segment, is lost too.
        if !self.spool.append(LogFrame { sequence, tick_unix_ms, bytes }) && sequence > 0 {
            self.spool.count_dropped();
        }
    }

    fn next_live(&mut self) -> Option<Bytes> {
        loop {
            let segment = self.spool.first_from(self.live.segment)?;
            if segment.id() != self.live.segment {
                self.live = Cursor { segment: segment.id(), next: None };
            }
            let Some(next) = self.live.next else {
                self.live.next = Some(0);
                return Some(open_frame(segment, self.session_id.clone(), Purpose::Live));
            };
            if let Some(frame) = segment.frames().get(next) {
                self.live.next = Some(next + 1);
                return Some(frame.bytes.clone());
            }
            if !segment.is_closed() {
                return None;
            }
            self.live = Cursor { segment: SegmentId(segment.id().0 + 1), next: None };
        }
    }

    fn next_backfill(&mut self) -> Result<Bytes, NoFrame> {
        if self.backfill.is_some_and(|cursor| self.spool.was_dropped(cursor.segment)) {
            return Err(NoFrame::End);
        }
        if let Some(cursor) = self.backfill
            && let Some(segment) = self.spool.segment(cursor.segment)
        {
            let next = cursor.next.map_or(0, |next| next + 1);
            let frame = match cursor.next {
                None => Some(open_frame(segment, self.session_id.clone(), Purpose::Backfill)),
                Some(next) => segment.frames().get(next).map(|frame| frame.bytes.clone()),
            };
            if let Some(frame) = frame {
                self.backfill = Some(Cursor { next: Some(next), ..cursor });
                return Ok(frame);
            }
            if segment.is_waiting() {
                return Err(NoFrame::Wait(None));
            }
        }
        self.backfill = None;
        let Some(segment) = self.choose_backfill() else {
            return Err(NoFrame::Wait(self.spool.next_retry(Instant::now())));
        };
        self.backfill = Some(Cursor { segment, next: None });
        self.next_backfill()
    }

    /// The oldest segment that the live stream will not deliver: from before this session, or sent
    /// and put off by the master for a time that is over.
    fn choose_backfill(&mut self) -> Option<SegmentId> {
        let now = Instant::now();
        let is_due = |segment: &Segment| segment.retry_at().is_none_or(|at| at <= now);
        let put_off = |segment: &Segment| segment.retry_at().is_some();
        if self.spool.open().is_some_and(|open| put_off(open) && is_due(open)) {
            self.begin();
        }
        let live = self.live;
        let is_sent = |segment: &Segment| {
            let id = segment.id();
            id < live.segment || id == live.segment && live.next == Some(segment.frames().len())
        };
        let first_of_session = self.live_from;
        let chosen = self.spool.segments().find(|segment| {
            let from_before = segment.id() < first_of_session || segment.replayed;
            let answered = is_sent(segment) && put_off(segment) && !segment.is_waiting();
            let is_wanted = from_before || answered;
            segment.is_closed() && segment.unsettled() > 0 && is_wanted && is_due(segment)
        });
        let id = chosen?.id();
        self.spool.segment_mut(id)?.replay();
        Some(id)
    }

    fn settle(&mut self, purpose: Purpose, delivery: &Delivery) {
        let scope = match purpose {
            Purpose::Backfill => self.backfill.map(|cursor| cursor.segment),
            _ => None,
        };
        if purpose == Purpose::Backfill && scope.is_none() {
            return;
        }
        let sequences = delivery.first_sequence..=delivery.last_sequence;
        match delivery.outcome() {
            Outcome::Delivered => {
                self.put_off.reset();
                if !delivery.rejected_entities.is_empty() {
                    let rows = delivery.rejected_entities.len();
                    tracing::warn!(rows, reason = delivery.message, "the master refused rows");
                }
                self.spool.settle(scope, sequences, Fate::Settled);
            }
            Outcome::Rejected => {
                let frames = sequences.end().saturating_sub(*sequences.start()).saturating_add(1);
                self.rejected_frames = self.rejected_frames.saturating_add(frames);
                tracing::warn!(frames, reason = delivery.message, "the master refused frames");
                self.spool.settle(scope, sequences, Fate::Settled);
            }
            Outcome::Retry | Outcome::Unspecified => {
                let asked = Duration::from_millis(u64::from(delivery.retry_after_ms));
                self.retry(scope, sequences, asked);
            }
        }
    }

    fn retry(&mut self, scope: Option<SegmentId>, sequences: RangeInclusive<u64>, asked: Duration) {
        let put_off = &mut self.put_off;
        let until = || Instant::now() + asked.max(put_off.next_wait());
        self.spool.put_off(scope, &sequences, until);
        self.spool.settle(scope, sequences, Fate::Retry);
    }
}

/// The Open of a segment, as it is sent now.
fn open_frame(segment: &Segment, session_id: String, purpose: Purpose) -> Bytes {
    let open = v1::Open {
        session_id,
        instance_id: segment.instance().to_string(),
        segment: segment.number(),
        purpose: purpose.into(),
        delivered_through: segment.delivered_through(),
    };
    Frame { sequence: 0, kind: Some(Kind::Open(open)) }.encode_to_vec().into()
}

fn round_end(end: RoundEnd) -> Kind {
    Kind::RoundEnd(v1::RoundEnd {
        tick_unix_ms: end.tick.0.unsigned_abs(),
        hosts_ok: end.ok,
        hosts_failed: end.failed,
        hosts_late: end.late,
    })
}

/// The Open and the frames of a segment that was read from disk.
fn decode(records: &[Bytes]) -> Result<(v1::Open, Vec<LogFrame>), String> {
    let frame = |bytes: &Bytes| Frame::decode(bytes.clone()).map_err(|error| error.to_string());
    let (first, rest) = records.split_first().ok_or("it is empty")?;
    let Some(Kind::Open(open)) = frame(first)?.kind else {
        return Err("it does not start with an Open".to_owned());
    };
    let mut log = Vec::with_capacity(rest.len());
    for bytes in rest {
        let decoded = frame(bytes)?;
        let tick = match &decoded.kind {
            Some(Kind::Batch(batch)) => batch.tick_unix_ms,
            Some(Kind::RoundEnd(end)) => end.tick_unix_ms,
            _ => 0,
        };
        let tick_unix_ms = i64::try_from(tick).unwrap_or(0);
        log.push(LogFrame { sequence: decoded.sequence, tick_unix_ms, bytes: bytes.clone() });
    }
    Ok((open, log))
}
