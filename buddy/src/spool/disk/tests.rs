//! Tests of spool files: what is read of one that is whole, torn or changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    marks::{self, Mark},
    *,
};
use crate::spool::LogFrame;

fn frame(sequence: u64, bytes: usize) -> LogFrame {
    let tick_unix_ms = i64::try_from(sequence).unwrap() * 15_000;
    let bytes = Bytes::from(vec![sequence as u8; bytes]);
    LogFrame { sequence, tick_unix_ms, is_events: sequence == 2, bytes }
}

/// A file with four frames and definitions.
fn written(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(format!("{name}.segment"));
    let mut file = SegmentFile::create(&path, b"open").unwrap();
    file.append(&[frame(0, 30), frame(1, 40)]).unwrap();
    file.append(&[frame(2, 10), frame(0, 0), frame(3, 50), frame(4, 1)]).unwrap();
    file.finish().unwrap();
    path
}

/// What a scan finds: the last frame, and why it ends.
fn found(path: &Path) -> (Option<u64>, Option<String>) {
    match scan(path) {
        Ok(scanned) => (scanned.numbers.last(), scanned.damage.map(|damage| damage.reason)),
        Err(damage) => (None, Some(damage.reason)),
    }
}

#[test]
fn what_is_written_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), "a");
    let scanned = scan(&path).unwrap();
    assert_eq!((scanned.records, scanned.numbers.last(), scanned.damage), (6, Some(4), None));
    assert_eq!(&scanned.open[..], b"open");
    assert_eq!(scanned.bytes, fs::metadata(&path).unwrap().len());
    let part = read_part(&fs::File::open(&path).unwrap(), scanned.head_bytes).unwrap();
    let sequences: Vec<u64> = part.records.iter().map(|record| record.sequence).collect();
    assert_eq!((sequences, part.end), (vec![0, 1, 2, 0, 3, 4], Some(End::Clean)));
}

/// A file that is cut anywhere, or has any byte changed, is used up to there: never a frame that was
/// not written, never one behind the break, and never a panic.
#[test]
fn torn_and_changed_files_are_used_up_to_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), "a");
    let whole = fs::read(&path).unwrap();
    // Where each record of a frame ends, after the magic and the Open.
    let ends: Vec<usize> = [30, 40, 10, 0, 50, 1]
        .iter()
        .scan(17 + 25 + 4, |end, payload| {
            *end += 25 + payload;
            Some(*end)
        })
        .collect();
    let last_before = |at: usize| {
        let good = ends.iter().filter(|end| **end <= at).count();
        [None, None, Some(1), Some(2), Some(2), Some(3), Some(4)][good]
    };
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).unwrap();
        let (last, reason) = found(&path);
        assert_eq!(last, last_before(at), "cut at {at}");
        // A record that begins with zeros may be torn so that it looks like room set aside.
        let torn = ends.iter().rev().find(|end| **end <= at).map_or(0, |end| *end);
        let is_whole = at >= 46 && whole[torn.max(46)..at].iter().all(|byte| *byte == 0);
        assert_eq!(reason.is_none(), is_whole, "cut at {at}: {reason:?}");
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            fs::write(&path, &changed).unwrap();
            let (last, reason) = found(&path);
            assert_eq!(last, last_before(at), "bit {bit} of {at}");
            assert!(reason.is_some(), "bit {bit} of {at}");
        }
    }
}

/// A power cut can leave zeros where data should be: at the end that is an end, before it a hole.
#[test]
fn zeros_are_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), "a");
    let mut content = fs::read(&path).unwrap();
    let length = content.len();
    content.resize(length + 700_000, 0);
    fs::write(&path, &content).unwrap();
    assert_eq!(found(&path), (Some(4), None));
    content.push(1);
    fs::write(&path, &content).unwrap();
    assert_eq!(found(&path), (Some(4), Some("there is a hole in it".to_owned())));
}

/// Whatever lies in the directory under a segment's name, the others are read.
#[test]
fn what_is_no_segment_is_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::take(folder.path()).unwrap();
    written(folder.path(), "5-good");
    written(folder.path(), "2-good");
    let put = |name: &str, content: &[u8]| {
        fs::write(folder.path().join(format!("{name}.segment")), content).unwrap();
    };
    put("1-empty", b"");
    put("3-other", b"a file of somebody else's with the same end");
    put("4-later", b"heapster-spool 3\nand more");
    fs::create_dir(folder.path().join("6-directory.segment")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("7-gone.segment")).unwrap();
    let mut told = Vec::new();
    let scanned = directory
        .scan(|path, damage| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            told.push(format!("{name}: {}", damage.reason));
        })
        .unwrap();
    let names: Vec<_> = scanned.iter().map(|one| one.path.file_stem().unwrap()).collect();
    assert_eq!(names, ["2-good", "5-good"]);
    assert_eq!(
        told,
        [
            "1-empty: it is empty",
            "3-other: it is no spool file",
            "4-later: it was written by another version",
            "6-directory: it is no file",
            "7-gone: No such file or directory (os error 2)",
        ]
    );
    assert!(folder.path().join("unusable").exists());
    assert!(folder.path().join("4-later.segment").exists());
}

/// What is broken is cut off, so it is told of once, and the file can be gone on with.
#[test]
fn damage_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::take(folder.path()).unwrap();
    let path = written(folder.path(), "a");
    let mut content = fs::read(&path).unwrap();
    let place = content.len() - 60;
    content[place] ^= 4;
    fs::write(&path, &content).unwrap();
    let mut told = Vec::new();
    directory.scan(|_, damage| told.push(damage.clone())).unwrap();
    assert_eq!(told.iter().map(|damage| damage.frames).collect::<Vec<_>>(), [2]);
    let scanned = directory.scan(|_, damage| panic!("{damage:?}")).unwrap();
    assert_eq!(scanned[0].numbers.last(), Some(2));
}

/// The next file has the definitions of the one before, in their order, and none of its rows.
#[test]
fn definitions_are_copied() {
    let folder = tempfile::tempdir().unwrap();
    let first = written(folder.path(), "a");
    let path = folder.path().join("b.segment");
    let mut next = SegmentFile::create(&path, b"open").unwrap();
    next.copy_definitions(&first, fs::metadata(&first).unwrap().len()).unwrap();
    next.append_head(Some(4), &[Bytes::from_static(b"checkpoint")]).unwrap();
    next.append(&[frame(5, 5)]).unwrap();
    let scanned = scan(&path).unwrap();
    assert_eq!((scanned.records, scanned.through, scanned.numbers.last()), (4, 4, Some(5)));
    let longer = fs::metadata(&first).unwrap().len() + 1;
    assert!(next.copy_definitions(&first, longer).is_err(), "less than was written to it");
}

/// Two users of one directory are told apart, also within a program; the lock goes with its user.
#[test]
fn a_directory_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/spool");
    let first = Directory::take(&path).unwrap();
    assert!(matches!(Directory::take(&path), Err(Unavailable::InUse)));
    assert!(first.is_in_place());
    drop(first);
    let again = Directory::take(&path).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(!again.is_in_place());
}

/// Marks come back as they were, or not at all.
#[test]
fn marks_are_whole_or_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(marks::read(folder.path()).is_empty());
    let mark = |number, through| Mark { instance: "i1".into(), number, through };
    marks::write(folder.path(), &[mark(1, 10), mark(2, 20)], true).unwrap();
    let known = marks::read(folder.path());
    assert_eq!((known.len(), known[&("i1".to_owned(), 2)]), (2, 20));
    let file = folder.path().join("delivered");
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        for broken in [&whole[..at], &changed] {
            fs::write(&file, broken).unwrap();
            assert!(marks::read(folder.path()).is_empty(), "at {at}");
        }
    }
    marks::write(folder.path(), &[], false).unwrap();
    assert!(marks::read(folder.path()).is_empty());
}

#[test]
fn policies_are_named() {
    for (text, policy) in [
        ("always", Fsync::Always),
        ("never", Fsync::Never),
        ("interval", Fsync::Interval(Duration::from_secs(1))),
        ("interval=250ms", Fsync::Interval(Duration::from_millis(250))),
    ] {
        assert_eq!(text.parse::<Fsync>(), Ok(policy));
        assert_eq!(policy.to_string().parse::<Fsync>(), Ok(policy));
    }
    for wrong in ["", "sometimes", "interval=", "interval=0", "interval=2h", "always=1s"] {
        assert!(wrong.parse::<Fsync>().is_err(), "{wrong}");
    }
}
