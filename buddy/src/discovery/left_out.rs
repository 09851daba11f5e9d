//! What had to be left out of a list.

use heapster_shared::Set;

/// The entries of the newest list that are left out, each with where and why.
#[derive(Default)]
pub(super) struct LeftOut {
    reasons: Vec<String>,
    warned: Set<String>,
}

impl LeftOut {
    /// Those of a new list. Each is warned of once, for as long as it stays.
    pub(super) fn note(&mut self, discovery: &'static str, reasons: Vec<String>) {
        for reason in reasons.iter().filter(|reason| !self.warned.contains(*reason)) {
            tracing::warn!(discovery, %reason, "a host is left out");
        }
        self.warned = reasons.iter().cloned().collect();
        self.reasons = reasons;
    }

    /// The reasons.
    pub(super) fn reasons(&self) -> &[String] {
        &self.reasons
    }
}
