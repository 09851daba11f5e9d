//! What a sink's actor counts, and the errors it has told of. It outlives the actor, so that a
//! restart forgets nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use heapster_shared::tick;

use crate::status::DroppedSamples;

/// Counters and the last error.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) accepted: u64,
    pub(super) accepted_rows: u64,
    pub(super) filtered: u64,
    pub(super) merged: u64,
    pub(super) delivered: u64,
    pub(super) rejected: u64,
    pub(super) dropped: DroppedSamples,
    pub(super) given_back: u64,
    pub(super) retries: u64,
    pub(super) written_unix_ms: i64,
    pub(super) last_error: String,
    pub(super) last_error_unix_ms: i64,
    /// Whether a failure was logged that a later success should be logged for.
    pub(super) in_trouble: bool,
    told: HashMap<String, Instant>,
}

/// Why samples that waited are not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// There was no room for them.
    QueueFull,
    /// The sink stopped.
    Stopped,
}

/// Distinct errors that are remembered; past that, all may be told again.
const MOST_TOLD: usize = 64;
/// An error that goes on is told again after this time.
const TELL_AGAIN: Duration = Duration::from_secs(600);

impl Ledger {
    /// Counts samples that are lost to the sink.
    pub(super) fn lost(&mut self, samples: u64, loss: Loss) {
        match loss {
            Loss::QueueFull => self.dropped.queue_full += samples,
            Loss::Stopped => self.dropped.stopped += samples,
        }
    }

    /// Keeps an error; says whether it should be logged.
    pub(super) fn failed(&mut self, message: &str) -> bool {
        message.clone_into(&mut self.last_error);
        self.last_error_unix_ms = tick::unix_ms();
        self.is_news(message, Instant::now())
    }

    /// Whether an error was not told lately. Errors that differ in their numbers only are the same.
    fn is_news(&mut self, message: &str, now: Instant) -> bool {
        let key = message.replace(|c: char| c.is_ascii_digit(), "");
        let told = self.told.get(&key);
        if told.is_some_and(|told| now.saturating_duration_since(*told) < TELL_AGAIN) {
            return false;
        }
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert(key, now);
        true
    }

    /// Notes a success; says whether it ends a time of failures that were logged.
    pub(super) fn succeeded(&mut self) -> bool {
        self.written_unix_ms = tick::unix_ms();
        std::mem::take(&mut self.in_trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that is away for a day does not fill the disk with its error.
    #[test]
    fn an_error_is_told_once_in_a_while() {
        let mut ledger = Ledger::default();
        let start = Instant::now();
        assert!(ledger.is_news("cannot reach it: 3 attempts", start));
        assert!(!ledger.is_news("cannot reach it: 4 attempts", start));
        assert!(ledger.is_news("another", start));
        assert!(!ledger.is_news("another", start + TELL_AGAIN / 2));
        assert!(ledger.is_news("another", start + TELL_AGAIN));
    }

    #[test]
    fn an_end_of_trouble_is_told_once() {
        let mut ledger = Ledger::default();
        assert!(!ledger.succeeded());
        ledger.in_trouble = ledger.failed("away");
        assert!(ledger.succeeded());
        assert!(!ledger.succeeded());
        assert_eq!(ledger.last_error, "away");
    }
}
