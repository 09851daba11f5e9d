//! Tests of the recorder.

use std::convert::Infallible;

use heapster_shared::{entity::Labels, schema::table};

use super::*;

fn subject(name: &str) -> Subject {
    Subject::SysContainer { name: name.into(), uid: "".into(), labels: Labels::default() }
}

/// Disks, each with a value.
type Disks<'d> = &'d [(&'d str, i64)];

/// One poll: for each name its fingerprint, and resources with a value.
fn poll(shapes: &mut Shapes<u8>, layouts: &Layouts, things: &[(&str, u64, Disks<'_>)]) -> Readings {
    let mut recorder = Recorder::new(shapes, layouts);
    for (name, fingerprint, disks) in things {
        let make = || Ok::<_, Infallible>((subject(name), *fingerprint as u8));
        let Ok(note) = recorder.begin(name, *fingerprint, make);
        let Some(note) = note else { continue };
        assert_eq!(u64::from(note), *fingerprint);
        recorder.plain(table::CPU_USAGE, Cell::int(1));
        for (disk, value) in *disks {
            recorder.resource(table::DISK_IO_READ_BYTES, disk, Cell::int(*value));
        }
        recorder.plain(table::CPU_NODE_CAPACITY, Cell::int(1)); // not at this level
        recorder.end(1000, 0);
    }
    recorder.finish()
}

/// What did not change is the same `Arc`; what did has its own, in whatever order it comes.
#[test]
fn the_unchanged_costs_its_numbers_only() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    let first = poll(&mut shapes, &layouts, &[("a", 1, &[("sda", 1)]), ("b", 2, &[("sda", 2)])]);
    let again = poll(&mut shapes, &layouts, &[("b", 2, &[("sda", 3)]), ("a", 9, &[("sda", 4)])]);
    let of = |readings: &Readings, place: usize| readings.iter().nth(place).map(|(r, _)| r.clone());
    let (a, b) = (of(&first, 0).unwrap(), of(&first, 1).unwrap());
    let (b_again, a_again) = (of(&again, 0).unwrap(), of(&again, 1).unwrap());
    assert!(Arc::ptr_eq(&b.subject, &b_again.subject));
    assert!(Arc::ptr_eq(&a.subject, &a_again.subject), "made anew, and equal");
    assert!(Arc::ptr_eq(&a.layout, &b_again.layout), "shared by all that have the same fields");
    let cells: Vec<_> = again.iter().map(|(_, cells)| cells.to_vec()).collect();
    assert_eq!(cells, [[Cell::int(1), Cell::int(3)], [Cell::int(1), Cell::int(4)]]);
}

/// Fields that come, go, change their order or come twice give a right layout each time.
#[test]
fn a_changed_field_gives_another_layout() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    let polls: [(Disks<'_>, &[i64]); 6] = [
        (&[("sda", 1), ("sdb", 2)], &[1, 1, 2]),
        (&[("sda", 1), ("sda", 7), ("sdb", 2)], &[1, 1, 2]),
        (&[("sdb", 2), ("sda", 1)], &[1, 2, 1]),
        (&[], &[1]),
        (&[("sdc", 3)], &[1, 3]),
        (&[("sdc", 3), ("sdd", 4)], &[1, 3, 4]),
    ];
    for (disks, values) in polls {
        let readings = poll(&mut shapes, &layouts, &[("a", 1, disks)]);
        let (reading, cells) = readings.iter().next().unwrap();
        let expected: Vec<_> = values.iter().map(|value| Cell::int(*value)).collect();
        assert_eq!(cells, expected);
        assert_eq!(reading.layout.measured()[0], Field::plain(table::CPU_USAGE.def()));
        let mut named: Vec<&str> = disks.iter().map(|(disk, _)| *disk).collect();
        named.dedup();
        for (field, disk) in reading.layout.measured()[1..].iter().zip(named) {
            assert_eq!(*field, Field::resource(table::DISK_IO_READ_BYTES.def(), disk));
        }
    }
}

#[test]
fn the_gone_are_forgotten_and_the_doubted_made_again() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    poll(&mut shapes, &layouts, &[("a", 1, &[]), ("b", 2, &[]), ("c", 3, &[])]);
    let two = poll(&mut shapes, &layouts, &[("c", 3, &[]), ("b", 2, &[]), ("b", 2, &[])]);
    assert_eq!((two.len(), shapes.len()), (2, 2));
    assert!(shapes.knows("c", 3) && !shapes.knows("a", 1) && !shapes.knows("c", 1));
    shapes.doubt();
    assert!(!shapes.knows("c", 3));
    poll(&mut shapes, &layouts, &[("c", 3, &[])]);
    assert!(shapes.knows("c", 3));
}

/// Whether things in front of the one in hand are as they were: not behind one that came, changed or
/// went, nor after a poll that broke off.
#[test]
fn settled_is_what_follows_the_same_things() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    let mut settled = |things: &[(&str, u64)], finish: bool| -> String {
        let mut recorder = Recorder::new(&mut shapes, &layouts);
        let mut seen = String::new();
        for (name, fingerprint) in things {
            let recalled = recorder.recall(name).map(|recalled| recalled.settled);
            seen.push(recalled.map_or('n', |settled| if settled { 's' } else { 'd' }));
            let make = || Ok::<_, Infallible>((subject(name), 0_u8));
            if let Ok(Some(_)) = recorder.begin(name, *fingerprint, make) {
                assert!(recorder.has(name));
                recorder.end(1000, 0);
            }
        }
        if finish {
            let _ = recorder.finish();
        }
        seen
    };
    assert_eq!(settled(&[("a", 1), ("b", 1), ("c", 1)], true), "nnn");
    assert_eq!(settled(&[("a", 1), ("b", 1), ("c", 1)], true), "sss");
    assert_eq!(settled(&[("a", 1), ("x", 1), ("b", 1), ("c", 1)], true), "sndd");
    assert_eq!(settled(&[("a", 1), ("x", 2), ("b", 1), ("c", 1)], true), "ssdd", "x changed");
    assert_eq!(settled(&[("a", 1), ("b", 1), ("c", 1)], true), "sdd", "x is gone");
    assert_eq!(settled(&[("b", 1), ("a", 1), ("c", 1)], true), "ddd");
    assert_eq!(settled(&[("b", 1), ("a", 1), ("a", 1), ("c", 1)], true), "ssds", "a comes twice");
    assert_eq!(settled(&[("b", 1)], false), "s");
    assert_eq!(settled(&[("b", 1), ("a", 1), ("c", 1)], true), "ddd", "the poll broke off");
    assert_eq!(settled(&[("b", 1), ("a", 1), ("c", 1)], true), "sss");
}

/// A host whose polls all break off, each after other names, is remembered by the newest two.
#[test]
fn polls_that_break_off_do_not_add_up() {
    let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
    for poll in 0..20 {
        let mut recorder = Recorder::new(&mut shapes, &layouts);
        for thing in 0..10 {
            let name = format!("{poll}/{thing}");
            let begun = recorder.begin_anew(&name, 1, subject(&name), 0_u8);
            assert!(begun.is_some() && recorder.begin_same(&name).is_none(), "once a poll");
            recorder.end(1000, 0);
        }
    }
    assert_eq!(shapes.len(), 20 + 10);
}
