//! The journal: rows become frames at the tail of the spool, and the streams read them from there.
//!
//! The live stream starts with a fresh segment at each connection and follows the tail. What lies
//! before, and what the master put off, goes over the backfill stream: a segment at a time, from
//! its start, because its rows are differences to rows before.
//!
//! Where the spool is on disk, the [`keeper`] brings there what is written, and reads there what a
//! stream needs and memory does not have.

mod answers;
mod append;
mod counters;
mod keeper;
mod reader;
mod replay;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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
    spool::{Segment, SegmentId, Spool, SpoolConfig, SpoolState, stored::NewFile},
};
use counters::Counters;
pub use counters::Recalling;
use keeper::{Keeper, Stop};
use reader::{Fetch, Reader};
pub use replay::Cut;
use tail::Tail;

/// What is said of a disk that is there and slow.
const BEHIND: &str = "the disk of the spool does not keep up";

/// The spool with its writer and its readers.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    keeper: Option<Keeper>,
}

/// What the streams, the writer and the keeper have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// Told where the keeper may have something to do.
    work: Condvar,
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
    backfill: Option<Reader>,
    /// Parts of files that the streams, live and backfill, wait for.
    fetches: [Option<Fetch>; 2],
    put_off: Backoff,
    rejected_frames: u64,
    damage: DiskDamage,
    /// Why the disk is not used.
    disk_error: Option<String>,
    is_behind_told: bool,
    counters: Counters,
    stop: Stop,
    keeper_ended: bool,
}

/// What was found broken in the spool's files since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskDamage {
    /// Bytes that could not be used.
    pub bytes: u64,
    /// Frames in them, as far as they can be told.
    pub frames: u64,
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
    /// An empty journal of one start of a buddy, in so many bytes of memory.
    #[must_use]
    pub fn new(instance: Arc<str>, most_bytes: usize) -> Self {
        Self { shared: Arc::new(Shared::new(instance, most_bytes)), keeper: None }
    }

    /// The same where the spool is to be. One on disk is looked after by a thread from now on; what an
    /// earlier start left there is sent too.
    #[must_use]
    pub fn with_spool(instance: Arc<str>, config: SpoolConfig) -> Self {
        let shared = Arc::new(Shared::new(instance, config.memory_bytes));
        let Some(disk) = config.disk else { return Self { shared, keeper: None } };
        {
            let mut state = shared.lock();
            state.spool.use_disk(disk.most_bytes);
            state.counters = Counters::on_disk();
        }
        let keeper = Keeper::start(Arc::clone(&shared), disk);
        if keeper.is_none() {
            shared.lock().counters = Counters::default();
        }
        Self { shared, keeper }
    }

    /// Told of each change: new frames, and frames that were settled.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// How full the spool is.
    #[must_use]
    pub fn spool_state(&self) -> SpoolState {
        self.lock().spool.state()
    }

    /// Why rows are kept in memory alone, though there is a directory for them.
    #[must_use]
    pub fn disk_error(&self) -> Option<String> {
        let state = self.lock();
        let behind = state.spool.is_disk_behind().then(|| BEHIND.to_owned());
        state.disk_error.clone().or(behind)
    }

    /// What was found broken in the spool's files.
    #[must_use]
    pub fn disk_damage(&self) -> DiskDamage {
        self.lock().damage
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
        self.shared.tell();
    }

    /// Whether it keeps the newest samples of hosts for the next start.
    #[must_use]
    pub fn keeps_samples(&self) -> bool {
        self.lock().counters.is_kept()
    }

    /// The newest samples that an earlier start kept; for one who asks.
    #[must_use]
    pub fn recalling(&self) -> Recalling {
        self.lock().counters.recalling()
    }

    /// Appends events, as far as there is room for them; says how many were.
    pub fn write_events(&self, events: &[Event]) -> usize {
        let written = self.lock().write_events(events);
        self.shared.tell();
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
        let next = match purpose {
            Purpose::Backfill => state.next_backfill(),
            _ => state.next_live().ok_or(NoFrame::Wait(None)),
        };
        if state.fetches.iter().any(Option::is_some) {
            self.shared.work.notify_all();
        }
        next
    }

    /// What the master says of frames that came over this stream.
    pub fn settle(&self, purpose: Purpose, delivery: &Delivery) {
        self.lock().settle(purpose, delivery);
        self.shared.tell();
    }

    /// The backfill stream was cut: it starts again with an Open.
    pub fn cut_backfill(&self, cut: Cut<'_>) {
        self.lock().cut_backfill(cut);
    }

    /// Brings to disk what is not settled and not there yet, for as long as this at most, and lets
    /// go of the directory. What comes after that is in memory alone. Answers how many frames are not
    /// settled: on disk, and in memory alone.
    pub fn close(&self, within: Duration) -> (usize, usize) {
        {
            let mut state = self.lock();
            state.live = None;
            state.spool.close();
        }
        if let Some(keeper) = &self.keeper {
            keeper.finish(within);
        }
        self.lock().spool.unsettled_by_place()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn new(instance: Arc<str>, most_bytes: usize) -> Self {
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
            fetches: [None, None],
            put_off: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            rejected_frames: 0,
            damage: DiskDamage::default(),
            disk_error: None,
            is_behind_told: false,
            counters: Counters::default(),
            stop: Stop::No,
            keeper_ended: false,
        };
        Self { state: Mutex::new(state), changed: watch::Sender::default(), work: Condvar::new() }
    }

    /// Tells the streams and the keeper that something has changed.
    fn tell(&self) {
        self.changed.send_replace(());
        self.work.notify_all();
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
        let id = self.spool.begin();
        let is_behind = self.spool.is_disk_behind();
        if is_behind && !self.is_behind_told {
            tracing::warn!("{BEHIND}: rows are kept in memory until it does");
        }
        self.is_behind_told = is_behind;
        id
    }
}

/// The Open of a segment, as it is sent now.
fn open_frame(segment: &Segment, session_id: &str, purpose: Purpose) -> Bytes {
    encode_open(v1::Open {
        session_id: session_id.to_owned(),
        instance_id: segment.instance().to_string(),
        segment: segment.number(),
        purpose: purpose.into(),
        delivered_through: segment.delivered_through(),
    })
}

/// The Open that a file begins with: of no session yet.
fn open_bytes(file: &NewFile) -> Bytes {
    encode_open(v1::Open {
        session_id: String::new(),
        instance_id: file.instance.to_string(),
        segment: file.number,
        purpose: Purpose::Backfill.into(),
        delivered_through: file.delivered_through,
    })
}

fn encode_open(open: v1::Open) -> Bytes {
    Frame { sequence: 0, kind: Some(Kind::Open(open)) }.encode_to_vec().into()
}
