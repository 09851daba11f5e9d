//! Files that others write anew while this program runs: certificates and tokens are rotated.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

/// What tells one content of a file from another without reading it. Kubernetes exchanges a link to
/// a directory, so the file is another one each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of the file as it is now; none when it cannot be seen.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// When it was looked last whether something changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookedAt(Instant);

impl LookedAt {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    /// Whether it is time to look again; from then on it is not.
    pub(super) fn is_due(&mut self, interval: Duration) -> bool {
        let due = self.0.elapsed() >= interval;
        if due {
            self.0 = Instant::now();
        }
        due
    }
}

/// A small text file, read where a moment's wait on a disk hurts nobody.
///
/// # Errors
/// A sentence with the path.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let told = |error: io::Error| format!("cannot read {}: {error}", path.display());
    std::fs::read_to_string(path).map_err(told)
}
