//! A spool file that is being written.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rustix::fs::{FallocateFlags, fallocate};

use super::{
    Part, read_part,
    record::{Kind, MAGIC, put},
};
use crate::spool::LogFrame;

/// Room is set aside in steps of this, so that the disk gives it in one piece, and so that a full
/// disk is known before a record is half written.
const STEP_BYTES: u64 = 1 << 20;

/// A file that records are appended to. What fails half way is taken back, so that the file ends
/// with a whole record at all times but in a crash.
#[derive(Debug)]
pub struct SegmentFile {
    path: PathBuf,
    file: File,
    /// Up to here all is whole.
    bytes: u64,
    /// Up to here there is room.
    set_aside: u64,
    can_set_aside: bool,
    /// Written since the last sync.
    pub is_dirty: bool,
}

impl SegmentFile {
    /// Begins a file with the Open of its segment.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(path: &Path, open: &[u8]) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let mut begun = Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            set_aside: 0,
            can_set_aside: true,
            is_dirty: false,
        };
        let mut content = MAGIC.to_vec();
        put(&mut content, Kind::Open, 0, 0, open);
        begun.write(&content)?;
        Ok(begun)
    }

    /// Goes on with a file after its first so many bytes.
    ///
    /// # Errors
    /// When the disk refuses. `InvalidData` where it has fewer bytes than that.
    pub fn reopen(path: &Path, bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < bytes {
            return Err(invalid("it is shorter than what was written to it"));
        }
        file.set_len(bytes)?;
        let path = path.to_owned();
        Ok(Self { path, file, bytes, set_aside: 0, can_set_aside: true, is_dirty: false })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written to it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends frames of the log.
    ///
    /// # Errors
    /// When the disk refuses; then none of them is in the file.
    pub fn append(&mut self, frames: &[LogFrame]) -> io::Result<()> {
        let bytes: usize = frames.iter().map(LogFrame::size).sum();
        let mut content = Vec::with_capacity(bytes);
        for frame in frames {
            let kind = match frame.sequence {
                0 => Kind::Define,
                _ if frame.is_events => Kind::Events,
                _ => Kind::Rows,
            };
            put(&mut content, kind, frame.sequence, frame.tick_unix_ms, &frame.bytes);
        }
        self.write(&content)
    }

    /// Appends definitions, or a checkpoint whose last frame has this number.
    ///
    /// # Errors
    /// When the disk refuses; then none of them is in the file.
    pub fn append_head(&mut self, through: Option<u64>, frames: &[Bytes]) -> io::Result<()> {
        let mut content = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 32).sum());
        for frame in frames {
            match through {
                None => put(&mut content, Kind::Define, 0, 0, frame),
                Some(through) => put(&mut content, Kind::Checkpoint, through, 0, frame),
            }
        }
        self.write(&content)
    }

    /// Appends the definitions of another file, all that there are up to this length.
    ///
    /// # Errors
    /// When the disk refuses. `InvalidData` where the other file is broken, or not there.
    pub fn copy_definitions(&mut self, from: &Path, bytes: u64) -> io::Result<()> {
        let other = File::open(from).map_err(|error| invalid(&error.to_string()))?;
        let mut offset = MAGIC.len() as u64;
        while offset < bytes {
            let part = read_part(&other, offset).map_err(|error| invalid(&error.to_string()));
            let Part { records, next, end } = part?;
            let defines = records.iter().filter(|record| record.kind == Kind::Define);
            let frames: Vec<Bytes> = defines.map(|record| record.bytes.clone()).collect();
            self.append_head(None, &frames)?;
            match end {
                Some(end) if next < bytes => return Err(invalid(&end.to_string())),
                _ => offset = next,
            }
        }
        Ok(())
    }

    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        let written = self
            .make_room(content.len() as u64)
            .and_then(|()| self.file.write_all_at(content, self.bytes));
        if written.is_err() {
            // Where this fails too, a reader takes what is left for a torn end.
            let _ = self.file.set_len(self.bytes);
            self.set_aside = 0;
            return written;
        }
        self.bytes += content.len() as u64;
        self.is_dirty = true;
        Ok(())
    }

    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let end = self.bytes + bytes;
        if !self.can_set_aside || end <= self.set_aside {
            return Ok(());
        }
        let step = (end - self.bytes).next_multiple_of(STEP_BYTES);
        // The length of the file stays that of its content.
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.bytes, step) {
            Ok(()) => self.set_aside = self.bytes + step,
            Err(rustix::io::Errno::NOSPC) => {
                // A step less may still do: the write says so.
                self.set_aside = self.bytes;
            }
            Err(_) => self.can_set_aside = false,
        }
        Ok(())
    }

    /// Makes what was written outlast a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.is_dirty = false;
        Ok(())
    }

    /// Gives back room that was set aside and not used.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        self.set_aside = 0;
        self.file.set_len(self.bytes)
    }

    /// Whether it still lies where it was made: it can be removed, or its directory can, while it is
    /// open.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let there = std::fs::metadata(&self.path);
        let here = self.file.metadata();
        there.is_ok_and(|there| here.is_ok_and(|here| there.ino() == here.ino()))
    }
}

/// What no other try will mend.
fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
