//! The spool's directory and the file that is being written, and what to do when they fail.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heapster_proto::v1::{Frame, frame::Kind};
use prost::Message;

use super::{super::DiskDamage, Shared};
use crate::spool::{
    SegmentId,
    disk::{
        Damage, Directory, DiskConfig, Fsync, Scanned, SegmentFile, counters::CountersFile, marks,
    },
};

/// How often the directory is looked at, and what is acknowledged noted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure, and at most after many.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// With less, the disk is full.
const LEAST_ROOM: u64 = 512 << 10;

/// The keeper's hold of the disk.
pub(super) struct Files {
    pub(super) config: DiskConfig,
    pub(super) directory: Option<Directory>,
    /// The file that was written to last.
    pub(super) current: Option<(SegmentId, SegmentFile)>,
    /// `None` without a directory.
    pub(super) counters: Option<CountersFile>,
    /// Since when and until when nothing is written; `None` where all is well.
    trouble: Option<Trouble>,
    /// What the next failure waits for, and when the last one was.
    wait: Duration,
    failed_at: Instant,
    next_look: Instant,
    synced_at: Instant,
    marks: Vec<marks::Mark>,
    /// Names were made or removed since the last sync.
    pub(super) is_listing_dirty: bool,
}

struct Trouble {
    retry_at: Instant,
}

impl Files {
    pub(super) fn new(config: DiskConfig) -> Self {
        let now = Instant::now();
        Self {
            config,
            directory: None,
            current: None,
            counters: None,
            trouble: None,
            wait: FIRST_WAIT,
            failed_at: now,
            next_look: now,
            synced_at: now,
            marks: Vec::new(),
            is_listing_dirty: false,
        }
    }

    pub(super) const fn has_directory(&self) -> bool {
        self.directory.is_some()
    }

    pub(super) const fn is_up(&self) -> bool {
        self.directory.is_some() && self.trouble.is_none()
    }

    fn is_due(&self) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| trouble.retry_at <= Instant::now())
    }

    pub(super) fn can_write(&self) -> bool {
        self.directory.is_some() && self.is_due()
    }

    pub(super) const fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Takes the directory where it has none; looks whether it is still there, and has room.
    pub(super) fn look_after(&mut self, shared: &Shared) {
        if Instant::now() < self.next_look {
            return;
        }
        let every = match self.config.fsync {
            Fsync::Interval(interval) => interval.min(LOOK_EVERY),
            _ => LOOK_EVERY,
        };
        self.next_look = Instant::now() + every;
        let Some(directory) = &self.directory else {
            if self.is_due() {
                self.open(shared);
            }
            return;
        };
        if !directory.is_in_place()
            || self.current.as_ref().is_some_and(|(_, file)| !file.is_in_place())
        {
            return self.lose(shared);
        }
        if self.is_due()
            && let Err(error) = self.find_room(shared)
        {
            self.fail(shared, &error.to_string());
        }
    }

    fn open(&mut self, shared: &Shared) {
        let opened = Directory::take(&self.config.directory)
            .map_err(|error| error.to_string())
            .and_then(|directory| {
                self.directory = Some(directory);
                self.recall(shared);
                self.recover(shared).map_err(|error| {
                    self.directory = None;
                    error.to_string()
                })
            })
            .and_then(|()| self.find_room(shared).map_err(|error| error.to_string()));
        // What is not had at the first look is too old when it is.
        shared.lock().counters.recall(Vec::new());
        match opened {
            Ok(()) => self.recovered(shared),
            Err(error) => self.fail(shared, &error),
        }
    }

    /// Takes over what earlier starts left.
    fn recover(&mut self, shared: &Shared) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let began = Instant::now();
        let mut damage = DiskDamage::default();
        let found = directory.scan(|path, found: &Damage| {
            damage.bytes += found.bytes;
            damage.frames += found.frames;
            tracing::warn!(
                file = %path.display(),
                reason = found.reason,
                lost_bytes = found.bytes,
                lost_frames = found.frames,
                "a spool file is damaged: rows up to there are used, the rest is lost"
            );
        })?;
        let delivered = marks::read(directory.path());
        let known = |scanned: Scanned| {
            let (instance, number) = identity(&scanned.open)?;
            let through = delivered.get(&(instance.clone(), number)).copied();
            Some((Arc::from(instance), number, through, scanned))
        };
        let mut state = shared.lock();
        state.damage.bytes += damage.bytes;
        state.damage.frames += damage.frames;
        let new = found.into_iter().filter(|scanned| !state.spool.has_file(&scanned.path));
        let found: Vec<_> = new.filter_map(known).collect();
        let frames = state.spool.take_found(found);
        drop(state);
        if frames > 0 {
            let took_ms = began.elapsed().as_millis() as u64;
            tracing::info!(frames, took_ms, "rows from before the start wait in the spool");
        }
        Ok(())
    }

    /// Tells the log how much it may hold: less than it was given where others fill the disk.
    fn find_room(&self, shared: &Shared) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let free = directory.free_bytes()?;
        let mut state = shared.lock();
        let room = (state.spool.disk_bytes() as u64).saturating_add(free);
        if room < LEAST_ROOM {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let counters = self.counters.as_ref().map_or(0, CountersFile::bytes) as usize;
        let given = self.config.most_bytes.saturating_sub(counters);
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(given);
        state.spool.set_disk_room(most);
        Ok(())
    }

    /// The directory, or the file in it, is not there any more.
    fn lose(&mut self, shared: &Shared) {
        (self.directory, self.counters) = (None, None);
        self.current = None;
        let frames = shared.lock().spool.lose_files(|path| !path.exists());
        tracing::warn!(
            frames,
            directory = %self.config.directory.display(),
            "the spool's files were removed: rows that were not delivered are lost with them"
        );
        self.fail(shared, "its files were removed");
    }

    /// Something was written: all is well.
    pub(super) fn recovered(&mut self, shared: &Shared) {
        if self.trouble.take().is_some() {
            tracing::info!(
                directory = %self.config.directory.display(),
                "the spool is on disk again"
            );
        }
        let mut state = shared.lock();
        state.disk_error = None;
        state.spool.set_disk_up(true);
    }

    /// The disk refuses: rows stay in memory, and it is tried again later.
    pub(super) fn fail(&mut self, shared: &Shared, error: &str) {
        self.current = None;
        if self.failed_at.elapsed() > 2 * LONGEST_WAIT {
            self.wait = FIRST_WAIT;
        }
        self.failed_at = Instant::now();
        let retry_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        let mut state = shared.lock();
        state.spool.set_disk_up(false);
        state.disk_error = Some(error.to_owned());
        let memory_bytes = state.spool.most_memory_bytes();
        drop(state);
        self.next_look = self.next_look.max(retry_at.min(Instant::now() + LOOK_EVERY));
        let directory = self.config.directory.display();
        if self.trouble.replace(Trouble { retry_at }).is_some() {
            tracing::debug!(%directory, error, "the spool's disk still refuses");
        } else {
            tracing::warn!(
                %directory,
                error,
                memory_bytes,
                "the spool cannot be kept on disk: rows are kept in memory until it can"
            );
        }
    }

    /// What comes up with time: syncs, and noting what was acknowledged.
    pub(super) fn keep_up(&mut self, shared: &Shared) {
        if !self.can_write() {
            return;
        }
        let interval = match self.config.fsync {
            Fsync::Interval(interval) => interval,
            _ => LOOK_EVERY,
        };
        let is_probe = self.trouble.is_some();
        if self.synced_at.elapsed() < interval && !is_probe {
            return;
        }
        self.synced_at = Instant::now();
        match self.note(shared, is_probe).and_then(|()| self.sync()) {
            Ok(()) if is_probe => match self.find_room(shared) {
                Ok(()) => self.recovered(shared),
                Err(error) => self.fail(shared, &error.to_string()),
            },
            Ok(()) => {}
            Err(error) => self.fail(shared, &error.to_string()),
        }
    }

    fn note(&mut self, shared: &Shared, is_probe: bool) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let marks = shared.lock().spool.marks();
        if marks != self.marks || is_probe {
            marks::write(directory.path(), &marks, self.config.fsync != Fsync::Never)?;
            self.marks = marks;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.config.fsync == Fsync::Never {
            return Ok(());
        }
        if let Some((_, file)) = self.current.as_mut().filter(|(_, file)| file.is_dirty) {
            file.sync()?;
        }
        if let Some(counters) = &mut self.counters {
            counters.sync()?;
        }
        if self.is_listing_dirty
            && let Some(directory) = &self.directory
        {
            directory.sync()?;
            self.is_listing_dirty = false;
        }
        Ok(())
    }

    /// Closes the file that is written to.
    pub(super) fn put_away(&mut self) -> io::Result<()> {
        let Some((_, mut file)) = self.current.take() else { return Ok(()) };
        file.finish()?;
        if self.config.fsync != Fsync::Never && file.is_dirty {
            file.sync()?;
        }
        Ok(())
    }

    /// Removes a file that is not needed any more.
    pub(super) fn remove(&mut self, path: &Path) {
        self.current.take_if(|(_, file)| file.path() == path);
        self.is_listing_dirty = true;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), %error, "cannot remove a spool file that was sent");
            }
            _ => {}
        }
    }

    /// Leaves everything as the next start is to find it.
    pub(super) fn finish(&mut self, shared: &Shared) {
        for path in shared.lock().spool.take_trash() {
            self.remove(&path);
        }
        let finished =
            self.note(shared, false).and_then(|()| self.put_away()).and_then(|()| self.sync());
        if let Err(error) = finished {
            self.fail(shared, &error.to_string());
        }
    }
}

/// The start of a buddy that wrote a segment, and its number there.
fn identity(open: &Bytes) -> Option<(String, u64)> {
    match Frame::decode(open.clone()).ok()?.kind? {
        Kind::Open(open) => Some((open.instance_id, open.segment)),
        _ => None,
    }
}
