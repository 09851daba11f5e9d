//! Appending whole lines to a file that is put aside when it is too large or too old.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;

use super::{Fsync, Options, rotated};

/// What appending has brought with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Appended {
    /// The file before it was put aside.
    pub(super) rotated: bool,
}

/// Appends these lines.
pub(super) fn append(
    path: &Path,
    lines: &[u8],
    options: &Options,
    now: Timestamp,
) -> io::Result<Appended> {
    let mut appended = Appended::default();
    let mut file = open(path)?;
    let mut length = cut_torn_line(&mut file)?;
    if length > 0 && is_due(&file, length, lines.len() as u64, options, now) {
        rotated::put_aside(path, now)?;
        appended.rotated = true;
        file = open(path)?;
        length = cut_torn_line(&mut file)?;
    }
    if let Err(error) = file.write_all(lines) {
        // So that what others read is whole; otherwise the next write cuts it off.
        let _ = file.set_len(length);
        return Err(error);
    }
    if options.fsync == Fsync::Always {
        file.sync_data()?;
    }
    Ok(appended)
}

/// Opens the file for this program alone, until it is dropped.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file that can be appended to"));
    }
    // To look at its end it has to be readable too, which the open of a pipe must not be.
    drop(file);
    let file = OpenOptions::new().read(true).append(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another program writes to it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Cuts off what there is behind the last line; gives the length that is left.
fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let end = end_of_last_line(file, length)?;
    if end < length {
        file.set_len(end)?;
        let bytes = length - end;
        tracing::warn!(bytes, "the end of the file was no whole line, and has been cut off");
    }
    Ok(end)
}

fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    // As a rule the last byte is the end of a line.
    let (mut end, mut step) = (length, 1);
    let mut bytes = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(step);
        let piece = &mut bytes[..usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        (end, step) = (start, 64 << 10);
    }
    Ok(0)
}

fn is_due(file: &File, length: u64, more: u64, options: &Options, now: Timestamp) -> bool {
    let most = options.rotate_bytes.0;
    if most != 0 && length + more > most {
        return true;
    }
    !options.rotate_age.is_zero() && age(file, now).is_some_and(|age| age >= options.rotate_age)
}

/// How long ago a file was begun; of file systems that do not know, when it was last written to.
fn age(file: &File, now: Timestamp) -> Option<std::time::Duration> {
    let metadata = file.metadata().ok()?;
    let begun = metadata.created().or_else(|_| metadata.modified()).ok()?;
    let begun = Timestamp::try_from(begun).ok()?;
    std::time::Duration::try_from(now.duration_since(begun)).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use heapster_shared::units::ByteSize;

    use super::*;

    fn put(path: &Path, lines: &str) -> Appended {
        append(path, lines.as_bytes(), &Options::default(), Timestamp::now()).unwrap()
    }

    /// What a killed program leaves of a line is no line, however long it was.
    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for torn in ["", "{\"clu", &"x".repeat(200_000)] {
            fs::write(&path, format!("a\nb\n{torn}")).unwrap();
            put(&path, "c\n");
            assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
        }
        fs::write(&path, "x".repeat(70_000)).unwrap();
        put(&path, "c\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\n");
    }

    #[test]
    fn a_file_is_put_aside_by_size_and_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let options = Options { rotate_bytes: ByteSize(10), ..Options::default() };
        let put = |lines: &str, options: &Options, now: Timestamp| {
            append(&path, lines.as_bytes(), options, now).unwrap().rotated
        };
        let now = Timestamp::now();
        assert!(!put("0123456\n", &options, now), "a first line has no file to be put aside");
        assert!(put("89\n", &options, now));
        assert_eq!(fs::read_to_string(&path).unwrap(), "89\n");
        let old = Options { rotate_age: Duration::from_secs(60), ..Options::default() };
        assert!(!put("a\n", &old, now));
        assert!(put("b\n", &old, now + Duration::from_secs(61)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
        let files = rotated::list(&path).unwrap();
        let texts: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert_eq!(texts, ["0123456\n", "89\na\n"]);
    }

    /// Their lines would mix, and one would cut off what the other is writing.
    #[test]
    fn two_programs_do_not_write_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let other = open(&path).unwrap();
        let error = append(&path, b"a\n", &Options::default(), Timestamp::now()).unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        drop(other);
        put(&path, "a\n");
    }
}
