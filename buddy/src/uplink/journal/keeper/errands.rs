//! What the keeper does with files for the journal: appending to them, and reading from them.

use std::{fs::File, io, sync::Arc};

use heapster_shared::tick::unix_ms;

use super::{
    super::{
        Shared, open_bytes,
        reader::{Fetch, Fetched},
        tail::UNREADABLE,
    },
    files::Files,
};
use crate::spool::{
    SegmentId, StoredFile,
    disk::{Directory, Fsync, Part, SegmentFile, read_part, size_on_disk},
    stored::{Append, AppendTo, NewFile},
};

impl Files {
    /// Writes frames where they belong.
    pub(super) fn append(&mut self, shared: &Shared, append: Append) {
        let id = append.segment;
        match self.try_append(append) {
            Ok(stored) => {
                self.recovered(shared);
                let path = Arc::clone(&stored.path);
                let mut state = shared.lock();
                let is_wanted = state.spool.note_stored(id, stored);
                let live = state.live.as_ref().map(|live| live.place());
                state.spool.evict(live);
                drop(state);
                if !is_wanted {
                    self.remove(&path);
                }
                // A segment that was not whole before can be sent now.
                shared.changed.send_replace(());
            }
            Err(error) if self.is_beyond_repair(&error) => {
                let frames = shared.lock().spool.discard(id);
                tracing::error!(frames, %error, "{UNREADABLE}");
                shared.tell();
            }
            Err(error) => self.fail(shared, &error.to_string()),
        }
    }

    /// Whether a file that is needed is broken, or gone while the directory is not: then no other
    /// try will do.
    fn is_beyond_repair(&self, error: &io::Error) -> bool {
        let is_there = || self.directory.as_ref().is_some_and(Directory::is_in_place);
        match error.kind() {
            io::ErrorKind::InvalidData => true,
            io::ErrorKind::NotFound => is_there(),
            _ => false,
        }
    }

    fn try_append(&mut self, append: Append) -> io::Result<StoredFile> {
        let Append { segment, to, frames } = append;
        let (mut stored, is_new) = match to {
            AppendTo::File(stored) => {
                self.reach(segment, &stored)?;
                (stored, false)
            }
            AppendTo::New(new) => (self.begin(segment, &new)?, true),
        };
        let Some((_, file)) = &mut self.current else { return Ok(stored) };
        let appended = file.append(&frames).and_then(|()| match self.config.fsync {
            Fsync::Always => file.sync(),
            _ => Ok(()),
        });
        if appended.is_err() && is_new {
            // Nobody knows of it, and it would be in the way of the next try.
            let path = Arc::clone(&stored.path);
            self.remove(&path);
        }
        appended?;
        let file = self.current.as_ref().map(|(_, file)| file.bytes());
        stored.bytes = file.unwrap_or(stored.bytes);
        stored.frames += frames.len();
        Ok(stored)
    }

    /// Has the file of a segment as the one that is written to.
    fn reach(&mut self, segment: SegmentId, stored: &StoredFile) -> io::Result<()> {
        let is_it =
            |(id, file): &(SegmentId, SegmentFile)| *id == segment && file.bytes() == stored.bytes;
        if !self.current.as_ref().is_some_and(is_it) {
            self.put_away()?;
            self.current = Some((segment, SegmentFile::reopen(&stored.path, stored.bytes)?));
        }
        Ok(())
    }

    /// Begins the file of a segment, with all that goes before its frames.
    fn begin(&mut self, segment: SegmentId, new: &NewFile) -> io::Result<StoredFile> {
        self.put_away()?;
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let path = directory.file(&format!("{:013}-{}-{:08}", unix_ms(), new.instance, new.number));
        let open = open_bytes(new);
        let mut file = SegmentFile::create(&path, &open)?;
        let first = file.bytes();
        let written = write_head(&mut file, new);
        let stored = StoredFile {
            path: path.into(),
            first,
            head: file.bytes(),
            frames: new.let_go,
            bytes: file.bytes(),
        };
        self.current = Some((segment, file));
        self.is_listing_dirty = true;
        let synced = match (&written, self.config.fsync, &self.directory) {
            // A file that is not in its directory does not outlast a power cut.
            (Ok(()), Fsync::Always, Some(directory)) => directory.sync(),
            _ => Ok(()),
        };
        if let Err(error) = written.and(synced) {
            self.remove(&stored.path);
            return Err(error);
        }
        Ok(stored)
    }

    /// Reads a part of a file that a stream waits for.
    pub(super) fn fetch(&mut self, shared: &Shared, slot: usize, fetch: &Fetch) {
        let fetched = read(fetch).unwrap_or_else(|error| Fetched {
            records: Vec::new(),
            failed: Some(error.to_string()),
        });
        let mut state = shared.lock();
        let reader = match slot {
            0 => state.live.as_mut().and_then(|live| live.reader.as_mut()),
            _ => state.backfill.as_mut(),
        };
        if let Some(reader) = reader {
            reader.deliver(fetch, fetched);
        }
        drop(state);
        shared.changed.send_replace(());
    }
}

fn write_head(file: &mut SegmentFile, new: &NewFile) -> io::Result<()> {
    if let Some(before) = &new.definitions_of {
        file.copy_definitions(&before.path, before.bytes)?;
    }
    let mut part = 0;
    while let Some(frames) = new.prelude.part(part)? {
        let through = frames.is_checkpoint.then(|| new.prelude.through());
        file.append_head(through, &frames.frames)?;
        part += 1;
    }
    Ok(())
}

fn read(fetch: &Fetch) -> io::Result<Fetched> {
    let file = File::open(&fetch.path)?;
    let Part { mut records, end, .. } = read_part(&file, fetch.offset)?;
    let mut at = fetch.offset;
    let wanted = records.iter().take_while(|record| {
        at += size_on_disk(record.bytes.len());
        at <= fetch.until
    });
    let wanted = wanted.count();
    let is_short = wanted == records.len() && at < fetch.until;
    records.truncate(wanted);
    let failed = match end {
        Some(end) if is_short => Some(end.to_string()),
        None if records.is_empty() => Some("it has other records than were written".to_owned()),
        _ => None,
    };
    Ok(Fetched { records, failed })
}
