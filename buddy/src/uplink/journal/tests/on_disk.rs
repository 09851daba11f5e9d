//! Journals on disk: what a crash leaves, what the next start makes of it, and what happens where the
//! disk refuses.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::*;
use crate::spool::{
    Segment, SpoolConfig,
    disk::{DiskConfig, Fsync},
};

const MEMORY: usize = 1 << 20;

fn on_disk(instance: &str, directory: &Path, most_bytes: usize) -> Journal {
    let directory = directory.to_owned();
    let disk = DiskConfig { directory, most_bytes, fsync: Fsync::Never };
    let config = SpoolConfig { memory_bytes: MEMORY, disk: Some(disk) };
    Journal::with_spool(instance.into(), config)
}

/// Polls until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until all that was written is on disk.
pub(super) fn stored(journal: &Journal) {
    until("all is on disk", || {
        let state = journal.lock();
        state.spool.takes_disk() && state.spool.unsettled_by_place().1 == 0
    });
}

/// Ends a journal as a crash would: nothing is written any more.
fn crash(journal: Journal) {
    stored(&journal);
    drop(journal);
}

/// The same as [`given`], where parts may have to be read first.
fn given_by(journal: &Journal, purpose: Purpose) -> String {
    let mut all: Vec<String> = Vec::new();
    loop {
        let some = given(journal, purpose);
        all.extend((!some.is_empty()).then_some(some));
        let state = journal.lock();
        let live = state.live.as_ref().and_then(|live| live.reader.as_ref());
        let reader = if purpose == Purpose::Live { live } else { state.backfill.as_ref() };
        let is_asking = reader.is_some_and(super::super::reader::Reader::is_asking);
        drop(state);
        if !is_asking {
            // What came just before that was asked about.
            let rest = given(journal, purpose);
            all.extend((!rest.is_empty()).then_some(rest));
            return all.join(" ");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "segment")).collect();
    files.sort();
    files
}

/// What was written and not acknowledged is sent by the next start, under the name of the one that
/// wrote it, and then its file is gone. What was acknowledged and noted is not sent again.
#[test]
fn a_crash_loses_nothing_that_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let rows = Rows::new();
    let first = on_disk("i1", directory.path(), 1 << 30);
    stored(&first);
    start(&first);
    for round in 1..=3 {
        first.write(&rows.of(round));
        write(&first, round);
    }
    given_by(&first, Purpose::Live);
    settle(&first, Purpose::Live, 1, 4, Outcome::Delivered);
    stored(&first);
    let noted = directory.path().join("delivered");
    until("it is noted", || fs::read_to_string(&noted).is_ok_and(|text| text.contains("i1 1 4\n")));
    crash(first);

    let second = on_disk("i2", directory.path(), 1 << 30);
    until("the files are read", || second.spool_state().frames == 2);
    start(&second);
    write(&second, 4);
    assert_eq!(given_by(&second, Purpose::Live), "o1>0 1");
    // Rows are differences, so what was delivered is read too.
    assert_eq!(given_by(&second, Purpose::Backfill), "o1>4 0 1 2 3 4 5 6");
    settle(&second, Purpose::Backfill, 5, 6, Outcome::Delivered);
    until("the file is gone", || segments(directory.path()).len() == 1);
    assert_eq!(second.spool_state().frames, 1, "its own frame of the same number is not settled");
}

/// Without the note everything that is on disk is sent again: at least once.
#[test]
fn a_broken_note_sends_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk("i1", directory.path(), 1 << 30);
    start(&first);
    (1..=3).for_each(|round| write(&first, round));
    stored(&first);
    given_by(&first, Purpose::Live);
    settle(&first, Purpose::Live, 1, 2, Outcome::Delivered);
    first.close(Duration::from_secs(5));
    drop(first);
    let noted = directory.path().join("delivered");
    let text = fs::read_to_string(&noted).unwrap();
    // Which segment it is depends on when the directory was looked through.
    let line = text.lines().next().unwrap();
    let segment = line.strip_suffix(" 2").filter(|segment| segment.starts_with("i1 "));
    let segment = segment.unwrap_or_else(|| panic!("{text}"));
    fs::write(&noted, text.replacen(line, &format!("{segment} 3"), 1)).unwrap();
    let second = on_disk("i2", directory.path(), 1 << 30);
    until("the files are read", || second.spool_state().frames == 3);
}

/// Large clusters have long segments: on disk they go on in file after file, each with definitions and
/// a checkpoint, while the live stream sees one segment. Each file can be replayed by itself, and goes
/// when it is settled.
#[test]
fn a_long_segment_goes_on_in_the_next_file() {
    let directory = tempfile::tempdir().unwrap();
    let journal = on_disk("i1", directory.path(), 1 << 20);
    let rows = Rows::new();
    stored(&journal);
    start(&journal);
    let mut round = 0;
    let mut live = String::new();
    // One round more than it takes, so that the last file has rows.
    let mut more = 2;
    while more > 0 {
        more -= usize::from(segments(directory.path()).len() == 3);
        round += 1;
        journal.write(&rows.of(round));
        write(&journal, round);
        stored(&journal);
        live = format!("{live} {}", given_by(&journal, Purpose::Live));
    }
    assert!(live.trim_start().starts_with("o1>0 0 1 2 3"), "{live}");
    assert_eq!(live.matches('o').count(), 1, "one Open");
    assert_eq!(live.split_whitespace().filter(|word| *word == "0").count(), 1, "defined once");
    assert!(journal.lock().spool.segments().all(|segment| segment.frame_bytes() == 0));
    let last = u64::try_from(2 * round).unwrap();
    let files: Vec<(u64, u64)> = {
        let state = journal.lock();
        let through = |segment: &Segment| (segment.number(), segment.prelude_through());
        state.spool.segments().map(through).collect()
    };
    assert_eq!(files.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    settle(&journal, Purpose::Live, 1, files[1].1 - 2, Outcome::Delivered);
    crash(journal);

    let next = on_disk("i2", directory.path(), 1 << 20);
    until("the files are read", || next.spool_state().frames > 0);
    start(&next);
    for (place, (number, through)) in files.iter().enumerate() {
        let until = files.get(place + 1).map_or(last, |(_, through)| *through);
        let sent = given_by(&next, Purpose::Backfill);
        if *number > 1 {
            let begins = format!("o{number}>{through} 0 {through} {}", through + 1);
            assert!(sent.starts_with(&begins), "{begins}: {sent}");
        }
        assert!(sent.ends_with(&until.to_string()), "{until}: {sent}");
        settle(&next, Purpose::Backfill, 1, until, Outcome::Delivered);
    }
    assert_eq!(next.spool_state().frames, 0);
    until("the files are gone", || segments(directory.path()).is_empty());
}

/// A stream that is slow to take what is written does not have it kept in memory.
#[test]
fn a_slow_stream_reads_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let journal = on_disk("i1", directory.path(), 1 << 30);
    stored(&journal);
    start(&journal);
    assert_eq!(given(&journal, Purpose::Live), "o1>0");
    for round in 1..=20_000 {
        write(&journal, round);
        if round % 1_000 == 0 {
            stored(&journal);
        }
    }
    assert!(journal.lock().spool.segments().map(Segment::memory_bytes).sum::<usize>() < MEMORY);
    let expected: Vec<String> = (1..=20_000).map(|sequence| sequence.to_string()).collect();
    assert_eq!(given_by(&journal, Purpose::Live), expected.join(" "));
    write(&journal, 20_001);
    assert_eq!(given_by(&journal, Purpose::Live), "20001");
}

/// The oldest files go first, and the gap is counted; the bound holds.
#[test]
fn the_disk_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let most = 1 << 20;
    let journal = on_disk("i1", directory.path(), most);
    let rows = Rows::new();
    stored(&journal);
    for round in 1..=20_000 {
        journal.write(&rows.of(round));
        write(&journal, round);
        if round % 500 == 0 {
            stored(&journal);
        }
    }
    let state = journal.spool_state();
    assert!(state.dropped_frames > 0 && state.frames > 4_000, "{state:?}");
    assert_eq!(state.dropped_frames + state.frames as u64, 40_000);
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    until("the oldest are gone", || {
        segments(directory.path()).iter().map(size).sum::<u64>() <= most as u64
    });
    start(&journal);
    let sent = given_by(&journal, Purpose::Backfill);
    assert!(sent.starts_with('o') && !sent.starts_with("o1>"), "{}", &sent[..20]);
}

/// Two journals on one directory: the second keeps its rows in memory, and takes the directory over
/// with all that is in it when the first is gone; its own rows follow.
#[test]
fn a_directory_has_one_user() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk("i1", directory.path(), 1 << 30);
    write(&first, 1);
    stored(&first);
    let second = on_disk("i2", directory.path(), 1 << 30);
    write(&second, 1);
    until("it has tried", || second.disk_error().is_some());
    assert_eq!(segments(directory.path()).len(), 1);
    crash(first);
    until("it has the directory", || second.spool_state().frames == 2);
    second.end_session();
    start(&second);
    stored(&second);
    assert_eq!(second.disk_error(), None);
    crash(second);
    let third = on_disk("i3", directory.path(), 1 << 30);
    until("all rows are there", || third.spool_state().frames == 2);
}

/// A directory that cannot be made refuses nothing: rows are in memory, and go to disk when it can.
#[test]
fn a_disk_that_comes_later_gets_what_was_kept_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("in-the-way/spool");
    fs::write(folder.path().join("in-the-way"), b"").unwrap();
    let journal = on_disk("i1", &directory, 1 << 30);
    (1..=3).for_each(|round| write(&journal, round));
    until("it has tried", || journal.disk_error().is_some());
    fs::remove_file(folder.path().join("in-the-way")).unwrap();
    until("it is there", || journal.lock().spool.takes_disk());
    write(&journal, 4);
    crash(journal);
    let next = on_disk("i2", &directory, 1 << 30);
    until("all rows are there", || next.spool_state().frames == 4);
}

/// A segment that was begun in memory and let go of what was settled goes to disk as it is then: what
/// stands for that, and the frames behind it.
#[test]
fn what_memory_has_let_go_of_is_not_missed_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("in-the-way/spool");
    fs::write(folder.path().join("in-the-way"), b"").unwrap();
    let journal = on_disk("i1", &directory, 1 << 30);
    let rows = Rows::new();
    until("it has tried", || journal.disk_error().is_some());
    start(&journal);
    for round in 1..=6 {
        journal.write(&rows.of(round));
        write(&journal, round);
        given(&journal, Purpose::Live);
        settle(&journal, Purpose::Live, 1, 9, Outcome::Delivered);
    }
    fs::remove_file(folder.path().join("in-the-way")).unwrap();
    stored(&journal);
    let read_again = "o1>9 0 8 9 10 11 12";
    journal.end_session();
    start(&journal);
    assert_eq!(given_by(&journal, Purpose::Backfill), read_again);
    assert_eq!(journal.close(Duration::from_secs(5)), (3, 0));
    drop(journal);
    let next = on_disk("i2", &directory, 1 << 30);
    until("it is read", || next.spool_state().frames == 3);
    start(&next);
    assert_eq!(given_by(&next, Purpose::Backfill), read_again);
}

/// A directory that is removed under a running buddy is made again: what it had is counted as lost,
/// what comes is kept.
#[test]
fn a_directory_that_is_removed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("spool");
    let journal = on_disk("i1", &directory, 1 << 30);
    (1..=3).for_each(|round| write(&journal, round));
    stored(&journal);
    fs::remove_dir_all(&directory).unwrap();
    until("it is missed", || journal.spool_state().dropped_frames == 3);
    write(&journal, 4);
    until("it is there again", || journal.lock().spool.takes_disk());
    write(&journal, 5);
    crash(journal);
    let next = on_disk("i2", &directory, 1 << 30);
    until("what came later is there", || next.spool_state().frames == 2);
}

/// What is found broken is counted, and does not stand in the way of the rest.
#[test]
fn damage_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk("i1", directory.path(), 1 << 30);
    (1..=9).for_each(|round| write(&first, round));
    crash(first);
    let [file] = &segments(directory.path())[..] else { panic!("one file") };
    let mut content = fs::read(file).unwrap();
    let place = content.len() / 2;
    content[place] ^= 1;
    fs::write(file, &content).unwrap();
    fs::write(directory.path().join("0-other.segment"), b"something else entirely").unwrap();
    let next = on_disk("i2", directory.path(), 1 << 30);
    until("it is read", || next.spool_state().frames > 0);
    let (damage, frames) = (next.disk_damage(), next.spool_state().frames as u64);
    assert!((1..9).contains(&frames), "{frames}");
    assert_eq!(damage.frames + frames, 9);
    assert!(damage.bytes > 23, "{damage:?}");
    start(&next);
    let sent = given_by(&next, Purpose::Backfill);
    assert!(sent.starts_with("o1>0 1 2 ") && sent.ends_with(&frames.to_string()), "{sent}");
    assert!(directory.path().join("unusable").exists());
}
