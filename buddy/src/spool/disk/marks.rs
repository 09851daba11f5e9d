//! What was acknowledged, noted beside the files now and then.
//!
//! The file `delivered` has a line `INSTANCE SEGMENT SEQUENCE` for each segment of which a part is
//! settled, and a last line with the CRC-32 of those before. It is written anew as a whole, once a
//! second at most, so after a crash it is that old, and what was acknowledged since is sent once more.

use std::{fs, io, path::Path};

use heapster_shared::Map;

const FILE: &str = "delivered";

/// All frames of a segment up to a number are settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) instance: String,
    pub(crate) number: u64,
    pub(crate) through: u64,
}

/// Writes all marks.
///
/// # Errors
/// When the disk refuses; then the marks are those of before.
pub(crate) fn write(directory: &Path, marks: &[Mark], synced: bool) -> io::Result<()> {
    let mut text = String::new();
    for Mark { instance, number, through } in marks {
        text.push_str(&format!("{instance} {number} {through}\n"));
    }
    let checksum = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("{checksum:08x}\n"));
    let unfinished = directory.join(format!("{FILE}.tmp"));
    fs::write(&unfinished, &text)?;
    if synced {
        fs::File::open(&unfinished)?.sync_data()?;
    }
    fs::rename(&unfinished, directory.join(FILE))
}

/// The marks by instance and segment; none where they cannot be read.
pub(crate) fn read(directory: &Path) -> Map<(String, u64), u64> {
    let text = match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) => {
            tracing::debug!(%error, "no note of what was acknowledged");
            return Map::default();
        }
    };
    parse(&text).unwrap_or_else(|| {
        tracing::warn!("the note of what was acknowledged is broken: rows are sent again");
        Map::default()
    })
}

/// The marks in a note whose checksum is right.
fn parse(text: &str) -> Option<Map<(String, u64), u64>> {
    let (marks, checksum) = match text.strip_suffix('\n')?.rsplit_once('\n') {
        Some((marks, checksum)) => (&text[..=marks.len()], checksum),
        None => ("", text.trim_end()),
    };
    if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(marks.as_bytes()) {
        return None;
    }
    let mark = |line: &str| {
        let mut words = line.split(' ');
        let instance = words.next()?.to_owned();
        Some(((instance, words.next()?.parse().ok()?), words.next()?.parse().ok()?))
    };
    marks.lines().map(mark).collect()
}
