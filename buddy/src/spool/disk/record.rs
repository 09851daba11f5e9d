//! Records of a spool file.
//!
//! ```text
//! length of the payload   32 bits, little-endian
//! CRC-32 of all the rest  32 bits, of the length too
//! kind                     8 bits
//! sequence                64 bits; 0 for Open and definitions
//! tick                    64 bits, milliseconds since 1970; 0 where there is none
//! payload                 the frame as it is sent
//! ```
//!
//! Kind, sequence and tick stand outside of the frame so that a file can be looked through without
//! decoding frames.

use std::{fs::File, io, os::unix::fs::FileExt};

use bytes::{Buf, Bytes};

/// What a file begins with; the number is the version of the format.
pub(super) const MAGIC: &[u8] = b"heapster-spool 2\n";
/// Before the payload.
pub(super) const HEADER_BYTES: usize = 25;
/// No frame is longer; what says so is broken.
const MOST_PAYLOAD_BYTES: usize = 64 << 20;
/// So much is read at once.
const PART_BYTES: usize = 256 << 10;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The Open of the segment: first in each file, and nowhere else.
    Open = 1,
    /// Definitions.
    Define = 2,
    /// Rows in place of those before the file; under a number that they stand for.
    Checkpoint = 3,
    /// Rows, or the end of a round.
    Rows = 4,
    /// Events.
    Events = 5,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Open,
            2 => Self::Define,
            3 => Self::Checkpoint,
            4 => Self::Rows,
            5 => Self::Events,
            _ => return None,
        })
    }
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// The number of the frame; 0 for none.
    pub sequence: u64,
    /// When it was measured.
    pub tick_unix_ms: i64,
    /// The frame as it is sent.
    pub bytes: Bytes,
}

/// What a frame takes in a file.
pub(crate) const fn size_on_disk(frame: usize) -> u64 {
    (HEADER_BYTES + frame) as u64
}

/// Adds a record to what is to be written.
pub(super) fn put(buffer: &mut Vec<u8>, kind: Kind, sequence: u64, tick: i64, payload: &[u8]) {
    // Frames are a few hundred KB at most; one that was longer would be refused when it is read.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let start = buffer.len();
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.push(kind as u8);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    buffer.extend_from_slice(&tick.to_le_bytes());
    buffer.extend_from_slice(payload);
    let checksum = checksum(&buffer[start..]);
    buffer[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Of a whole record, less the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

/// Records that follow one another in a file.
#[derive(Debug)]
pub struct Part {
    /// Those that are good.
    pub records: Vec<Record>,
    /// Where the next one would begin.
    pub next: u64,
    /// Why there are no more.
    pub end: Option<End>,
}

/// The end of what can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Of the file, too.
    Clean,
    /// The next record is no good: why, as a sentence's end.
    Broken(&'static str),
}

/// Reads some records from this place on: at least one, where there is one.
///
/// # Errors
/// When the disk does not give them.
pub fn read_part(file: &File, offset: u64) -> io::Result<Part> {
    let mut wanted = PART_BYTES;
    loop {
        let chunk = read_chunk(file, offset, wanted)?;
        let is_end = chunk.len() < wanted;
        let mut rest = chunk.clone();
        let mut records = Vec::new();
        let stop = loop {
            match take(&mut rest) {
                Ok(record) => records.push(record),
                Err(stop) => break stop,
            }
        };
        let end = match stop {
            Stop::Broken(why) => Some(End::Broken(why)),
            Stop::Short(_) if is_end && rest.iter().all(|byte| *byte == 0) => Some(End::Clean),
            Stop::Short(_) if is_end => Some(End::Broken("it ends within a record")),
            Stop::Short(needed) if records.is_empty() => {
                wanted = needed.max(2 * wanted);
                continue;
            }
            Stop::Short(_) => None,
        };
        return Ok(Part { records, next: offset + (chunk.len() - rest.len()) as u64, end });
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clean => "it ends early",
            Self::Broken(why) => why,
        })
    }
}

enum Stop {
    /// So many bytes are needed.
    Short(usize),
    Broken(&'static str),
}

fn take(rest: &mut Bytes) -> Result<Record, Stop> {
    if rest.len() < HEADER_BYTES {
        return Err(Stop::Short(HEADER_BYTES));
    }
    let mut header = &rest[..HEADER_BYTES];
    let length = header.get_u32_le() as usize;
    let expected = header.get_u32_le();
    let (kind, sequence, tick_unix_ms) =
        (header.get_u8(), header.get_u64_le(), header.get_i64_le());
    if length == 0 && expected == 0 && kind == 0 {
        // Room that was set aside and not written to, or a write that the power was cut in.
        return match rest.iter().all(|byte| *byte == 0) {
            true => Err(Stop::Short(rest.len() + 1)),
            false => Err(Stop::Broken("there is a hole in it")),
        };
    }
    if length > MOST_PAYLOAD_BYTES {
        return Err(Stop::Broken("a length is wrong"));
    }
    let size = HEADER_BYTES + length;
    if rest.len() < size {
        return Err(Stop::Short(size));
    }
    if checksum(&rest[..size]) != expected {
        return Err(Stop::Broken("a checksum is wrong"));
    }
    let kind = Kind::of(kind).ok_or(Stop::Broken("it has a record of an unknown kind"))?;
    let bytes = rest.slice(HEADER_BYTES..size);
    rest.advance(size);
    Ok(Record { kind, sequence, tick_unix_ms, bytes })
}

fn read_chunk(file: &File, offset: u64, wanted: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut chunk[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.into())
}
