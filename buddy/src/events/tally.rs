//! What became of events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts events that were news.
#[derive(Debug, Default)]
pub struct EventTally {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl EventTally {
    /// Counts events that are on their way.
    pub fn count_sent(&self, events: usize) {
        self.sent.fetch_add(events as u64, Relaxed);
    }

    /// Counts events that were left out.
    pub fn count_dropped(&self, events: usize) {
        self.dropped.fetch_add(events as u64, Relaxed);
    }

    /// Events that are, or were, on their way.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Events that were left out.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}
