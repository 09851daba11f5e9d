//! Tests of the reader: the words of the protocol, and what garbage does.

mod garbage;
mod wire;

use heapster_proto::v1::{Block as WireBlock, Column, block::Form, frame::Kind};
use heapster_shared::{entity::EntityId, schema::table};
use prost::Message as _;

use super::{blocks::FARTHEST_MS, *};
use crate::core::entities::Entities;

const TICK: u64 = 1_800_000_000_000;

/// A reader with a cluster's tables behind it.
struct Bench {
    reader: SegmentReader,
    entities: Entities,
    sequence: u64,
}

impl Bench {
    fn new() -> Self {
        let entities = Entities::starting_after(EntityId(0));
        Self { reader: SegmentReader::new(test_limits()), entities, sequence: 0 }
    }

    /// With a node 1, a pod 2, containers 3 and 4, and the layout 1 of a counter, a gauge and a
    /// double.
    fn defined() -> Self {
        let mut bench = Self::new();
        bench.frame(0, open()).unwrap();
        let metrics = [table::CPU_USAGE, table::MEMORY_USAGE, table::CPU_NODE_CAPACITY];
        let define = v1::Define {
            entities: vec![
                entity(1, 0, v1::Level::Node),
                pod(2, 1),
                entity(3, 2, v1::Level::PodContainer),
                entity(4, 2, v1::Level::PodContainer),
            ],
            layouts: vec![v1::Layout {
                id: 1,
                fields: metrics.iter().map(|id| known(id.0)).collect(),
            }],
            ended: Vec::new(),
        };
        bench.frame(0, Kind::Define(define)).unwrap();
        bench
    }

    /// Reads a frame, and resolves what it defines as a cluster would.
    fn frame(&mut self, sequence: u64, kind: Kind) -> Result<Content, DecodeError> {
        let frame = v1::Frame { sequence, kind: Some(kind) };
        let ReadFrame { sequence: told, content } = self.reader.read(&frame.encode_to_vec())?;
        assert_eq!(told, sequence);
        let Content::Define(mut definitions) = content else { return Ok(content) };
        let request = std::mem::take(&mut definitions.request);
        let entities = self.entities.resolve(request.entities);
        let layouts = request.layouts.iter().map(|fields| self.entities.layout(fields)).collect();
        self.reader.define(definitions, Resolved { entities, layouts });
        Ok(Content::Unknown)
    }

    fn define(&mut self, define: v1::Define) -> Result<(), String> {
        self.frame(0, Kind::Define(define)).map(drop).map_err(|error| error.to_string())
    }

    fn rows(&mut self, block: WireBlock) -> Result<DecodedRows, DecodeError> {
        self.sequence += 1;
        let batch = v1::Batch { tick_unix_ms: TICK, blocks: vec![block] };
        match self.frame(self.sequence, Kind::Batch(batch))? {
            Content::Rows(rows) => Ok(rows),
            other => panic!("no rows: {other:?}"),
        }
    }

    fn shown(&mut self, block: WireBlock) -> Vec<String> {
        show(&self.rows(block).unwrap())
    }
}

fn open() -> Kind {
    Kind::Open(v1::Open {
        session_id: "lab/1".into(),
        instance_id: "i".into(),
        segment: 1,
        purpose: Purpose::Live.into(),
        delivered_through: 0,
    })
}

fn entity(id: u32, parent: u32, level: v1::Level) -> v1::Entity {
    v1::Entity { id, parent, level: level.into(), name: format!("e{id}"), ..Default::default() }
}

fn pod(id: u32, parent: u32) -> v1::Entity {
    let labels = [("namespace_name".to_owned(), "default".to_owned())].into();
    v1::Entity { labels, ..entity(id, parent, v1::Level::Pod) }
}

fn known(metric: u32) -> v1::Field {
    v1::Field { what: Some(v1::field::What::Metric(metric)), ..Default::default() }
}

fn ints(ints: &[i64]) -> Column {
    Column { ints: ints.to_vec(), ..Default::default() }
}

fn reals(reals: &[f64]) -> Column {
    Column { reals: reals.to_vec(), ..Default::default() }
}

fn block(form: Form, entities: &[i32], interval_ms: i64, columns: [Column; 3]) -> WireBlock {
    WireBlock {
        layout: 1,
        form: form.into(),
        entities: entities.to_vec(),
        time_ms: Some(ints(&[5])),
        interval_ms: Some(ints(&[interval_ms])),
        columns: columns.to_vec(),
    }
}

/// `name@ms interval: cpu, memory, capacity | increase | rate`; `-` for what is absent.
fn show(rows: &DecodedRows) -> Vec<String> {
    let all = rows.blocks.iter().flat_map(Block::rows);
    let int = |cell: heapster_shared::row::Cell| {
        cell.as_int().map_or("-".to_owned(), |value| value.to_string())
    };
    all.map(|row| {
        let rate = row.get(table::CPU_USAGE_RATE.def());
        format!(
            "{}@{} {}: {}, {}, {} | {} | {}",
            row.head.entity.name,
            row.head.time_ms - TICK.cast_signed(),
            row.head.interval_ms,
            int(row.cells[0]),
            int(row.cells[1]),
            row.cells[2].as_real().map_or("-".to_owned(), |value| value.to_string()),
            int(row.increases[0]),
            rate.map_or("-".to_owned(), int),
        )
    })
    .collect()
}

/// One value stands for all rows, none for zeros, a bit for none at all; increases are told or not.
#[test]
fn columns_are_read_as_the_protocol_says() {
    let mut bench = Bench::defined();
    let cpu = Column { increases: vec![1_500_000_000, -1], ..ints(&[2_000_000_000, 7]) };
    let memory = Column { absent: vec![0b10].into(), ..ints(&[42, 0]) };
    let rows = bench.shown(block(Form::Absolute, &[3, 1], 15_000, [cpu, memory, reals(&[0.5])]));
    assert_eq!(
        rows,
        ["e3@5 15000: 2000000000, 42, 0.5 | 1500000000 | 100", "e4@5 15000: 7, -, 0.5 | - | -"]
    );
    let rows = bench.shown(block(Form::Absolute, &[4], 0, [ints(&[]), ints(&[]), reals(&[])]));
    assert_eq!(rows, ["e4@5 0: 0, 0, 0 | - | -"]);
}

/// A running sum goes on over absent values; the increase of a difference is the difference.
#[test]
fn differences_add_to_the_row_before() {
    let mut bench = Bench::defined();
    let first = [ints(&[1_000]), ints(&[50]), reals(&[1.0])];
    bench.shown(block(Form::Absolute, &[3], 0, first));
    let absent = Column { absent: vec![1].into(), ..ints(&[0]) };
    let second = [absent, ints(&[-20]), reals(&[2.0])];
    let rows = bench.shown(block(Form::Difference, &[3], 15_000, second));
    assert_eq!(rows, ["e3@5 15000: -, 30, 2 | - | -"]);
    let third = [ints(&[15_000_000]), ints(&[1]), reals(&[3.0])];
    let rows = bench.shown(block(Form::Difference, &[3], 15_000, third));
    assert_eq!(rows, ["e3@5 15000: 15001000, 31, 3 | 15000000 | 1"]);
    // A counter that goes back has no rate, whatever its buddy thinks.
    let back = [ints(&[-1]), ints(&[0]), reals(&[3.0])];
    let rows = bench.shown(block(Form::Difference, &[3], 15_000, back));
    assert_eq!(rows, ["e3@5 15000: 15000999, 31, 3 | - | -"]);
}

/// Such a row is lost alone, and so is one that leaves the range of integers.
#[test]
fn a_difference_without_a_base_is_refused_alone() {
    let mut bench = Bench::defined();
    let columns = || [ints(&[i64::MAX]), ints(&[1]), reals(&[1.0])];
    bench.shown(block(Form::Absolute, &[3], 0, columns()));
    let rows = bench.rows(block(Form::Difference, &[4], 0, columns())).unwrap();
    assert_eq!((rows.refused.as_slice(), rows.blocks.len()), ([4].as_slice(), 0));
    let rows = bench.rows(block(Form::Difference, &[3], 0, columns())).unwrap();
    assert_eq!(rows.refused, [3]);
    assert!(rows.reason.contains("range"), "{}", rows.reason);
    // Its base is gone with it.
    let rows = bench.rows(block(Form::Difference, &[3], 0, columns())).unwrap();
    assert!(rows.reason.contains("without a row before"), "{}", rows.reason);
}

/// Its buddy does not know that a row is refused for its time, and writes the next as a difference
/// to it.
#[test]
fn a_row_with_a_wrong_time_still_counts_for_the_next() {
    let mut bench = Bench::defined();
    let columns = |value: i64| [ints(&[value]), ints(&[value]), reals(&[1.0])];
    bench.shown(block(Form::Absolute, &[3], 0, columns(10)));
    let mut far = block(Form::Difference, &[3], 15_000, columns(5));
    far.time_ms = Some(ints(&[FARTHEST_MS + 1]));
    assert_eq!(bench.rows(far).unwrap().refused, [3]);
    let rows = bench.shown(block(Form::Difference, &[3], 15_000, columns(2)));
    assert_eq!(rows, ["e3@5 15000: 17, 17, 1 | 2 | 0"]);
}

/// Or one buddy could hold up all others that share a thread with it.
#[test]
fn a_flood_of_definitions_takes_time_in_proportion_only() {
    let limits = ReaderLimits { max_entities: 200_000, max_layouts: 4_096, ..test_limits() };
    let limits = ReaderLimits { max_frame_bytes: 16 << 20, ..limits };
    let mut bench = Bench::new();
    bench.reader = SegmentReader::new(limits);
    let start = std::time::Instant::now();
    bench.frame(0, open()).unwrap();
    let future = |id| v1::Entity { level: 99, ..entity(id, 0, v1::Level::Node) };
    let layout = |id| v1::Layout { id, fields: vec![known(table::CPU_USAGE.0)] };
    let define = v1::Define {
        entities: (1..=200_000).map(future).collect(),
        layouts: (1..=4_096).map(layout).collect(),
        ended: Vec::new(),
    };
    bench.define(define).unwrap();
    let ended = (1..=200_000).chain(1..=200_000).collect();
    bench.define(v1::Define { ended, ..Default::default() }).unwrap();
    // In proportion it takes a second, else minutes.
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
}

/// An open starts from nothing, and an ended entity is gone.
#[test]
fn a_segment_ends_what_was_defined() {
    let mut bench = Bench::defined();
    let columns = || [ints(&[1]), ints(&[1]), reals(&[1.0])];
    bench.define(v1::Define { ended: vec![4], ..Default::default() }).unwrap();
    let error = bench.rows(block(Form::Absolute, &[4], 0, columns())).unwrap_err();
    assert!(error.to_string().ends_with("entity 4 is not defined in this segment"), "{error}");
    bench.sequence = 100;
    bench.frame(0, open()).unwrap();
    let error = bench.rows(block(Form::Absolute, &[3], 0, columns())).unwrap_err();
    assert!(error.to_string().contains("layout 1 is not defined"), "{error}");
}

type Spoil = fn(&mut WireBlock);

#[test]
fn wrong_lengths_are_named() {
    let columns = || [ints(&[1]), ints(&[1]), reals(&[1.0])];
    let three = |form| block(form, &[3, 1, 0], 0, columns());
    let cases: [(Spoil, &str); 6] = [
        (|block| block.columns[0].increases = vec![1], "column 0: 1 increases for 3 rows"),
        (|block| block.columns[1] = ints(&[1, 2]), "block 0: column 1: 2 integers for 3 rows"),
        (|block| block.columns[0].absent = vec![0, 0].into(), "column 0: `absent` has 2 bytes"),
        (|block| block.columns[0].increases = vec![1, 2], "column 0: 2 increases for 3 rows"),
        (|block| drop(block.columns.pop()), "2 columns for the 3 fields of layout 1"),
        (|block| block.time_ms = Some(ints(&[1, 2])), "time_ms: 2 integers for 3 rows"),
    ];
    for (spoil, wanted) in cases {
        let mut wire = three(Form::Absolute);
        spoil(&mut wire);
        let error = Bench::defined().rows(wire).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error} is not {wanted}");
        assert!(matches!(error, DecodeError::Malformed(_)));
    }
}

#[test]
fn definitions_are_checked() {
    let one = |entity: v1::Entity| v1::Define { entities: vec![entity], ..Default::default() };
    let layout = |fields: Vec<v1::Field>| v1::Define {
        layouts: vec![v1::Layout { id: 9, fields }],
        ..Default::default()
    };
    let custom = |name: &str| v1::Field {
        what: Some(v1::field::What::Custom(v1::CustomMetric {
            name: name.into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let long = "x".repeat(300);
    let many = (0..9).map(|n| (format!("l{n}"), String::new())).collect();
    let cases = [
        (one(entity(3, 1, v1::Level::Pod)), "entity 3: the id is defined already"),
        (one(entity(9, 8, v1::Level::Pod)), "its parent 8 is not defined before it"),
        (one(entity(9, 1, v1::Level::PodContainer)), "a pod_container cannot be a part of node"),
        (one(entity(9, 1, v1::Level::Pod)), "a pod needs the label namespace_name"),
        (one(v1::Entity { name: String::new(), ..pod(9, 1) }), "`name` is empty"),
        (one(v1::Entity { name: long, ..pod(9, 1) }), "max_label_bytes"),
        (one(v1::Entity { labels: many, ..entity(9, 0, v1::Level::Node) }), "max_labels"),
        (layout(vec![known(2), known(2)]), "layout 9: field 1: the same field comes twice"),
        (layout(vec![v1::Field::default()]), "field 0: it names no metric"),
        (layout(vec![custom("a b")]), "is no name of a custom metric"),
        (v1::Define { ended: vec![77], ..Default::default() }, "ended entity 77 is not defined"),
    ];
    for (define, wanted) in cases {
        let error = Bench::defined().define(define).unwrap_err();
        assert!(
            error.starts_with("frame 3: ") && error.contains(wanted),
            "{error} is not {wanted}"
        );
    }
}

/// What a newer buddy sends beyond this program's knowledge is left out, the rest is read.
#[test]
fn what_is_newer_is_ignored() {
    let mut bench = Bench::defined();
    let future = v1::Entity { level: 99, ..entity(7, 1, v1::Level::Node) };
    let part = entity(8, 7, v1::Level::SysContainer);
    let custom = v1::CustomMetric { name: "queue".into(), ..Default::default() };
    let custom = v1::Field { what: Some(v1::field::What::Custom(custom)), ..Default::default() };
    let fields = vec![known(9999), custom];
    let define = v1::Define {
        entities: vec![future, part],
        layouts: vec![v1::Layout { id: 2, fields }],
        ended: Vec::new(),
    };
    bench.define(define).unwrap();
    let wire = WireBlock {
        layout: 2,
        entities: vec![3, 4, 1],
        columns: vec![ints(&[1]), ints(&[42])],
        ..Default::default()
    };
    let rows = bench.rows(wire).unwrap();
    assert_eq!(rows.refused, [7, 8]);
    let row = rows.blocks[0].row(0);
    assert_eq!(row.layout.fields()[0].metric.name(), "custom/queue");
    assert_eq!(row.cells[0].as_int(), Some(42));
}

/// A column of one value may stand for any number of rows: the rows are what is bounded.
#[test]
fn a_small_frame_cannot_take_much_memory() {
    let mut bench = Bench::defined();
    let mut entities = vec![0; 50_000];
    entities[0] = 3;
    let wire = block(Form::Absolute, &entities, 0, [ints(&[1]), ints(&[1]), reals(&[1.0])]);
    let error = bench.rows(wire).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Limit(what) if what.contains("more than 100000 values")),
        "{error}"
    );

    let many = (10..1100).map(|id| entity(id, 0, v1::Level::Node)).collect();
    let error = bench.define(v1::Define { entities: many, ..Default::default() }).unwrap_err();
    assert!(error.contains("max_entities (1000)"), "{error}");
}

#[test]
fn frames_come_in_order_and_times_are_sane() {
    let error = Bench::new().frame(1, Kind::RoundEnd(v1::RoundEnd::default())).unwrap_err();
    assert!(error.to_string().contains("the first frame must be an Open"), "{error}");
    let end = |tick_unix_ms| Kind::RoundEnd(v1::RoundEnd { tick_unix_ms, ..Default::default() });
    let mut bench = Bench::defined();
    bench.frame(7, end(TICK)).unwrap();
    assert!(bench.frame(9, end(TICK)).unwrap_err().to_string().contains("the sequence after 7"));
    for tick in [0, LATEST_MS + 1, u64::MAX] {
        let error = Bench::defined().frame(1, end(tick)).unwrap_err();
        assert!(error.to_string().starts_with("frame 3 (sequence 1): `tick_unix_ms`"), "{error}");
    }
    let mut wire = block(Form::Absolute, &[3], 0, [ints(&[1]), ints(&[1]), reals(&[1.0])]);
    wire.time_ms = Some(ints(&[i64::MAX]));
    assert_eq!(Bench::defined().rows(wire).unwrap().refused, [3]);
}
