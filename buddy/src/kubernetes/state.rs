//! How the watches do, for the page, the metrics and the log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use heapster_shared::tick::unix_ms;
use serde::Serialize;
use tokio::sync::watch;

/// How the watch of one resource does.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct WatchState {
    /// `nodes`, `pods`, ...
    pub resource: &'static str,
    /// Whether there was a full list; what it said stands, whatever happens since.
    pub synced: bool,
    /// Objects that are known.
    pub objects: usize,
    /// When the API server was last heard of this resource, be it that nothing changed, in
    /// milliseconds since 1970; 0 for never.
    pub heard_unix_ms: i64,
    /// When an object last changed, in milliseconds since 1970; 0 for never.
    pub newest_event_unix_ms: i64,
    /// Changes of objects so far.
    pub events: u64,
    /// Full lists so far.
    pub lists: u64,
    /// Watches that were begun so far.
    pub watches: u64,
    /// Failures so far.
    pub failures: u64,
    /// Since when it fails, in milliseconds since 1970; 0 when it does not.
    pub failing_since_unix_ms: i64,
    /// What went wrong last; it stays when all is well again.
    pub last_error: String,
}

/// Where a watch shows how it does.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<WatchState>,
    /// Counts the times that it began or ceased to fail, and the first list.
    turns: watch::Sender<u64>,
}

impl Board {
    pub(super) fn new(resource: &'static str) -> Self {
        let state = WatchState { resource, ..WatchState::default() };
        Self { state: Mutex::new(state), turns: watch::Sender::new(0) }
    }

    pub(super) fn state(&self) -> WatchState {
        self.lock().clone()
    }

    /// Sees another number whenever it begins or ceases to fail, and after the first list.
    pub(super) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// The API server answers as it should.
    pub(super) fn well(&self) {
        let mut state = self.lock();
        state.heard_unix_ms = unix_ms();
        if state.failing_since_unix_ms != 0 {
            state.failing_since_unix_ms = 0;
            tracing::info!(resource = state.resource, "the watch works again");
            self.turn(state);
        }
    }

    pub(super) fn listed(&self, objects: usize) {
        let mut state = self.lock();
        state.lists += 1;
        state.objects = objects;
        if !std::mem::replace(&mut state.synced, true) {
            tracing::info!(resource = state.resource, objects, "listed");
            self.turn(state);
        }
    }

    pub(super) fn watching(&self) {
        self.lock().watches += 1;
    }

    pub(super) fn event(&self, objects: usize) {
        let mut state = self.lock();
        state.events += 1;
        state.objects = objects;
        state.newest_event_unix_ms = unix_ms();
    }

    pub(super) fn failed(&self, error: String) {
        let mut state = self.lock();
        state.failures += 1;
        let began = state.failing_since_unix_ms == 0;
        // Said once, not at every attempt; the state has it all the time.
        if began || state.last_error != error {
            let resource = state.resource;
            tracing::warn!(resource, %error, "the watch fails; what is known stands");
        }
        state.last_error = error;
        if began {
            state.failing_since_unix_ms = unix_ms();
            self.turn(state);
        }
    }

    fn turn(&self, state: MutexGuard<'_, WatchState>) {
        drop(state);
        self.turns.send_modify(|turns| *turns += 1);
    }

    fn lock(&self) -> MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
