//! Looking through a file that an earlier start left.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
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
    /// Whether it is what the file says; else the disk or the system does not give it, now.
    pub is_lasting: bool,
}

/// Looks through a file.
///
/// # Errors
/// When nothing of it can be used.
pub fn scan(path: &Path) -> Result<Scanned, Damage> {
    let refused = |error: io::Error| Damage::of_disk(error.to_string(), 0);
    let file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    let length = metadata.len();
    if !metadata.is_file() {
        return Err(Damage::of_disk("it is no file".to_owned(), 0));
    }
    check_magic(&file, length)?;
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
    let (reason, is_lasting) = match scanned.read(&file) {
        Ok(reason) => (reason, true),
        Err(error) => (Some(error.to_string()), false),
    };
    if let Some(reason) = reason {
        let bytes = length.saturating_sub(scanned.bytes);
        let frames = frames_after(&file, scanned.bytes, length);
        scanned.damage = Some(Damage { reason, bytes, frames, is_lasting });
    }
    match (scanned.open.is_empty(), scanned.damage.take()) {
        (true, damage) => Err(damage.unwrap_or_else(|| Damage::of_file("it is empty", length))),
        (false, damage) => Ok(Scanned { damage, ..scanned }),
    }
}

impl Damage {
    fn of_file(reason: &str, bytes: u64) -> Self {
        Self { reason: reason.to_owned(), bytes, frames: 0, is_lasting: true }
    }

    fn of_disk(reason: String, bytes: u64) -> Self {
        Self { reason, bytes, frames: 0, is_lasting: false }
    }
}

fn check_magic(file: &File, length: u64) -> Result<(), Damage> {
    let mut start = [0; MAGIC.len()];
    match file.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Damage::of_file("it is empty", length))
        }
        Err(error) => Err(Damage::of_disk(error.to_string(), length)),
        Ok(()) if start == MAGIC => Ok(()),
        Ok(()) if start.starts_with(b"heapster-spool ") => {
            Err(Damage::of_disk("it was written by another version".to_owned(), length))
        }
        Ok(()) => Err(Damage::of_file("it is no spool file", length)),
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
                let follows = record.sequence.checked_sub(1) == Some(before);
                if before > 0 && !follows || record.sequence == 0 {
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
