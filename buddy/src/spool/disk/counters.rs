//! The newest samples of all hosts, kept beside the segments for the next start.
//!
//! The file `counters` is `heapster-counters 1\n` and then a record with each poll of a host, appended:
//!
//! ```text
//! length of the payload    32 bits, little-endian
//! CRC-32 of all the rest   32 bits, of the length too
//! when it was written      64 bits, milliseconds since 1970
//! length of the host's id  16 bits
//! the host's id
//! payload                  what is known of the host, packed
//! ```
//!
//! Of a host the last record counts. When most of the file are records that do not count any more, those
//! that do are copied to a new one, which takes its place by its name.
//!
//! Crash cases: a record is appended after the rows that it stands for, so whoever reads it has sent
//! them. Where anything in the file is broken, older records would be taken for the newest, and what
//! was sent would count twice: so a file that is not whole is none at all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes};
use compact_str::CompactString;
use heapster_shared::Map;

const FILE: &str = "counters";
const MAGIC: &[u8] = b"heapster-counters 1\n";
/// Before the host's id.
const HEADER_BYTES: usize = 18;
/// A file of less is not worth to be written anew.
const SMALLEST_COMPACTION: u64 = 1 << 20;
/// A host that was not polled for so long is not worth a record.
const KEPT_MS: i64 = 24 * 3_600_000;

/// What is kept of one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostRecord {
    /// The host's id.
    pub host: CompactString,
    /// Packed.
    pub payload: Bytes,
}

/// The file, to be appended to.
#[derive(Debug)]
pub struct CountersFile {
    path: PathBuf,
    /// `None` before the first record.
    file: Option<File>,
    bytes: u64,
    /// Where the last record of each host is.
    newest: Map<CompactString, Place>,
    /// Bytes of those.
    live: u64,
    most_bytes: u64,
    is_dirty: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: u64,
    written_ms: i64,
}

/// Why records were not written.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The hosts' records alone are more than the file may have.
    #[error("what is known of all hosts is too large to be kept")]
    TooLarge,
    /// The disk refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(&'static str);

impl CountersFile {
    /// Reads the file of a directory, where there is one, and goes on with it; it may take so many
    /// bytes. Beside it are the newest records of all hosts, or what is wrong with the file: then it is
    /// begun anew.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(
        directory: &Path,
        most_bytes: u64,
    ) -> io::Result<(Self, Result<Vec<HostRecord>, Unusable>)> {
        let path = directory.join(FILE);
        let new = |path| Self {
            path,
            file: None,
            bytes: 0,
            newest: Map::default(),
            live: 0,
            most_bytes,
            is_dirty: false,
        };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((new(path), Ok(Vec::new())));
            }
            opened => opened?,
        };
        // Whoever wrote it kept to a bound too, which may have been another one.
        if file.metadata()?.len() > most_bytes.saturating_mul(4) {
            return Ok((new(path), Err(Unusable("it is larger than it may be"))));
        }
        let content = Bytes::from(fs::read(&path)?);
        let mut all = new(path);
        match all.take_in(&content) {
            Ok(records) => {
                (all.file, all.bytes) = (Some(file), content.len() as u64);
                Ok((all, Ok(records)))
            }
            Err(unusable) => Ok((new(all.path), Err(unusable))),
        }
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends records, which stand for their hosts from now on.
    ///
    /// # Errors
    /// When they were not; then the file is as it was, or there is none.
    pub fn append(&mut self, records: &[HostRecord], now_ms: i64) -> Result<(), NotKept> {
        let mut buffer = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        // Ids of hosts are names, and not as long as that.
        for record in records.iter().filter(|it| it.host.len() <= usize::from(u16::MAX)) {
            let before = buffer.len();
            put(&mut buffer, record, now_ms);
            let place = (before as u64, (buffer.len() - before) as u64);
            places.push((record.host.clone(), place));
        }
        let bytes = buffer.len() as u64;
        if self.bytes + bytes > self.most_bytes.min(SMALLEST_COMPACTION + 2 * self.live) {
            self.compact(now_ms)?;
        }
        if self.bytes + bytes > self.most_bytes {
            self.remove();
            return Err(NotKept::TooLarge);
        }
        if self.file.is_none() {
            self.file = Some(begin(&self.path)?);
            self.bytes = MAGIC.len() as u64;
        }
        let Some(file) = &self.file else { return Ok(()) };
        if let Err(error) = file.write_all_at(&buffer, self.bytes) {
            // Half a record would make the whole file none.
            if file.set_len(self.bytes).is_err() {
                self.remove();
            }
            return Err(error.into());
        }
        for (host, (offset, bytes)) in places {
            let place = Place { offset: self.bytes + offset, bytes, written_ms: now_ms };
            self.note(host, place);
        }
        self.bytes += bytes;
        self.is_dirty = true;
        Ok(())
    }

    /// Makes what was written outlast a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_dirty) {
            file.sync_data()?;
        }
        self.is_dirty = false;
        Ok(())
    }

    /// Writes the records that count to a new file, in place of this one.
    fn compact(&mut self, now_ms: i64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let unfinished = self.path.with_extension("tmp");
        let mut content = MAGIC.to_vec();
        let mut newest = Map::default();
        let is_wanted = |place: &Place| now_ms.saturating_sub(place.written_ms) < KEPT_MS;
        for (host, place) in self.newest.iter().filter(|(_, place)| is_wanted(place)) {
            let offset = content.len();
            content.resize(offset + place.bytes as usize, 0);
            file.read_exact_at(&mut content[offset..], place.offset)?;
            newest.insert(host.clone(), Place { offset: offset as u64, ..*place });
        }
        let next = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)?;
        next.write_all_at(&content, 0)?;
        fs::rename(&unfinished, &self.path)?;
        self.live = newest.values().map(|place| place.bytes).sum();
        (self.file, self.bytes, self.newest) = (Some(next), content.len() as u64, newest);
        self.is_dirty = true;
        Ok(())
    }

    /// Without a file nothing is known, and nothing wrong.
    fn remove(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(file = %self.path.display(), %error, "it stays where it is");
        }
        (self.file, self.bytes, self.live) = (None, 0, 0);
        self.newest.clear();
    }

    fn note(&mut self, host: CompactString, place: Place) {
        self.live += place.bytes;
        if let Some(before) = self.newest.insert(host, place) {
            self.live -= before.bytes;
        }
    }

    /// The newest record of each host; notes where they are.
    fn take_in(&mut self, content: &Bytes) -> Result<Vec<HostRecord>, Unusable> {
        if !content.starts_with(MAGIC) {
            return Err(Unusable("it is no such file, or one of another version"));
        }
        let mut newest: Map<CompactString, Bytes> = Map::default();
        let mut offset = MAGIC.len();
        while offset < content.len() {
            let (record, written_ms, bytes) = take(&content.slice(offset..))?;
            let place = Place { offset: offset as u64, bytes: bytes as u64, written_ms };
            self.note(record.host.clone(), place);
            newest.insert(record.host, record.payload);
            offset += bytes;
        }
        let record = |(host, payload)| HostRecord { host, payload };
        Ok(newest.into_iter().map(record).collect())
    }
}

fn begin(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(MAGIC, 0)?;
    Ok(file)
}

fn put(buffer: &mut Vec<u8>, record: &HostRecord, now_ms: i64) {
    let id = record.host.as_bytes();
    let start = buffer.len();
    buffer.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&now_ms.to_le_bytes());
    buffer.extend_from_slice(&(id.len() as u16).to_le_bytes());
    buffer.extend_from_slice(id);
    buffer.extend_from_slice(&record.payload);
    let checksum = checksum(&buffer[start..]);
    buffer[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// The record that stands first, when it was written, and its bytes.
fn take(content: &Bytes) -> Result<(HostRecord, i64, usize), Unusable> {
    let torn = Unusable("it ends within a record");
    let mut header = content.get(..HEADER_BYTES).ok_or(torn)?;
    let (payload, expected) = (header.get_u32_le() as usize, header.get_u32_le());
    let (written_ms, id) = (header.get_i64_le(), usize::from(header.get_u16_le()));
    let bytes = HEADER_BYTES + id + payload;
    let record = content.get(..bytes).ok_or(torn)?;
    if checksum(record) != expected {
        return Err(Unusable("a record is broken"));
    }
    let host = std::str::from_utf8(&record[HEADER_BYTES..HEADER_BYTES + id]);
    let host = host.map_err(|_| Unusable("the id of a host is no text"))?.into();
    Ok((HostRecord { host, payload: content.slice(HEADER_BYTES + id..bytes) }, written_ms, bytes))
}

fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
