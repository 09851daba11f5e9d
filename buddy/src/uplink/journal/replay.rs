//! The backfill stream: segments that could not be delivered as they were written, one after the
//! other, each from its start.

use std::{collections::VecDeque, io};

use bytes::Bytes;
use heapster_proto::v1::open::Purpose;
use tokio::time::Instant;

use super::{NoFrame, State, open_frame};
use crate::spool::{Segment, SegmentId};

/// Why a backfill stream was cut, as far as it matters for what it was sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut<'a> {
    /// The segment is as good as before.
    Lost,
    /// A master that cannot read the segment now never will: it is given up.
    Unreadable(&'a str),
    /// A limit was passed that may be another one tomorrow, or by another master: it is put off.
    Limit(&'a str),
}

/// Where the backfill stream is.
#[derive(Debug)]
pub(super) struct Replay {
    segment: SegmentId,
    is_open: bool,
    /// The part of the prelude that comes next, and what is left of the one before.
    part: usize,
    ready: VecDeque<Bytes>,
    /// The next frame after the prelude.
    next: usize,
}

impl Replay {
    const fn new(segment: SegmentId) -> Self {
        Self { segment, is_open: false, part: 0, ready: VecDeque::new(), next: 0 }
    }

    /// The segment that is being sent.
    pub(super) const fn segment(&self) -> SegmentId {
        self.segment
    }

    fn next(&mut self, segment: &Segment, session_id: &str) -> io::Result<Option<Bytes>> {
        if !self.is_open {
            self.is_open = true;
            self.next = segment.let_go();
            return Ok(Some(open_frame(segment, session_id, Purpose::Backfill)));
        }
        while self.ready.is_empty()
            && let Some(frames) = segment.prelude(self.part)?
        {
            self.part += 1;
            self.ready = frames.into();
        }
        if let Some(frame) = self.ready.pop_front() {
            return Ok(Some(frame));
        }
        let frame = segment.frame(self.next).map(|frame| frame.bytes.clone());
        self.next += usize::from(frame.is_some());
        Ok(frame)
    }
}

impl State {
    pub(super) fn next_backfill(&mut self) -> Result<Bytes, NoFrame> {
        loop {
            if let Some(replay) = &mut self.backfill {
                if self.spool.was_dropped(replay.segment) {
                    return Err(NoFrame::End);
                }
                if let Some(segment) = self.spool.segment(replay.segment) {
                    match replay.next(segment, &self.session_id) {
                        Ok(Some(frame)) => return Ok(frame),
                        Ok(None) if segment.is_waiting() => return Err(NoFrame::Wait(None)),
                        Ok(None) => {}
                        Err(error) => {
                            self.give_up(&error.to_string());
                            return Err(NoFrame::End);
                        }
                    }
                }
            }
            self.backfill = None;
            let Some(segment) = self.choose_backfill() else {
                return Err(NoFrame::Wait(self.spool.next_retry(Instant::now())));
            };
            self.backfill = Some(Replay::new(segment));
        }
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
        let live = self.live.as_ref();
        let chosen = self.spool.segments().find(|segment| {
            let is_behind = live.is_none_or(|live| live.is_behind(segment));
            let is_sent = live.is_some_and(|live| live.has_sent(segment));
            let is_answered = is_sent && put_off(segment) && !segment.is_waiting();
            let is_wanted = is_behind || segment.replayed || is_answered;
            segment.is_closed() && segment.unsettled() > 0 && is_wanted && is_due(segment)
        });
        let id = chosen?.id();
        self.spool.segment_mut(id)?.replay();
        Some(id)
    }

    pub(super) fn cut_backfill(&mut self, cut: Cut<'_>) {
        match cut {
            Cut::Lost => {}
            Cut::Unreadable(error) => self.give_up(error),
            Cut::Limit(error) => self.put_replay_off(error),
        }
        self.backfill = None;
    }

    /// The rows of the segment are lost, so that those after it are not.
    fn give_up(&mut self, error: &str) {
        let Some(replay) = self.backfill.take() else { return };
        let frames = self.spool.discard(replay.segment);
        self.rejected_frames += frames as u64;
        tracing::error!(frames, error, "the master cannot read a segment: its rows are lost");
    }

    fn put_replay_off(&mut self, error: &str) {
        let wait = self.put_off.next_wait();
        let replay = self.backfill.take();
        let Some(segment) = replay.and_then(|replay| self.spool.segment_mut(replay.segment)) else {
            return;
        };
        segment.put_off(Instant::now() + wait);
        let wait_ms = wait.as_millis() as u64;
        tracing::warn!(
            frames = segment.unsettled(),
            wait_ms,
            error,
            "a limit of the master was passed: rows from before are kept and sent again later"
        );
    }
}
