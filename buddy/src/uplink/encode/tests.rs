//! Tests of the encoding, against a reader that was written from the protocol's comments.

mod long;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../tests/uplink/reader.rs"]
mod reader;

use std::sync::Arc;

use heapster_proto::v1::{Frame, frame::Kind};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tick::Tick,
};
use proptest::prelude::*;
use prost::Message;

use super::{Encoded, SegmentWriter, WriteLimits};
use reader::{ReadRow, Reader, Value};

const TICK: i64 = 1_795_345_200_000;

fn layout() -> Arc<Layout> {
    Arc::new(Layout::new(vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        Field::plain(table::CPU_NODE_UTILIZATION.def()),
        Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
    ]))
}

fn entity(table: &mut EntityTable, parent: Option<&Arc<Entity>>, name: &str) -> Arc<Entity> {
    table.intern(Definition {
        parent: parent.cloned(),
        level: if parent.is_some() { Level::SysContainer } else { Level::Node },
        name: name.into(),
        uid: "".into(),
        start_time_ms: 5,
        labels: Labels::from_iter([("container_base_image", "a-long-image-name")]),
    })
}

fn batch(block: Block, tick: i64) -> RowBatch {
    RowBatch { cluster: "lab".into(), tick: Tick(tick), blocks: vec![block] }
}

/// What a frame says. Its bytes are those that the generated code would write: a master counts
/// credit by that.
fn kind(frame: &Encoded) -> Kind {
    let decoded = Frame::decode(frame.bytes.clone()).unwrap();
    assert_eq!(decoded.sequence, frame.sequence);
    assert_eq!(decoded.encode_to_vec(), frame.bytes, "{decoded:?}");
    decoded.kind.unwrap()
}

fn write(writer: &mut SegmentWriter, batch: &RowBatch) -> Vec<Kind> {
    let mut sequence = 0;
    let frames = writer.rows(batch, &mut sequence);
    let numbers: Vec<u64> = frames.iter().map(|frame| frame.sequence).collect();
    let numbered = numbers.iter().filter(|number| **number > 0).copied();
    assert!(numbered.eq(1..=sequence), "{numbers:?}");
    frames.iter().map(kind).collect()
}

/// The rows of a block as the reader is to give them.
fn rows(block: &Block) -> Vec<ReadRow> {
    let value = |field: &Field, cell: Cell| match field.metric.value_type() {
        _ if cell.is_absent() => Value::Absent,
        heapster_shared::schema::ValueType::Int64 => Value::Int(cell.as_int().unwrap()),
        heapster_shared::schema::ValueType::Double => Value::Real(cell.as_real().unwrap()),
    };
    let row = |row: heapster_shared::row::Row<'_>| {
        let mut names: Vec<&str> =
            row.head.entity.lineage().map(|entity| entity.name.as_str()).collect();
        names.reverse();
        let measured = row.layout.measured().iter().zip(row.cells);
        ReadRow {
            path: names.join("/"),
            time_ms: row.head.time_ms,
            interval_ms: i64::from(row.head.interval_ms),
            cells: measured.map(|(field, cell)| value(field, *cell)).collect(),
            increases: row.increases.iter().map(|increase| increase.as_int()).collect(),
            is_difference: false,
        }
    };
    block.rows().map(row).collect()
}

/// Reads frames, and leaves the form out of account.
fn read(reader: &mut Reader, kinds: &[Kind]) -> Vec<ReadRow> {
    let mut rows: Vec<ReadRow> = kinds.iter().flat_map(|kind| reader.frame(kind)).collect();
    for row in &mut rows {
        row.is_difference = false;
    }
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

/// What a counter did: grew by a known amount, went to a value with no known increase, or has none.
#[derive(Clone, Copy, Debug)]
enum Step {
    Grew(i64),
    Set(i64),
    Absent,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..1_000_000_i64).prop_map(Step::Grew),
        1 => any::<i64>().prop_map(|value| Step::Set(value.max(i64::MIN + 1))),
        1 => Just(Step::Absent),
    ]
}

type RowSteps = (Step, Step, Option<i64>, Option<f64>, u32);

fn row_steps() -> impl Strategy<Value = RowSteps> {
    let gauge =
        proptest::option::weighted(0.8, any::<i64>().prop_map(|value| value.max(-i64::MAX)));
    let real = proptest::option::of(-1e9..1e9_f64);
    (step(), step(), gauge, real, prop_oneof![4 => Just(15_000_u32), 1 => Just(0)])
}

/// A reader that knows what was defined, and of all rows the checkpoint.
fn resume(reader: &Reader, writer: &SegmentWriter) -> Reader {
    let mut resumed = Reader::default();
    resumed.entities.clone_from(&reader.entities);
    resumed.layouts.clone_from(&reader.layouts);
    for frame in writer.checkpoint(100).unwrap() {
        resumed.frame(&kind(&frame));
    }
    resumed
}

proptest! {
    /// Whatever values do, come and go: what is read is exactly what was measured, increases too;
    /// and so it is by a reader that has read the definitions and the newest checkpoint alone.
    #[test]
    fn rows_are_read_as_they_were_measured(
        ticks in proptest::collection::vec(proptest::collection::vec(row_steps(), 3), 1..12),
    ) {
        let mut entities = EntityTable::default();
        let node = entity(&mut entities, None, "node-a");
        let names = ["a", "b", "c"];
        let layout = layout();
        let mut totals = [[None::<i64>; 2]; 3];
        let mut writer = SegmentWriter::new(WriteLimits::default());
        let mut reader = Reader::default();
        let mut resumed = None;
        for (round, steps) in ticks.into_iter().enumerate() {
            let tick = TICK + 15_000 * i64::try_from(round).unwrap();
            let mut block = Block::new(Arc::clone(&layout));
            for (index, (cpu, disk, gauge, real, interval_ms)) in steps.into_iter().enumerate() {
                let mut increases = [Cell::ABSENT; 2];
                for (place, step) in [cpu, disk].into_iter().enumerate() {
                    let total = &mut totals[index][place];
                    *total = match (step, *total) {
                        (Step::Grew(by), Some(before)) if before.checked_add(by).is_some() => {
                            if interval_ms > 0 {
                                increases[place] = Cell::int(by);
                            }
                            Some(before + by)
                        }
                        (Step::Grew(value) | Step::Set(value), _) => Some(value),
                        (Step::Absent, _) => None,
                    };
                }
                let cell = |value: Option<i64>| value.map_or(Cell::ABSENT, Cell::int);
                let measured = [
                    cell(totals[index][0]),
                    cell(gauge),
                    real.map_or(Cell::ABSENT, Cell::real),
                    cell(totals[index][1]),
                ];
                let entity = entity(&mut entities, Some(&node), names[index]);
                let time_ms = tick + i64::try_from(index).unwrap() - 1;
                block.push(RowHead { entity, time_ms, interval_ms }, &measured, &increases);
            }
            let expected = rows(&block);
            let kinds = write(&mut writer, &batch(block, tick));
            prop_assert_eq!(read(&mut reader, &kinds), &expected[..]);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(read(resumed, &kinds), expected);
            }
            resumed = Some(resume(&reader, &writer));
        }
    }
}

fn steady(entities: &[Arc<Entity>], layout: &Arc<Layout>, round: i64) -> RowBatch {
    let mut block = Block::new(Arc::clone(layout));
    for entity in entities {
        let entity = Arc::clone(entity);
        let time_ms = TICK + round * 15_000 + 3;
        let measured =
            [Cell::int(round * 1_000), Cell::int(4_096), Cell::real(0.5), Cell::int(round * 10)];
        let known = round > 0;
        let increase = |by: i64| if known { Cell::int(by) } else { Cell::ABSENT };
        let head = RowHead { entity, time_ms, interval_ms: if known { 15_000 } else { 0 } };
        block.push(head, &measured, &[increase(1_000), increase(10)]);
    }
    batch(block, TICK + round * 15_000)
}

/// Definitions go once, parents first; from the second round on rows are differences, and columns
/// of equal values shrink to one.
#[test]
fn a_steady_round_is_small() {
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-a");
    let all: Vec<_> =
        (0..60).map(|index| entity(&mut table, Some(&node), &format!("c{index}"))).collect();
    let layout = layout();
    let mut writer = SegmentWriter::new(WriteLimits::default());
    let mut reader = Reader::default();
    let first = write(&mut writer, &steady(&all, &layout, 0));
    assert!(matches!(first[..], [Kind::Define(_), Kind::Batch(_)]));
    assert!(first.iter().flat_map(|kind| reader.frame(kind)).all(|row| !row.is_difference));
    let second = write(&mut writer, &steady(&all, &layout, 1));
    let [Kind::Batch(_)] = &second[..] else { panic!("{second:?}") };
    let frame = Frame { sequence: 2, kind: Some(second[0].clone()) };
    assert!(frame.encoded_len() < 150, "{} bytes for 60 rows", frame.encoded_len());
    let read: Vec<ReadRow> = second.iter().flat_map(|kind| reader.frame(kind)).collect();
    assert!(read.len() == 60 && read.iter().all(|row| row.is_difference));
    assert_eq!(read[7].increases, [Some(1_000), Some(10)]);
}

/// An entity that changed takes a new number, and the old one ends when nobody holds it any more;
/// its first row under the new number is absolute.
#[test]
fn a_redefinition_takes_a_new_number() {
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-a");
    let layout = layout();
    let mut writer = SegmentWriter::new(WriteLimits::default());
    let mut reader = Reader::default();
    let old = vec![entity(&mut table, Some(&node), "a")];
    write(&mut writer, &steady(&old, &layout, 0)).iter().for_each(|kind| drop(reader.frame(kind)));
    assert!(writer.end_unused().is_none());
    drop(old);
    let new = table.intern(Definition {
        parent: Some(node),
        level: Level::SysContainer,
        name: "a".into(),
        uid: "other".into(),
        start_time_ms: 5,
        labels: Labels::default(),
    });
    let kinds = write(&mut writer, &steady(&[new], &layout, 1));
    let rows: Vec<ReadRow> = kinds.iter().flat_map(|kind| reader.frame(kind)).collect();
    assert_eq!((rows.len(), rows[0].is_difference), (1, false));
    let ended = writer.end_unused().map(|frame| kind(&frame));
    let Some(Kind::Define(define)) = ended else { panic!("nothing ended") };
    assert_eq!(define.ended, [2]);
    reader.frame(&Kind::Define(define));
    assert_eq!(reader.entities[&3].uid, "other");
}

/// Frames stay within the limit however many rows there are, and labels within theirs.
#[test]
fn frames_and_labels_stay_within_their_limits() {
    let limits = WriteLimits { frame_bytes: 2_000, label_bytes: 25, ..WriteLimits::default() };
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, "node-ä-with-a-long-long-name");
    let all: Vec<_> =
        (0..200).map(|index| entity(&mut table, Some(&node), &format!("c{index:03}"))).collect();
    let layout = layout();
    let mut writer = SegmentWriter::new(limits);
    let mut reader = Reader::default();
    let mut read = 0;
    for round in 0..2 {
        let kinds = write(&mut writer, &steady(&all, &layout, round));
        for kind in &kinds {
            let frame = Frame { sequence: 1, kind: Some(kind.clone()) };
            assert!(frame.encoded_len() <= 2_000, "{}", frame.encoded_len());
            read += reader.frame(kind).len();
        }
    }
    assert_eq!(read, 400);
    let label = &reader.entities[&1].labels["container_base_image"];
    assert_eq!(label.len() + "container_base_image".len(), 25);
    assert_eq!(reader.entities[&1].name.len(), 25);
}

/// The hosts of a batch share one block of columns for each layout, however their own blocks lie.
#[test]
fn hosts_share_columns() {
    let mut table = EntityTable::default();
    let layouts = [layout(), Arc::new(Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]))];
    let mut blocks = Vec::new();
    for host in ["a", "b", "c"] {
        let node = entity(&mut table, None, host);
        for (layout, name) in layouts.iter().zip(["x", "y"]) {
            let mut block = Block::new(Arc::clone(layout));
            let entity = entity(&mut table, Some(&node), name);
            let cells = vec![Cell::int(7); layout.measured().len()];
            let head = RowHead { entity, time_ms: TICK, interval_ms: 0 };
            block.push(head, &cells, &vec![Cell::ABSENT; layout.counters().len()]);
            blocks.push(block);
        }
    }
    let batch = RowBatch { cluster: "lab".into(), tick: Tick(TICK), blocks };
    let kinds = write(&mut SegmentWriter::new(WriteLimits::default()), &batch);
    let written: Vec<usize> = kinds
        .iter()
        .filter_map(|kind| match kind {
            Kind::Batch(batch) => Some(&batch.blocks),
            _ => None,
        })
        .flatten()
        .map(|block| block.entities.len())
        .collect();
    assert_eq!(written, [3, 3]);
    let mut expected: Vec<ReadRow> = batch.blocks.iter().flat_map(rows).collect();
    expected.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(read(&mut Reader::default(), &kinds), expected);
}
