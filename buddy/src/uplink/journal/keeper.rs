//! The keeper: the one thread that touches the spool's files.
//!
//! It looks into the journal for what is to be written, read or removed, does it without holding the
//! journal, and says there what came of it. So a disk that hangs holds up neither polls nor streams:
//! what it should have written stays in memory, within the bound of that. Where the disk refuses, it
//! says so once and tries again, later and later; when that goes well, what is in memory follows.

mod counters;
mod errands;
mod files;

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Fetch, Shared, State};
use crate::{
    pipeline::HostSamples,
    spool::{disk::DiskConfig, stored::Append},
};
use files::Files;

/// How long a stop waits for the thread where nobody cares for what is left.
const END_WITHIN: Duration = Duration::from_secs(1);

/// The thread, and how it is ended.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// How far the keeper is with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stop {
    #[default]
    No,
    /// Once everything is on disk.
    WhenDone,
    Now,
}

/// What there is to do.
#[derive(Debug, Default)]
struct Work {
    fetches: Vec<(usize, Fetch)>,
    trash: Vec<Arc<std::path::Path>>,
    append: Option<Append>,
    samples: Vec<HostSamples>,
    stop: Stop,
}

impl Keeper {
    /// Starts the thread; none where the system has no room for one, and the spool is in memory.
    pub(super) fn start(shared: Arc<Shared>, config: DiskConfig) -> Option<Self> {
        let kept = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("spool".to_owned());
        match thread.spawn(move || run(&kept, config)) {
            Ok(thread) => Some(Self { shared, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread for the spool: rows are kept in memory");
                None
            }
        }
    }

    /// Lets it finish, for so long at most.
    pub(super) fn finish(&self, within: Duration) {
        self.stop(Stop::WhenDone, within);
    }

    fn stop(&self, stop: Stop, within: Duration) {
        self.shared.lock().stop = stop;
        self.shared.work.notify_all();
        // Threads have no join with an end; this one changes the journal when it ends.
        let deadline = Instant::now() + within;
        let mut state = self.shared.lock();
        while !self.thread.is_finished() && !state.keeper_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop(Stop::Now, END_WITHIN);
    }
}

fn run(shared: &Shared, config: DiskConfig) {
    let mut files = Files::new(config);
    loop {
        let had_directory = files.has_directory();
        files.look_after(shared);
        let work = wait(shared, &files);
        let is_idle = work.append.is_none() && work.trash.is_empty() && work.samples.is_empty();
        let is_stopping = match work.stop {
            Stop::No => false,
            // A stop may come before the first look at the directory. What cannot be written after
            // that will not be written in time.
            Stop::WhenDone => had_directory == files.has_directory() && (is_idle || !files.is_up()),
            Stop::Now => true,
        };
        if is_stopping {
            break;
        }
        for (slot, fetch) in work.fetches {
            files.fetch(shared, slot, &fetch);
        }
        work.trash.iter().for_each(|path| files.remove(path));
        if let Some(append) = work.append {
            files.append(shared, append);
        }
        if !work.samples.is_empty() {
            files.keep_samples(shared, &work.samples);
        }
        files.keep_up(shared);
    }
    let stop = shared.lock().stop;
    if stop == Stop::WhenDone {
        files.finish(shared);
    }
    drop(files);
    shared.lock().keeper_ended = true;
    shared.work.notify_all();
}

/// Waits until there is something to do, or it is time to look.
fn wait(shared: &Shared, files: &Files) -> Work {
    let mut state = shared.lock();
    loop {
        let work = state.work(files);
        let left = files.next_look().saturating_duration_since(Instant::now());
        let is_work = !work.fetches.is_empty()
            || !work.trash.is_empty()
            || work.append.is_some()
            || !work.samples.is_empty();
        if is_work || left.is_zero() || work.stop != Stop::No {
            return work;
        }
        let waited = shared.work.wait_timeout(state, left);
        state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
    }
}

impl State {
    fn work(&mut self, files: &Files) -> Work {
        if !files.has_directory() {
            return Work { stop: self.stop, ..Work::default() };
        }
        let fetches = self.fetches.iter_mut().enumerate();
        let fetches = fetches.filter_map(|(slot, fetch)| fetch.take().map(|fetch| (slot, fetch)));
        let fetches = fetches.collect();
        let append = if files.can_write() { self.spool.next_append() } else { None };
        // Behind the rows that they stand for.
        let is_their_turn = append.is_none() && files.is_up();
        let samples = if is_their_turn { self.counters.take() } else { Vec::new() };
        Work { fetches, trash: self.spool.take_trash(), append, samples, stop: self.stop }
    }
}
