//! Files that were put aside: their names, how many are kept, and their compression.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use jiff::{Timestamp, ToSpan};

/// The time in a name: sorted by name they are sorted by time.
const TIME: &str = "%Y%m%dT%H%M%S%.3fZ";
const TIME_LENGTH: usize = "20261122T110000.000Z".len();
/// A file that is being compressed.
const UNFINISHED: &str = ".gz.part";

/// Gives the file a name with this time, or one shortly after that no other file has.
pub(super) fn put_aside(path: &Path, now: Timestamp) -> io::Result<()> {
    let mut time = now;
    loop {
        let target = with_suffix(path, &format!(".{}", time.strftime(TIME)));
        if !target.exists() && !with_suffix(&target, ".gz").exists() {
            return fs::rename(path, target);
        }
        time = time.checked_add(1.millisecond()).map_err(io::Error::other)?;
    }
}

/// Compresses files that were put aside, where that is wanted, and deletes the oldest past `keep`.
pub(super) fn tidy(path: &Path, keep: usize, gzip: bool) -> io::Result<()> {
    let mut files = list(path)?;
    let excess = files.len().saturating_sub(keep);
    for file in files.drain(..excess) {
        fs::remove_file(file)?;
    }
    for file in files.iter().filter(|file| gzip && !has_suffix(file, ".gz")) {
        compress(file)?;
    }
    Ok(())
}

/// The files that were put aside, oldest first. Of one that was compressed and not yet removed there
/// is the compressed one only when it is whole.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let suffix = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        if suffix.is_some_and(is_of_a_rotation) {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether this is a time as [`put_aside`] writes it, with or without `.gz`.
fn is_of_a_rotation(suffix: &[u8]) -> bool {
    let Some((time, rest)) = suffix.split_at_checked(TIME_LENGTH) else { return false };
    let pattern = b"dddddddd.dddddd.ddd.";
    let matches = |(byte, wanted): (&u8, &u8)| (*wanted == b'd') == byte.is_ascii_digit();
    time.iter().zip(pattern).all(matches)
        && time[8] == b'T'
        && time[15] == b'.'
        && time[19] == b'Z'
        && (rest.is_empty() || rest == b".gz")
}

/// A file that a crash left half compressed is compressed again from its beginning.
fn compress(file: &Path) -> io::Result<()> {
    let unfinished = with_suffix(file, UNFINISHED);
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&unfinished, with_suffix(file, ".gz"))?;
    fs::remove_file(file)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let names = list(path).unwrap().into_iter();
        names.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_oldest_go_and_the_rest_is_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let now: Timestamp = "2026-11-22T11:00:00Z".parse().unwrap();
        for text in ["a\n", "b\n", "c\n"] {
            fs::write(&path, text).unwrap();
            put_aside(&path, now).unwrap();
        }
        // Files of others stay what they are.
        fs::write(folder.path().join("x.jsonl.bak"), "").unwrap();
        fs::write(folder.path().join("x.jsonl.20261122T110000.000Z.orig"), "").unwrap();
        tidy(&path, 2, true).unwrap();
        let kept = ["x.jsonl.20261122T110000.001Z.gz", "x.jsonl.20261122T110000.002Z.gz"];
        assert_eq!(names(&path), kept);
        let mut text = String::new();
        let file = File::open(folder.path().join(kept[1])).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "c\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    /// What a crash left half compressed is whole afterwards, and counts once.
    #[test]
    fn a_compression_that_was_cut_off_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "a\n").unwrap();
        put_aside(&path, "2026-11-22T11:00:00Z".parse().unwrap()).unwrap();
        let file = list(&path).unwrap().remove(0);
        fs::write(with_suffix(&file, UNFINISHED), "half").unwrap();
        assert_eq!(names(&path).len(), 1);
        tidy(&path, 7, true).unwrap();
        assert_eq!(names(&path), ["x.20261122T110000.000Z.gz"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
