//! The backfill stream: segments that could not be delivered as they were written, one after the
//! other, each from its start.

use bytes::Bytes;
use heapster_proto::v1::open::Purpose;
use tokio::time::Instant;

use super::{
    NoFrame, State,
    reader::{Next, Reader},
    tail::UNREADABLE,
};
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

impl State {
    pub(super) fn next_backfill(&mut self) -> Result<Bytes, NoFrame> {
        loop {
            if let Some(reader) = &mut self.backfill {
                if self.spool.was_dropped(reader.segment()) {
                    return Err(NoFrame::End);
                }
                if let Some(segment) = self.spool.segment(reader.segment()) {
                    match reader.next(segment, &self.session_id, Purpose::Backfill) {
                        Next::Frame(_, frame) => return Ok(frame),
                        Next::Fetch(fetch) => {
                            self.fetches[1] = Some(fetch);
                            return Err(NoFrame::Wait(None));
                        }
                        Next::Wait => return Err(NoFrame::Wait(None)),
                        Next::End if segment.is_waiting() => return Err(NoFrame::Wait(None)),
                        Next::End => {}
                        Next::Broken(reason) => {
                            self.give_up_unreadable(&reason);
                            return Err(NoFrame::End);
                        }
                        Next::Restart => return Err(NoFrame::End),
                    }
                }
            }
            self.backfill = None;
            let Some(segment) = self.choose_backfill() else {
                return Err(NoFrame::Wait(self.spool.next_retry(Instant::now())));
            };
            self.backfill = Some(Reader::new(segment));
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
            let is_ready = segment.is_closed() && segment.is_whole() && segment.unsettled() > 0;
            is_ready && is_wanted && is_due(segment)
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
        let frames = self.spool.discard(replay.segment());
        self.rejected_frames += frames as u64;
        tracing::error!(frames, error, "the master cannot read a segment: its rows are lost");
    }

    fn give_up_unreadable(&mut self, reason: &str) {
        let Some(replay) = self.backfill.take() else { return };
        let frames = self.spool.discard(replay.segment());
        tracing::error!(frames, reason, "{UNREADABLE}");
    }

    fn put_replay_off(&mut self, error: &str) {
        let wait = self.put_off.next_wait();
        let replay = self.backfill.take();
        let Some(segment) = replay.and_then(|replay| self.spool.segment_mut(replay.segment()))
        else {
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
