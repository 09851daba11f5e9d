//! Tests of segments that live long.

use super::*;

/// The frames of a checkpoint stay within the limit too, and their numbers end at the one that is
/// asked for; where there are not so many numbers there is no checkpoint.
#[test]
fn a_checkpoint_takes_the_numbers_of_frames_before_it() {
    let limits = WriteLimits { frame_bytes: 500, ..WriteLimits::default() };
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-a");
    let all: Vec<_> =
        (0..200).map(|index| entity(&mut table, Some(&node), &format!("c{index}"))).collect();
    let mut writer = SegmentWriter::new(limits);
    write(&mut writer, &steady(&all, &layout(), 0));
    let frames = writer.checkpoint(50).unwrap();
    assert!(frames.len() > 1 && frames.iter().all(|frame| frame.bytes.len() <= 500));
    let numbers = frames.iter().map(|frame| frame.sequence);
    assert!(numbers.eq(51 - frames.len() as u64..=50));
    assert!(writer.checkpoint(frames.len() as u64 - 1).is_none());
}

/// Ends come and go in a segment that lives long: places are used again, and when most of what was
/// defined is gone the segment is over.
#[test]
fn what_has_ended_makes_room() {
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-a");
    let layout = layout();
    let mut writer = SegmentWriter::new(WriteLimits::default());
    let mut reader = Reader::default();
    let mut rounds = 0;
    let mut size = 0;
    while !writer.is_full() {
        let all: Vec<_> = (0..50)
            .map(|index| entity(&mut table, Some(&node), &format!("r{rounds}-{index}")))
            .collect();
        for kind in write(&mut writer, &steady(&all, &layout, 0)) {
            reader.frame(&kind);
        }
        table.retain(|entity| entity.id == node.id);
        drop(all);
        // Each looks at a part.
        for ended in (0..5).filter_map(|_| writer.end_unused()) {
            reader.frame(&kind(&ended));
        }
        rounds += 1;
        if rounds == 1 {
            size = writer.size();
        }
    }
    assert!((80..90).contains(&rounds), "{rounds}");
    let places = writer.size() - writer.entities.size();
    assert!(places <= size, "{places} bytes for rows of {size} at first");
}

/// A cluster that nearly reaches the limit is defined once, not again with each batch; when a part
/// of it was replaced, and the numbers come to an end, a new segment is due.
#[test]
fn what_lives_is_not_defined_again_for_being_much() {
    let limits = WriteLimits { entities: 100, ..WriteLimits::default() };
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-a");
    let named = |table: &mut EntityTable, names: std::ops::Range<u32>| -> Vec<_> {
        names.map(|index| entity(table, Some(&node), &format!("c{index}"))).collect()
    };
    let mut writer = SegmentWriter::new(limits);
    let all = named(&mut table, 0..79);
    for _ in 0..3 {
        write(&mut writer, &steady(&all, &layout(), 0));
        assert!(!writer.is_full());
    }
    let (kept, gone) = all.split_at(50);
    let gone: Vec<_> = gone.iter().map(|entity| entity.id).collect();
    let kept = kept.to_vec();
    drop(all);
    table.retain(|entity| !gone.contains(&entity.id));
    let new = named(&mut table, 100..120);
    write(&mut writer, &steady(&[kept, new].concat(), &layout(), 0));
    // Each looks at a part.
    let ended = (0..5).filter_map(|_| writer.end_unused()).count();
    assert!(ended > 0 && writer.is_full());
}
