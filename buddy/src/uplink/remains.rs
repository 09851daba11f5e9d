//! What is left when the uplink has ended.

use std::{sync::Arc, time::Duration};

use super::Journal;

/// What a disk may take for what is left.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// What was not delivered when the uplink ended.
pub struct Remains(Arc<Journal>);

impl Remains {
    pub(super) const fn of(journal: Arc<Journal>) -> Self {
        Self(journal)
    }

    /// Brings it to disk, where the spool is there, and says how much waits there or is lost. Takes a
    /// few seconds where the disk hangs.
    pub fn keep(self) {
        let rejected = self.0.rejected_frames();
        if rejected > 0 {
            tracing::warn!(frames = rejected, "the master refused frames while the buddy ran");
        }
        let (kept, lost) = self.0.close(WRITE_WITHIN);
        if kept > 0 {
            tracing::info!(frames = kept, "what is not delivered waits in the spool");
        }
        if lost > 0 {
            tracing::warn!(
                frames = lost,
                "rows that were not delivered are lost; --spool DIR keeps them"
            );
        }
    }
}
