//! What the keeper does with the file of counters.

use heapster_shared::tick::unix_ms;

use super::{
    super::{Shared, counters::pack},
    files::Files,
};
use crate::{
    pipeline::HostSamples,
    spool::disk::counters::{CountersFile, HostRecord, NotKept},
};

/// The part of the spool's bytes that counters may have.
const PART: u64 = 4;

impl Files {
    /// Opens the file of counters, and gives what is in it to whoever waits for it. Segments do
    /// without it.
    pub(super) fn recall(&mut self, shared: &Shared) {
        let Some(directory) = &self.directory else { return };
        let most_bytes = self.config.most_bytes as u64 / PART;
        let trouble = match CountersFile::open(directory.path(), most_bytes) {
            Ok((file, found)) => {
                self.counters = Some(file);
                found.map(|records| shared.recall(&records)).err().map(|error| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = trouble {
            tracing::warn!(
                directory = %self.config.directory.display(),
                error,
                "the file of counters cannot be used: rates begin anew"
            );
        }
    }

    /// Writes what is known of hosts now.
    pub(super) fn keep_samples(&mut self, shared: &Shared, samples: &[HostSamples]) {
        let Some(file) = &mut self.counters else { return };
        let records: Result<Vec<HostRecord>, _> = samples.iter().map(pack).collect();
        let kept = records.map_err(NotKept::from).and_then(|it| file.append(&it, unix_ms()));
        match kept {
            Ok(()) => {}
            Err(NotKept::Io(error)) => self.fail(shared, &error.to_string()),
            Err(error @ NotKept::TooLarge) => {
                shared.lock().counters.stop();
                tracing::warn!(
                    %error,
                    "after a restart rates will begin anew; --spool-bytes gives more room"
                );
            }
        }
    }
}
