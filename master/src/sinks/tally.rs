//! What became of the samples of a write that takes several requests.

use super::{SinkError, Written};

/// Counts of samples.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The peer has these.
    pub(super) delivered: u64,
    rejected: u64,
    reason: String,
}

impl Tally {
    /// Samples that the peer, or we, refuse for good.
    pub(super) fn refuse(&mut self, samples: u64, reason: &str) {
        self.rejected += samples;
        if samples > 0 {
            reason.clone_into(&mut self.reason);
        }
    }

    /// The write as a whole: one of which nothing was taken has failed.
    ///
    /// # Errors
    /// When samples were refused and none was taken.
    pub(super) fn finish(self) -> Result<Written, SinkError> {
        if self.delivered == 0 && self.rejected > 0 {
            return Err(SinkError::Permanent { message: self.reason });
        }
        Ok(Written { delivered: self.delivered, rejected: self.rejected, reason: self.reason })
    }
}
