//! Files that others write anew while this program runs: certificates and tokens are rotated.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

/// How often files are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What tells one content of a file from another without reading it. Kubernetes exchanges a link to
/// a directory, so the file is another one each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of the file as it is now; none when it cannot be seen.
    pub(crate) fn of(path: &Path) -> Option<Self> {
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
pub(crate) struct LookedAt(Instant);

impl LookedAt {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// Whether it is time to look again; from then on it is not.
    pub(crate) fn is_due(&mut self, interval: Duration) -> bool {
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
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let told = |error: io::Error| format!("cannot read {}: {error}", path.display());
    std::fs::read_to_string(path).map_err(told)
}
