//! What of a segment is on disk.

use std::{path::Path, sync::Arc};

use super::{Prelude, Segment, SegmentId};
use crate::spool::LogFrame;

#[derive(Debug, Default)]
pub(super) struct OnDisk {
    /// The segment whose definitions it goes on with, where there is one.
    pub(super) continues: Option<SegmentId>,
    pub(super) file: Option<StoredFile>,
}

/// What of a segment is in its file.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Where it lies.
    pub path: Arc<Path>,
    /// Where the record after its Open begins.
    pub first: u64,
    /// Where its first frame begins; between the two is what goes before that.
    pub head: u64,
    /// So many frames have been written, those that were let go of before included.
    pub frames: usize,
    /// Its length.
    pub bytes: u64,
}

impl Segment {
    /// Whether it belongs on disk, or did so when it was begun.
    #[must_use]
    pub const fn is_on_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// What of it is in a file.
    #[must_use]
    pub fn file(&self) -> Option<&StoredFile> {
        self.disk.as_ref()?.file.as_ref()
    }

    /// The segment whose definitions it goes on with.
    #[must_use]
    pub fn continues(&self) -> Option<SegmentId> {
        self.disk.as_ref()?.continues
    }

    /// The same for as long as those are in no file of its own.
    pub(in crate::spool) fn needs(&self) -> Option<SegmentId> {
        self.continues().filter(|_| self.file().is_none())
    }

    /// Whether it can be sent from its start.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.needs().is_none()
    }

    /// Bytes of its file, of which each takes a block at least.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.file().map_or(0, |file| file.bytes.max(4_096))
    }

    /// Frames that are not in the file, of one that belongs on disk.
    pub(in crate::spool) fn unstored(&self) -> impl Iterator<Item = &LogFrame> {
        let stored = self.file().map_or(self.let_go, |file| file.frames);
        let count = if self.is_on_disk() { self.end() - stored } else { 0 };
        self.frames.range(self.frames.len() - count.min(self.frames.len())..)
    }

    /// Frames that are not settled, and in no file.
    pub(in crate::spool) fn unsettled_in_memory(&self) -> usize {
        if !self.is_on_disk() {
            return self.unsettled();
        }
        self.unstored().filter(|frame| self.numbers.is_unsettled(frame.sequence)).count()
    }

    /// Moves one that was kept in memory to disk.
    pub(in crate::spool) fn send_to_disk(&mut self) {
        self.disk.get_or_insert_default();
    }

    /// Notes what is in its file now.
    pub(in crate::spool) fn set_file(&mut self, file: StoredFile) {
        let Some(disk) = &mut self.disk else { return };
        if disk.file.is_none() {
            // It is in the file.
            self.prelude = Arc::new(Prelude::stored(self.prelude.through()));
        }
        disk.file = Some(file);
    }

    /// Forgets frames that are in the file, up to this one.
    pub(in crate::spool) fn evict(&mut self, until: usize) {
        let stored = self.file().map_or(0, |file| file.frames);
        while self.before < until.min(stored)
            && let Some(frame) = self.frames.pop_front()
        {
            self.frame_bytes -= frame.size();
            self.before += 1;
        }
        if self.frames.is_empty() {
            self.frames.shrink_to(64);
        }
    }

    pub(in crate::spool) fn prelude_to_store(&self) -> Arc<Prelude> {
        Arc::clone(&self.prelude)
    }
}
