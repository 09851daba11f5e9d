//! Segments on disk, written at an orderly shutdown.
//!
//! A file is `heapster-spool 1\n`, then the segment's Open and its frames, each after its length
//! (32 bits, little-endian), then a length of `0xffff_ffff` and the FNV-1a hash of all before it
//! (64 bits, little-endian). A file that ends early, or was changed, is recognised by that, and put
//! aside as `NAME.broken`. Names sort by age. Nothing is written while the buddy runs, so a crash
//! loses what was in memory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes};

const MAGIC: &[u8] = b"heapster-spool 1\n";
const EXTENSION: &str = "segment";
const FOOTER: u32 = u32::MAX;

/// A segment as it was written: its Open and its frames.
#[derive(Debug)]
pub struct StoredSegment {
    /// Where it lies.
    pub file: PathBuf,
    /// The Open, then the frames.
    pub records: Vec<Bytes>,
}

/// Makes sure that segments can be written to this directory later.
///
/// # Errors
/// A sentence for the user when they cannot.
pub fn check(directory: &Path) -> Result<(), String> {
    let probe = directory.join(".writable");
    let tried = fs::create_dir_all(directory)
        .and_then(|()| fs::write(&probe, b""))
        .and_then(|()| fs::remove_file(&probe));
    tried.map_err(|error| {
        format!(
            "--spool {}: cannot write there: {error}; name a directory that this user may write to",
            directory.display()
        )
    })
}

/// Writes a segment: whole under its name, or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn write<'a>(
    directory: &Path,
    name: &str,
    records: impl Iterator<Item = &'a [u8]>,
) -> io::Result<PathBuf> {
    let mut content = MAGIC.to_vec();
    for record in records {
        let length = u32::try_from(record.len()).ok().filter(|length| *length != FOOTER);
        let length = length.ok_or_else(|| io::Error::other("a frame of more than 4 GiB"))?;
        content.extend_from_slice(&length.to_le_bytes());
        content.extend_from_slice(record);
    }
    content.extend_from_slice(&FOOTER.to_le_bytes());
    let hash = fnv1a(&content);
    content.extend_from_slice(&hash.to_le_bytes());
    let unfinished = directory.join(format!("{name}.tmp"));
    let file = directory.join(format!("{name}.{EXTENSION}"));
    fs::write(&unfinished, &content)?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &file)?;
    Ok(file)
}

/// Reads the segments of a directory, oldest first. What is broken is put aside with a warning.
///
/// # Errors
/// When the directory itself cannot be read.
pub fn read_all(directory: &Path) -> io::Result<Vec<StoredSegment>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    let mut segments = Vec::new();
    for file in files {
        match fs::read(&file).map_err(|error| error.to_string()).and_then(|all| parse(all.into())) {
            Ok(records) => segments.push(StoredSegment { file, records }),
            Err(error) => set_aside(&file, &error),
        }
    }
    Ok(segments)
}

/// Renames a file that cannot be used, so that it is kept for a look and not read again.
pub fn set_aside(file: &Path, error: &str) {
    let aside = file.with_extension(format!("{EXTENSION}.broken"));
    let renamed = fs::rename(file, &aside);
    tracing::warn!(
        file = %file.display(),
        error,
        set_aside = renamed.is_ok(),
        "a spool file is broken: its rows are lost"
    );
}

fn parse(mut content: Bytes) -> Result<Vec<Bytes>, String> {
    let torn = || "it ends early".to_owned();
    let hashed = content.len().checked_sub(8).ok_or_else(torn)?;
    let mut hash = content.split_off(hashed);
    if hash.get_u64_le() != fnv1a(&content) {
        return Err("its checksum is wrong: it ends early or was changed".to_owned());
    }
    if !content.starts_with(MAGIC) {
        return Err("it is no spool file of this version".to_owned());
    }
    content.advance(MAGIC.len());
    let mut records = Vec::new();
    loop {
        let length = content.try_get_u32_le().map_err(|_| torn())?;
        if length == FOOTER {
            return Ok(records);
        }
        let length = usize::try_from(length).map_err(|_| torn())?;
        if content.len() < length {
            return Err(torn());
        }
        records.push(content.split_to(length));
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &Path, name: &str) -> PathBuf {
        write(directory, name, [&b"open"[..], b"frame", b""].into_iter()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), "0002-b");
        written(directory.path(), "0001-a");
        let segments = read_all(directory.path()).unwrap();
        assert!(segments[0].file.ends_with("0001-a.segment"));
        assert_eq!(segments.len(), 2);
        assert_eq!(segments[1].records, [&b"open"[..], b"frame", b""]);
    }

    /// A file cut at any byte, or with any byte changed, is set aside, never half read; the others
    /// are read all the same.
    #[test]
    fn torn_and_changed_files_are_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), "good");
        let file = written(directory.path(), "bad");
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            for broken in [&whole[..at], &changed] {
                fs::write(&file, broken).unwrap();
                assert_eq!(read_all(directory.path()).unwrap().len(), 1, "at {at}");
                assert!(!file.exists() && file.with_extension("segment.broken").exists());
            }
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a-file");
        fs::write(&file, b"").unwrap();
        assert!(check(&file.join("spool")).unwrap_err().contains("cannot write there"));
        check(&directory.path().join("new/spool")).unwrap();
    }
}
