//! What is left when the uplink has ended.

use std::{path::Path, sync::Arc};

use super::Journal;

/// What was not delivered when the uplink ended.
pub struct Remains(Arc<Journal>);

impl Remains {
    pub(super) const fn of(journal: Arc<Journal>) -> Self {
        Self(journal)
    }

    /// Writes it to this directory, or without one says how much is lost.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, directory: Option<&Path>) -> std::io::Result<()> {
        let frames = self.0.spool_state().frames;
        let rejected = self.0.rejected_frames();
        if rejected > 0 {
            tracing::warn!(frames = rejected, "the master refused frames while the buddy ran");
        }
        match directory {
            _ if frames == 0 => {}
            Some(directory) => {
                let frames = self.0.save(directory)?;
                tracing::info!(frames, directory = %directory.display(), "what is not delivered waits in the spool");
            }
            None => tracing::warn!(
                frames,
                "rows that were not delivered are lost; --spool DIR keeps them"
            ),
        }
        Ok(())
    }
}
