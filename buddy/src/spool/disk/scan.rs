//! Looking through a file that an earlier start left.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    read_part,
    record::{End, HEADER_BYTES, Kind, MAGIC, Record},
};
use crate::spool::Numbers;

/// A file, up to where it is good.
#[derive(Debug)]
pub struct Scanned {
    /// Where it lies.
    pub path: PathBuf,
    /// The Open that it begins with.
    pub open: Bytes,
    /// Where the record after the Open begins.
    pub head_bytes: u64,
    /// The last frame that its checkpoint stands for; 0 for none.
    pub through: u64,
    /// Its frames.
    pub numbers: Numbers,
    /// Records after the Open.
    pub records: usize,
    /// Up to here it is good.
    pub bytes: u64,
    /// What comes after that.
    pub damage: Option<Damage>,
}

/// What cannot be used of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Why.
    pub reason: String,
    /// From the first bad one on.
    pub bytes: u64,
    /// Frames in it that can be told.
    pub frames: u64,
}

/// Looks through a file.
///
/// # Errors
/// When nothing of it can be used.
pub fn scan(path: &Path) -> Result<Scanned, Damage> {
    let whole = |reason: String, bytes| Damage { reason, bytes, frames: 0 };
    let file = File::open(path).map_err(|error| whole(error.to_string(), 0))?;
    let metadata = file.metadata().map_err(|error| whole(error.to_string(), 0))?;
    let length = metadata.len();
    if !metadata.is_file() {
        return Err(whole("it is no file".to_owned(), 0));
    }
    check_magic(&file).map_err(|reason| whole(reason, length))?;
    let mut scanned = Scanned {
        path: path.to_owned(),
        open: Bytes::new(),
        head_bytes: 0,
        through: 0,
        numbers: Numbers::default(),
        records: 0,
        bytes: MAGIC.len() as u64,
        damage: None,
    };
    let reason = scanned.read(&file).unwrap_or_else(|error| Some(error.to_string()));
    if let Some(reason) = reason {
        let bytes = length.saturating_sub(scanned.bytes);
        let frames = frames_after(&file, scanned.bytes, length);
        scanned.damage = Some(Damage { reason, bytes, frames });
    }
    match (scanned.open.is_empty(), scanned.damage.take()) {
        (true, damage) => Err(damage.unwrap_or_else(|| whole("it is empty".to_owned(), length))),
        (false, damage) => Ok(Scanned { damage, ..scanned }),
    }
}

fn check_magic(file: &File) -> Result<(), String> {
    use std::os::unix::fs::FileExt;
    let mut start = [0; MAGIC.len()];
    match file.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err("it is empty".to_owned()),
        Err(error) => Err(error.to_string()),
        Ok(()) if start == MAGIC => Ok(()),
        Ok(()) if start.starts_with(b"heapster-spool ") => {
            Err("it was written by another version".to_owned())
        }
        Ok(()) => Err("it is no spool file".to_owned()),
    }
}

impl Scanned {
    /// Takes in record after record; the reason for which it ends early.
    fn read(&mut self, file: &File) -> io::Result<Option<String>> {
        loop {
            let part = read_part(file, self.bytes)?;
            for record in &part.records {
                if let Err(reason) = self.take(record) {
                    return Ok(Some(reason.to_owned()));
                }
                self.bytes += (HEADER_BYTES + record.bytes.len()) as u64;
            }
            match part.end {
                Some(End::Clean) => return Ok(None),
                Some(End::Broken(reason)) => return Ok(Some(reason.to_owned())),
                None => {}
            }
        }
    }

    fn take(&mut self, record: &Record) -> Result<(), &'static str> {
        if (record.kind == Kind::Open) != self.open.is_empty() {
            return Err("its records are out of order");
        }
        match record.kind {
            Kind::Open => {
                self.open = record.bytes.clone();
                self.head_bytes = self.bytes + (HEADER_BYTES + record.bytes.len()) as u64;
                return Ok(());
            }
            Kind::Define => {}
            Kind::Checkpoint => self.through = record.sequence,
            Kind::Rows | Kind::Events => {
                let before = self.numbers.last().unwrap_or(self.through);
                if before > 0 && record.sequence != before + 1 || record.sequence == 0 {
                    return Err("its records are out of order");
                }
                let is_events = record.kind == Kind::Events;
                let event_bytes = if is_events { record.bytes.len() } else { 0 };
                self.numbers.push(record.sequence, record.tick_unix_ms, event_bytes);
            }
        }
        self.records += 1;
        Ok(())
    }
}

/// Frames after a place that is broken, as far as lengths lead from one to the next: they were
/// written, and are lost with what they build on.
fn frames_after(file: &File, offset: u64, length: u64) -> u64 {
    use std::os::unix::fs::FileExt;
    let (mut at, mut frames) = (offset, 0);
    let mut header = [0; HEADER_BYTES];
    while at + HEADER_BYTES as u64 <= length && file.read_exact_at(&mut header, at).is_ok() {
        let size = u64::from(u32::from_le_bytes([header[0], header[1], header[2], header[3]]));
        let is_numbered = matches!(header[8], 4 | 5);
        at += HEADER_BYTES as u64 + size;
        if at > length || header == [0; HEADER_BYTES] {
            break;
        }
        frames += u64::from(is_numbered);
    }
    frames
}
