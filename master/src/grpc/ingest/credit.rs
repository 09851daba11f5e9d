//! The credit of a stream: how many bytes a buddy may send before some have left the master's hands.

use std::sync::atomic::{AtomicI64, Ordering};

/// Bytes that may still be sent. Below zero where a frame was larger than all credit, which is
/// allowed while nothing else is under way.
#[derive(Debug)]
pub(super) struct CreditLine {
    granted: i64,
    left: AtomicI64,
}

impl CreditLine {
    /// All of the credit is there.
    pub(super) fn new(bytes: u64) -> Self {
        let granted = i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { granted, left: AtomicI64::new(granted) }
    }

    /// Bytes granted at the start.
    pub(super) const fn granted(&self) -> u64 {
        self.granted.unsigned_abs()
    }

    /// Takes the credit for a frame; false when there is too little.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let take =
            |left: i64| (left >= bytes || left == self.granted).then(|| left.saturating_sub(bytes));
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Gives the credit for a frame back.
    pub(super) fn give(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.left.fetch_add(bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_needs_its_credit() {
        let credit = CreditLine::new(100);
        assert!(credit.take(60));
        assert!(!credit.take(60));
        assert!(credit.take(40));
        credit.give(60);
        assert!(credit.take(60));
    }

    /// Otherwise a frame that is larger than the credit could never be sent.
    #[test]
    fn a_large_frame_may_go_alone() {
        let credit = CreditLine::new(100);
        assert!(credit.take(250));
        assert!(!credit.take(1));
        credit.give(250);
        assert!(credit.take(1));
        assert!(!credit.take(250));
    }
}
