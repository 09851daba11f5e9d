//! The directory of the spool: who has it, what is in it, and how much room there is.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock, fstatvfs};

use super::scan::{Damage, Scanned, scan};

const EXTENSION: &str = "segment";
const LOCK: &str = "lock";
/// A file of which nothing can be used is kept under this name for a look, the newest such only.
const UNUSABLE: &str = "unusable";
/// What is left to others of the file system, where that is less than a twentieth of it.
const LEFT_TO_OTHERS: u64 = 64 << 20;

/// A directory that no other program uses as its spool.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

/// Why a directory cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Another program has it.
    #[error("another buddy uses it: give each a directory of its own")]
    InUse,
    /// The disk refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Directory {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    /// When another program has it, or the disk refuses.
    pub fn take(path: &Path) -> Result<Self, Unavailable> {
        fs::create_dir_all(path)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(path.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Unavailable::InUse,
            other => Unavailable::Io(other.into()),
        })?;
        let handle = File::open(path)?;
        Ok(Self { path: path.to_owned(), handle, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a segment of this name lies.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.{EXTENSION}"))
    }

    /// Looks through the files, oldest first. Gives what can be used, and tells of what cannot.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn scan(&self, mut damaged: impl FnMut(&Path, &Damage)) -> io::Result<Vec<Scanned>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(path);
            }
        }
        files.sort();
        let mut all = Vec::new();
        for path in files {
            match scan(&path) {
                Ok(scanned) => {
                    if let Some(damage) = &scanned.damage {
                        damaged(&path, damage);
                        if damage.is_lasting {
                            cut(&path, scanned.bytes);
                        }
                    }
                    all.push(scanned);
                }
                Err(damage) => {
                    damaged(&path, &damage);
                    if damage.is_lasting {
                        self.set_aside(&path, &damage);
                    }
                }
            }
        }
        Ok(all)
    }

    /// What was just begun has nothing to look at.
    fn set_aside(&self, path: &Path, damage: &Damage) {
        let done = match damage.bytes {
            0 => fs::remove_file(path),
            _ => fs::rename(path, self.path.join(UNUSABLE)),
        };
        if let Err(error) = done {
            tracing::debug!(file = %path.display(), %error, "it stays where it is");
        }
    }

    /// Makes new and removed names outlast a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// Whether it is still the directory of this name.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (there, here) = (fs::metadata(self.path.join(LOCK)), self._lock.metadata());
        there.is_ok_and(|there| here.is_ok_and(|here| there.ino() == here.ino()))
    }

    /// Bytes that may be added, with some left for others.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let space = fstatvfs(&self.handle)?;
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        let left = LEFT_TO_OTHERS.min(bytes(space.f_blocks) / 20);
        Ok(bytes(space.f_bavail).saturating_sub(left))
    }
}

/// Cuts what is broken off, so that it is told of once.
fn cut(path: &Path, bytes: u64) {
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(bytes));
    if let Err(error) = cut {
        tracing::debug!(file = %path.display(), %error, "what is broken stays in it");
    }
}
