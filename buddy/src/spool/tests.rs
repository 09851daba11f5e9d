//! Tests of the log.

use std::sync::Arc;

use bytes::Bytes;

use super::{Fate, LogFrame, SegmentId, Spool, StoredFile, stored::AppendTo};

fn frame(sequence: u64, bytes: usize) -> LogFrame {
    let tick_unix_ms = i64::try_from(sequence).unwrap() * 15_000;
    LogFrame { sequence, tick_unix_ms, is_events: false, bytes: Bytes::from(vec![0; bytes]) }
}

fn spool(most_bytes: usize) -> Spool {
    let mut spool = Spool::new(Arc::from("i1"), most_bytes);
    spool.begin();
    spool
}

/// Rows are differences to rows before, so a segment stays whole until all of it is settled.
#[test]
fn a_segment_is_freed_when_it_is_closed_and_all_of_it_is_settled() {
    let mut spool = spool(1 << 20);
    for sequence in [0, 1, 2, 3] {
        assert!(spool.append(frame(sequence, 100)));
    }
    spool.settle(None, 1..=1, Fate::Settled);
    spool.settle(None, 3..=3, Fate::Settled);
    spool.begin();
    let first = spool.segment(SegmentId(1)).unwrap();
    assert_eq!((first.unsettled(), first.delivered_through()), (1, 1));
    spool.settle(None, 2..=9, Fate::Settled);
    assert!(spool.segment(SegmentId(1)).is_none());
    assert_eq!((spool.state().bytes, spool.state().frames), (0, 0));
}

#[test]
fn a_closed_segment_takes_no_more() {
    let mut spool = spool(1 << 20);
    spool.close();
    assert!(!spool.append(frame(1, 1)));
}

/// The oldest goes first and is counted; the bound holds at all times, even for one large segment.
#[test]
fn the_oldest_segment_is_dropped_when_the_bound_is_passed() {
    let mut spool = spool(900);
    for sequence in 1..=2 {
        spool.append(frame(sequence, 200));
    }
    spool.begin();
    for sequence in 3..=4 {
        spool.append(frame(sequence, 200));
        assert!(spool.state().bytes <= 900);
    }
    let state = spool.state();
    assert_eq!((state.dropped_frames, state.frames), (2, 2));
    assert_eq!(state.oldest_unix_ms, 45_000);
    spool.append(frame(5, 2_000));
    assert_eq!(spool.state().bytes, 0);
    assert_eq!(spool.state().dropped_frames, 5);
    assert!(spool.open().is_none());
}

/// Events that wait have a quarter of the log, rows the rest; what is settled gives its room back,
/// and so does what is dropped.
#[test]
fn events_have_their_part() {
    let mut spool = spool(10_000);
    let events = |sequence| LogFrame { is_events: true, ..frame(sequence, 500) };
    let mut sequence = 0;
    while spool.takes_events() {
        sequence += 1;
        spool.append(events(sequence));
    }
    assert!((2_500..3_200).contains(&spool.state().bytes), "{}", spool.state().bytes);
    assert!(spool.append(frame(sequence + 1, 5_000)));
    assert_eq!((spool.state().dropped_frames, spool.takes_events()), (0, false));
    spool.settle(None, 2..=2, Fate::Retry);
    spool.settle(None, 1..=1, Fate::Settled);
    assert!(spool.takes_events(), "one of them is settled");
    spool.append(events(sequence + 2));
    assert!(!spool.takes_events());
    spool.begin();
    spool.append(frame(sequence + 3, 3_000));
    assert!(spool.state().dropped_frames > 0 && spool.takes_events(), "the segment is gone");
}

/// What was refused for now waits, and is sent again as a whole.
#[test]
fn frames_to_be_retried_wait_for_their_answer_again() {
    let mut spool = spool(1 << 20);
    spool.append(frame(1, 10));
    spool.append(frame(2, 10));
    spool.settle(None, 1..=1, Fate::Retry);
    assert!(spool.segment(SegmentId(1)).unwrap().is_waiting());
    spool.settle(None, 2..=2, Fate::Settled);
    let segment = spool.segment_mut(SegmentId(1)).unwrap();
    assert!(!segment.is_waiting());
    segment.replay();
    assert!(segment.is_waiting());
    assert_eq!(segment.unsettled(), 1);
}

/// Definitions stay a small part: rotation waits until data are twice as much.
#[test]
fn rotation_waits_until_data_outgrow_definitions() {
    let mut spool = spool(64 << 20);
    spool.append(frame(0, 1 << 20));
    spool.append(frame(1, 1 << 20));
    assert!(!spool.is_rotation_due());
    spool.append(frame(2, 1 << 20));
    spool.append(frame(3, 1 << 10));
    assert!(spool.is_rotation_due());
}

/// Where entities come and go at each tick, definitions outgrow data. The master acknowledges all
/// at once, so nothing may be lost for want of room.
#[test]
fn what_is_settled_makes_room_however_much_is_defined() {
    let mut spool = spool(10_000);
    for sequence in 1..=100 {
        if spool.is_rotation_due() {
            spool.begin();
        }
        assert!(spool.append(frame(0, 700)), "at {sequence}");
        assert!(spool.append(frame(sequence, 100)));
        spool.settle(None, sequence..=sequence, Fate::Settled);
    }
    assert_eq!((spool.state().dropped_frames, spool.state().frames), (0, 0));
}

/// The sequences that a replay of a segment has, in order; 0 for definitions.
fn replayed(spool: &Spool, id: SegmentId) -> Vec<usize> {
    let segment = spool.segment(id).unwrap();
    let parts = (0..).map_while(|part| segment.prelude(part).unwrap());
    let prelude: Vec<Bytes> = parts.flat_map(|part| part.frames).collect();
    let kept = (segment.let_go()..segment.end()).map(|index| segment.frame(index).unwrap());
    let frames = prelude.iter().chain(kept.map(|frame| &frame.bytes));
    frames.map(Bytes::len).collect()
}

/// Rows are let go of when all before the checkpoint are settled, not sooner; definitions and the
/// checkpoint go in their place, and what comes after stays as it is.
#[test]
fn a_checkpoint_replaces_rows_that_are_settled() {
    let mut spool = spool(1 << 20);
    for (sequence, bytes) in [(0, 10), (1, 101), (0, 20), (2, 102)] {
        spool.append(frame(sequence, bytes));
    }
    let id = spool.open().unwrap().id();
    assert!(spool.wants_checkpoint());
    spool.set_checkpoint(vec![frame(2, 50)]);
    assert!(!spool.wants_checkpoint(), "one is waiting");
    spool.append(frame(3, 103));
    spool.settle(None, 1..=1, Fate::Settled);
    assert_eq!(replayed(&spool, id), [10, 101, 20, 102, 103]);
    let before = spool.state().bytes;
    spool.settle(None, 2..=2, Fate::Settled);
    assert_eq!(replayed(&spool, id), [10, 20, 50, 103]);
    assert!(spool.state().bytes < before - 200);
    let segment = spool.segment(id).unwrap();
    assert_eq!((segment.let_go(), segment.end(), segment.delivered_through()), (4, 5, 2));
    assert_eq!((segment.unsettled(), segment.data_bytes()), (1, frame(3, 103).size()));
    assert!(spool.wants_checkpoint(), "there are more rows than the last one takes");
    spool.settle(None, 3..=3, Fate::Settled);
    spool.set_checkpoint(vec![frame(3, 60)]);
    assert_eq!(replayed(&spool, id), [10, 20, 60], "at once, where all is settled");
    assert_eq!(spool.open().unwrap().delivered_through(), 3);
    spool.close();
    assert_eq!(spool.state().bytes, 0);
}

/// A closed segment may be on its way as backfill, so it is not changed any more.
#[test]
fn a_checkpoint_of_a_closed_segment_is_not_used() {
    let mut spool = spool(1 << 20);
    spool.append(frame(1, 101));
    spool.append(frame(2, 102));
    spool.settle(None, 1..=1, Fate::Settled);
    spool.set_checkpoint(vec![frame(2, 50)]);
    let id = spool.open().unwrap().id();
    spool.append(frame(3, 103));
    spool.close();
    spool.settle(None, 2..=2, Fate::Settled);
    assert_eq!(replayed(&spool, id), [101, 102, 103]);
}

/// Definitions are the larger part of a long segment, and much alike.
#[test]
fn definitions_are_packed() {
    let mut spool = spool(16 << 20);
    for sequence in 1..=30 {
        spool.append(frame(0, 20_000));
        spool.append(frame(sequence, 10));
        spool.settle(None, sequence..=sequence, Fate::Settled);
        spool.set_checkpoint(vec![frame(sequence, 10)]);
    }
    let open = spool.open().unwrap();
    assert!(open.memory_bytes() < 200_000, "{}", open.memory_bytes());
    assert_eq!(open.definition_bytes(), 30 * frame(0, 20_000).size());
    let mut expected = vec![20_000; 30];
    expected.push(10);
    assert_eq!(replayed(&spool, open.id()), expected);
}

/// All of a large cluster is defined in its first round, which is more than the log holds. As the
/// master acknowledges it, it is packed, so that the segment goes on and nothing is defined twice.
#[test]
fn definitions_that_outgrow_the_log_are_packed_in_time() {
    let mut spool = spool(1 << 20);
    for sequence in 1..=100 {
        assert!(!spool.is_rotation_due(), "at {sequence}: {:?}", spool.state());
        spool.append(frame(0, 30_000));
        spool.append(frame(sequence, 1_000));
        if spool.is_checkpoint_urgent() {
            spool.set_checkpoint(vec![frame(sequence, 1_000)]);
        }
        // The master's answers are some frames behind.
        spool.settle(None, 1..=sequence.saturating_sub(5), Fate::Settled);
    }
    assert_eq!((spool.open().unwrap().id(), spool.state().dropped_frames), (SegmentId(1), 0));
}

/// Does what is asked to be written, as if it were; returns the names of the files that were begun, each
/// with the one whose definitions it has.
fn keep(spool: &mut Spool) -> Vec<(i64, Option<String>)> {
    let mut begun = Vec::new();
    while let Some(append) = spool.next_append() {
        let size: usize = append.frames.iter().map(|frame| frame.bytes.len()).sum();
        let mut file = match append.to {
            AppendTo::File(file) => file,
            AppendTo::New(new) => {
                let head = new.definitions_of.as_ref().map_or(0, |file| file.bytes / 2);
                let before = new.definitions_of.map(|file| file.path.display().to_string());
                begun.push((append.segment.0, before));
                let path = std::path::Path::new(&append.segment.0.to_string()).into();
                StoredFile {
                    path,
                    first: 40,
                    head: 40 + head,
                    frames: new.let_go,
                    bytes: 40 + head,
                }
            }
        };
        file.frames += append.frames.len();
        file.bytes += size as u64;
        assert!(spool.note_stored(append.segment, file));
        spool.evict(None);
    }
    begun
}

/// On disk the definitions of a large cluster do not end its segment, in its first round or after: the
/// next file goes on with them, once rows are as much, and the one before stays until it has them.
#[test]
fn a_large_cluster_is_defined_once_on_disk() {
    let mut spool = Spool::new(Arc::from("i1"), 1 << 20);
    spool.use_disk(256 << 20);
    spool.set_disk_up(true);
    spool.begin();
    let mut sequence = 0;
    for _ in 1..=400 {
        assert!(!spool.is_rotation_due() && !spool.is_roll_due(), "{:?}", spool.state());
        sequence += 1;
        spool.append(frame(0, 50_000));
        spool.append(frame(sequence, 10_000));
        keep(&mut spool);
    }
    let id = spool.open().unwrap().id();
    assert_eq!((id, spool.state().dropped_frames), (SegmentId(1), 0));
    assert!(spool.open().unwrap().memory_bytes() < 50_000, "it is on disk");
    while !spool.is_roll_due() {
        assert!(!spool.is_rotation_due());
        sequence += 1;
        spool.append(frame(sequence, 100_000));
        keep(&mut spool);
    }
    let data: usize = spool.open().unwrap().data_bytes();
    assert!((20_000_000..22_000_000).contains(&data), "{data}");
    spool.roll(vec![frame(sequence, 70_000)]);
    spool.settle(None, 1..=sequence, Fate::Settled);
    assert!(spool.segment(id).is_some() && spool.take_trash().is_empty(), "it is needed");
    assert_eq!(keep(&mut spool), [(2, Some("1".to_owned()))]);
    assert!(spool.segment(id).is_none());
    assert_eq!(spool.take_trash(), [std::path::Path::new("1").into()]);
    let open = spool.open().unwrap();
    assert_eq!((open.prelude_through(), open.continues()), (sequence, Some(id)));
    assert!(!spool.is_roll_due() && !spool.is_rotation_due());
}

/// While the disk refuses, what is written goes to a segment in memory, which is bounded and lets go
/// of what is settled; when the disk is back it goes there, and the next one is there from the start.
#[test]
fn what_the_disk_refuses_is_in_memory_meanwhile() {
    let mut spool = Spool::new(Arc::from("i1"), 1 << 20);
    spool.use_disk(256 << 20);
    spool.set_disk_up(true);
    spool.begin();
    spool.append(frame(1, 100));
    keep(&mut spool);
    spool.set_disk_up(false);
    assert!(spool.is_rotation_due());
    let second = spool.begin();
    for sequence in 2..=50 {
        spool.append(frame(sequence, 10_000));
        if spool.wants_checkpoint() {
            spool.set_checkpoint(vec![frame(sequence, 10)]);
        }
        spool.settle(Some(second), 0..=sequence - 1, Fate::Settled);
    }
    assert!(spool.state().bytes < 40_000, "{:?}", spool.state());
    assert_eq!(spool.unsettled_by_place(), (1, 1));
    spool.set_disk_up(true);
    assert!(spool.open().is_none(), "it ends");
    assert_eq!(keep(&mut spool), [(2, None)]);
    assert_eq!(spool.unsettled_by_place(), (2, 0));
    spool.begin();
    assert!(spool.open().unwrap().is_on_disk());
}

/// A disk that hangs: what it should have taken is bounded as memory is, and the log goes on there.
#[test]
fn a_disk_that_hangs_does_not_fill_memory() {
    let mut spool = Spool::new(Arc::from("i1"), 1 << 20);
    spool.use_disk(256 << 20);
    spool.set_disk_up(true);
    spool.begin();
    for sequence in 1..=400 {
        if spool.open().is_none() || spool.is_rotation_due() {
            spool.begin();
        }
        spool.append(frame(sequence, 10_000));
        assert!(spool.state().bytes <= 1 << 20);
    }
    assert!(spool.is_disk_behind());
    let state = spool.state();
    assert_eq!(state.dropped_frames + state.frames as u64, 400);
    assert!(state.frames > 40, "{state:?}");
}
