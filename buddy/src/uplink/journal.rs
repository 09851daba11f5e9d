//! The journal: rows become frames at the tail of the spool, and the streams read them from there.
//!
//! The live stream starts with a fresh segment at each connection and follows the tail. What lies
//! before, and what the master put off, goes over the backfill stream: a segment at a time, from
//! its start, because its rows are differences to rows before.

mod answers;
mod append;
mod replay;
mod stored;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use heapster_proto::v1::{self, Delivery, Frame, frame::Kind, open::Purpose};
use heapster_shared::{backoff::Backoff, event::Event};
use prost::Message;
use tokio::{sync::watch, time::Instant};

use super::encode::{SegmentWriter, WriteLimits};
use crate::{
    poller::Polled,
    spool::{Segment, SegmentId, Spool, SpoolState},
};
pub use replay::Cut;
use replay::Replay;
use tail::Tail;

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
    /// Where the live stream is, in a session.
    live: Option<Tail>,
    /// The last frame that a live stream was given.
    sent_live: u64,
    backfill: Option<Replay>,
    put_off: Backoff,
    rejected_frames: u64,
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
            live: None,
            sent_live: 0,
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

    /// Memory that is needed to write the open segment, beside the spool.
    #[must_use]
    pub fn writer_bytes(&self) -> usize {
        self.lock().writer.size()
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

    /// Appends events, as far as there is room for them; says how many were.
    pub fn write_events(&self, events: &[Event]) -> usize {
        let written = self.lock().write_events(events);
        self.changed.send_replace(());
        written
    }

    /// Begins what the live stream of a new session sends.
    pub fn start_session(&self, session_id: String, limits: WriteLimits) {
        let mut state = self.lock();
        state.session_id = session_id;
        state.limits = limits;
        let segment = state.begin();
        state.live = Some(Tail::new(segment));
        state.backfill = None;
    }

    /// The session is over, if there was one: what comes now is for the next one.
    pub fn end_session(&self) {
        let mut state = self.lock();
        if state.live.take().is_some() {
            state.spool.close();
            state.backfill = None;
        }
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

    /// The backfill stream was cut: it starts again with an Open.
    pub fn cut_backfill(&self, cut: Cut<'_>) {
        self.lock().cut_backfill(cut);
    }

    /// Takes over what an earlier start left on disk; returns how many frames wait there.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn restore(&self, directory: &Path) -> std::io::Result<usize> {
        stored::restore(&mut self.lock().spool, directory)
    }

    /// Writes what is not settled to disk; returns how many frames that are.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, directory: &Path) -> std::io::Result<usize> {
        stored::save(&self.lock().spool, directory)
    }

    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins the segment that comes next.
    fn begin(&mut self) -> SegmentId {
        self.writer = SegmentWriter::new(self.limits);
        self.spool.begin()
    }
}

/// The Open of a segment, as it is sent now.
fn open_frame(segment: &Segment, session_id: &str, purpose: Purpose) -> Bytes {
    let open = v1::Open {
        session_id: session_id.to_owned(),
        instance_id: segment.instance().to_string(),
        segment: segment.number(),
        purpose: purpose.into(),
        delivered_through: segment.delivered_through(),
    };
    Frame { sequence: 0, kind: Some(Kind::Open(open)) }.encode_to_vec().into()
}
