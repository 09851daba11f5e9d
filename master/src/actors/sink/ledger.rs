//! What a sink's actor counts, and the errors it has told of. It outlives the actor, so that a
//! restart forgets nothing.

use std::collections::HashSet;

use heapster_shared::tick;

/// Counters and the last error.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) rejected: u64,
    pub(super) dropped: u64,
    pub(super) retries: u64,
    pub(super) written_unix_ms: i64,
    pub(super) last_error: String,
    pub(super) last_error_unix_ms: i64,
    told: HashSet<String>,
}

/// Distinct errors that are remembered; past that, all may be told again.
const MOST_TOLD: usize = 64;

impl Ledger {
    /// Keeps an error; says whether it should be logged, which is so the first time since a
    /// success. Errors that differ in their numbers only are the same.
    pub(super) fn failed(&mut self, message: &str) -> bool {
        message.clone_into(&mut self.last_error);
        self.last_error_unix_ms = tick::unix_ms();
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert(message.replace(|c: char| c.is_ascii_digit(), ""))
    }

    /// Notes a success; says whether it ends a time of failures.
    pub(super) fn succeeded(&mut self) -> bool {
        self.written_unix_ms = tick::unix_ms();
        !std::mem::take(&mut self.told).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_once_until_it_is_over() {
        let mut ledger = Ledger::default();
        assert!(ledger.failed("cannot reach it: 3 attempts"));
        assert!(!ledger.failed("cannot reach it: 4 attempts"));
        assert!(ledger.failed("another"));
        assert_eq!(ledger.last_error, "another");
        assert!(ledger.succeeded());
        assert!(!ledger.succeeded());
        assert!(ledger.failed("another"));
    }
}
