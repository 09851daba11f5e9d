//! Small kernel files, read whole into one buffer that is used again and again, and the few ways
//! in which the kernel writes numbers into them.

use std::{
    fs::File,
    io::{self, Read},
};

/// Past this no file of the kernel's is believed: the largest real ones, mount tables of machines
/// with many thousand mounts, take a few MiB.
const MAX_BYTES: usize = 64 << 20;

/// Reads files one after the other without allocating for each.
#[derive(Debug)]
pub(super) struct FileReader {
    path: String,
    bytes: Vec<u8>,
}

impl Default for FileReader {
    fn default() -> Self {
        Self { path: String::new(), bytes: vec![0; 16 << 10] }
    }
}

impl FileReader {
    /// The content of the file whose path is these parts put together.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub(super) fn read(&mut self, parts: &[&str]) -> io::Result<&[u8]> {
        self.read_until(parts, |count, _| count == 0)
    }

    /// As [`FileReader::read`], for files of control groups: the kernel writes each of these in one
    /// go, so a read that leaves room in the buffer was the last one.
    ///
    /// # Errors
    /// When it cannot be opened or read; a control group that is gone while its file is open gives
    /// `ENODEV` here.
    pub(super) fn read_group(&mut self, parts: &[&str]) -> io::Result<&[u8]> {
        self.read_until(parts, |count, room| count < room)
    }

    fn read_until(
        &mut self,
        parts: &[&str],
        is_last: fn(count: usize, room: usize) -> bool,
    ) -> io::Result<&[u8]> {
        self.path.clear();
        parts.iter().for_each(|part| self.path.push_str(part));
        let mut file = File::open(&self.path)?;
        let mut filled = 0;
        loop {
            if filled == self.bytes.len() {
                self.grow()?;
            }
            let room = self.bytes.len() - filled;
            match file.read(&mut self.bytes[filled..]) {
                Ok(count) if is_last(count, room) => return Ok(&self.bytes[..filled + count]),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn grow(&mut self) -> io::Result<()> {
        if self.bytes.len() >= MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is too large to be true"));
        }
        self.bytes.resize(self.bytes.len() * 2, 0);
        Ok(())
    }
}

/// The lines of a file, without the empty one behind the last.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// What white space separates.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A decimal number, white space round it ignored; `None` for anything else.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    let digits = word.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// `major:minor` of a block device.
pub(super) fn device_number(word: &[u8]) -> Option<(u32, u32)> {
    let colon = word.iter().position(|byte| *byte == b':')?;
    let part = |digits| number(digits).and_then(|value| u32::try_from(value).ok());
    Some((part(&word[..colon])?, part(&word[colon + 1..])?))
}

/// `KEY NUMBER` in a line, as in `memory.stat` and `cpu.stat`.
pub(super) fn key_and_number(line: &[u8]) -> Option<(&[u8], u64)> {
    let mut words = words(line);
    Some((words.next()?, number(words.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_only_where_they_are_numbers() {
        assert_eq!(number(b" 819578850125\n"), Some(819_578_850_125));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "max", "-1", "12a", "18446744073709551616"] {
            assert_eq!(number(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(device_number(b"254:16"), Some((254, 16)));
        assert_eq!(device_number(b"Total"), None);
        assert_eq!(
            key_and_number(b"usage_usec 808138082"),
            Some((&b"usage_usec"[..], 808_138_082))
        );
    }

    /// A short file read after a long one must not show the long one's end, and a file larger than
    /// the buffer comes whole.
    #[test]
    fn each_file_comes_whole_and_alone() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().to_str().unwrap();
        let long = vec![b'x'; 100_000];
        std::fs::write(directory.path().join("long"), &long).unwrap();
        std::fs::write(directory.path().join("short"), "1\n").unwrap();
        let mut files = FileReader::default();
        assert_eq!(files.read(&[base, "/long"]).unwrap(), long);
        assert_eq!(files.read(&[base, "/", "short"]).unwrap(), b"1\n");
        let mut files = FileReader::default();
        assert_eq!(files.read_group(&[base, "/long"]).unwrap(), long);
        assert_eq!(files.read_group(&[base, "/short"]).unwrap(), b"1\n");
        assert!(files.read(&[base, "/none"]).is_err());
    }
}
