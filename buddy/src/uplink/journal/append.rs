//! Writing to the tail: what was polled or observed becomes frames of the open segment.

use heapster_proto::v1::{self, frame::Kind};
use heapster_shared::{event::Event, row::RowBatch};

use super::State;
use crate::{
    poller::{Polled, RoundEnd},
    spool::LogFrame,
    uplink::encode::{Encoded, event_batches},
};

impl State {
    pub(super) fn write(&mut self, polled: &Polled) {
        let has_room = match polled {
            Polled::Rows(batch) => self.writer.has_room_for(batch),
            Polled::Samples(samples) => return self.counters.put(samples),
            Polled::RoundEnd(_) => true,
        };
        self.make_ready(has_room);
        match polled {
            Polled::Rows(batch) => {
                self.write_rows(batch);
                if self.spool.is_checkpoint_urgent() {
                    self.set_checkpoint(batch.tick.0);
                }
            }
            Polled::Samples(_) => {}
            Polled::RoundEnd(end) => self.end_round(*end),
        }
    }

    /// Begins a segment where there is none, or where a new one is better.
    fn make_ready(&mut self, has_room: bool) {
        let is_full = self.writer.is_full() || !has_room;
        let is_long = self.spool.is_rotation_due();
        if self.spool.open().is_none() || is_full || is_long {
            tracing::debug!(is_full, is_long, "a new segment begins");
            self.begin();
        }
    }

    /// Appends events, as far as there is room for them; says how many were.
    pub(super) fn write_events(&mut self, events: &[Event]) -> usize {
        let mut written = 0;
        for batch in event_batches(events, &self.limits) {
            if !self.spool.takes_events() {
                break;
            }
            self.make_ready(true);
            written += batch.events.len();
            let newest = batch.events.iter().map(|event| event.last_unix_ms).max();
            let time_ms = newest.and_then(|newest| i64::try_from(newest).ok()).unwrap_or(0);
            self.last_sequence += 1;
            let frame = Encoded::new(self.last_sequence, Kind::Events(batch));
            self.append(LogFrame { is_events: true, ..log_frame(frame, time_ms) });
        }
        written
    }

    fn write_rows(&mut self, batch: &RowBatch) {
        let left_out = self.writer.left_out();
        for frame in self.writer.rows(batch, &mut self.last_sequence) {
            self.append(log_frame(frame, batch.tick.0));
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

    fn end_round(&mut self, end: RoundEnd) {
        if let Some(ended) = self.writer.end_unused() {
            self.append(log_frame(ended, end.tick.0));
        }
        self.last_sequence += 1;
        let ended = Encoded::new(self.last_sequence, round_end(end));
        self.append(log_frame(ended, end.tick.0));
        if self.spool.is_roll_due() {
            self.roll(end.tick.0);
        } else {
            self.set_checkpoint(end.tick.0);
        }
    }

    /// Goes on in the next file: what is defined is defined there too, and a checkpoint stands for
    /// the rows so far.
    fn roll(&mut self, tick_unix_ms: i64) {
        let Some(frames) = self.writer.checkpoint(self.last_sequence) else { return };
        let frames = frames.into_iter().map(|frame| log_frame(frame, tick_unix_ms));
        self.spool.roll(frames.collect());
    }

    /// Lets go of what is settled, now or when it is: in a session only, since without one nothing is
    /// settled.
    fn set_checkpoint(&mut self, tick_unix_ms: i64) {
        let is_live = self.live.as_ref().map(|live| live.segment())
            == self.spool.open().map(|open| open.id());
        if !is_live || !self.spool.wants_checkpoint() {
            return;
        }
        let Some(frames) = self.writer.checkpoint(self.last_sequence) else { return };
        let frames = frames.into_iter().map(|frame| log_frame(frame, tick_unix_ms));
        self.spool.set_checkpoint(frames.collect());
    }

    fn append(&mut self, frame: LogFrame) {
        let is_numbered = frame.sequence > 0;
        // Refused only where the segment was dropped whole, because the spool is too small for it:
        // then this frame, which goes with the same segment, is lost too.
        if !self.spool.append(frame) && is_numbered {
            self.spool.count_dropped();
        }
    }
}

fn log_frame(frame: Encoded, tick_unix_ms: i64) -> LogFrame {
    LogFrame { sequence: frame.sequence, tick_unix_ms, is_events: false, bytes: frame.bytes }
}

fn round_end(end: RoundEnd) -> Kind {
    Kind::RoundEnd(v1::RoundEnd {
        tick_unix_ms: end.tick.0.unsigned_abs(),
        hosts_ok: end.ok,
        hosts_failed: end.failed,
        hosts_late: end.late,
    })
}
