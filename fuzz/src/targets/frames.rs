//! Frames of the protocol as the master reads them: each after its length of two bytes.

use heapster_master::{
    actors::cluster::Resolved,
    core::entities::Entities,
    grpc::decode::{Content, ReaderLimits, SegmentReader},
};
use heapster_proto::v1::{self, block::Form, frame::Kind};
use heapster_shared::{
    entity::EntityId,
    row::Block,
    schema::{MetricId, table},
};
use prost::Message as _;

use super::Target;

const TICK: u64 = 1_800_000_000_000;
pub(super) const LIMITS: ReaderLimits = ReaderLimits {
    max_frame_bytes: 16 << 10,
    max_entities: 200,
    max_labels: 8,
    max_label_bytes: 256,
    max_fields: 32,
    max_layouts: 8,
    max_cells: 10_000,
    max_kept: 4_000,
};

pub(super) const TARGETS: &[Target] =
    &[Target { name: "frames", run: frames, recorded: &[], made: recorded_stream }];

/// What is read keeps what the protocol promises, and a frame means the same in whatever legal way
/// it is encoded.
fn frames(input: &[u8]) {
    let (mut given, mut rewritten) = (Reader::new(), Reader::new());
    for frame in parted(input) {
        let canonical = v1::Frame::decode(frame).map(|frame| frame.encode_to_vec()).ok();
        let read = given.read(frame);
        let Some(canonical) = canonical else {
            // Who is more lenient than the generated types would read what others refuse.
            assert!(
                read.is_err() || read.is_ok_and(|what| what.is_empty()),
                "no protobuf, and read"
            );
            return;
        };
        if canonical.len() > LIMITS.max_frame_bytes || frame.len() > LIMITS.max_frame_bytes {
            return;
        }
        let again = rewritten.read(&canonical);
        // A label that comes twice counts twice, and is written once.
        let crowded = |read: &Result<String, String>| {
            read.as_ref().is_err_and(|error| error.contains("too many parts"))
        };
        if crowded(&read) || crowded(&again) {
            return;
        }
        assert_eq!(read.is_ok(), again.is_ok(), "{read:?} as it came, {again:?} as it is written");
        let (Ok(read), Ok(again)) = (read, again) else { return };
        assert_eq!(read, again, "as it came, and as it is written");
    }
}

/// Messages that lie behind each other, each after its length of two bytes.
pub(super) fn parted(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = input.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (frame, behind) = rest.split_at(length);
        input = behind;
        Some(frame)
    })
}

struct Reader {
    reader: SegmentReader,
    entities: Entities,
}

impl Reader {
    fn new() -> Self {
        let entities = Entities::starting_after(EntityId(0));
        Self { reader: SegmentReader::new(LIMITS), entities }
    }

    /// What a frame says, in words; defines what it defines.
    fn read(&mut self, frame: &[u8]) -> Result<String, String> {
        let frame = self.reader.read(frame).map_err(|error| error.to_string())?;
        Ok(match frame.content {
            Content::Define(mut definitions) => {
                let request = std::mem::take(&mut definitions.request);
                let entities = self.entities.resolve(request.entities);
                let layouts =
                    request.layouts.iter().map(|fields| self.entities.layout(fields)).collect();
                self.reader.define(definitions, Resolved { entities, layouts });
                "definitions".to_owned()
            }
            Content::Rows(rows) => {
                rows.blocks.iter().for_each(sound);
                let cells: usize = rows.blocks.iter().map(|block| block.len()).sum();
                assert!(cells <= LIMITS.max_cells, "{cells} rows in one frame");
                format!(
                    "{} {:?} {:?} {}",
                    frame.sequence,
                    rows.tick,
                    rows.refused,
                    shown(&rows.blocks)
                )
            }
            Content::Unknown => String::new(),
            other => format!("{} {other:?}", frame.sequence),
        })
    }
}

/// A row has a cell a field, and no counter ever went back.
fn sound(block: &Block) {
    for row in block.rows() {
        assert_eq!(row.cells.len(), row.layout.fields().len(), "cells of a row");
        for (increase, counter) in row.increases.iter().zip(row.layout.counters()) {
            let metric = &row.layout.fields()[*counter].metric;
            let back = increase.to_real(metric.value_type()).is_some_and(|increase| increase < 0.0);
            assert!(!back, "an increase of {} is negative", metric.name());
        }
        for derived in row.layout.derived() {
            let metric = &row.layout.fields()[derived.field].metric;
            let value = row.cells[derived.field].to_real(metric.value_type());
            assert!(value.is_none_or(|value| value >= 0.0), "{} is negative", metric.name());
        }
    }
}

fn shown(blocks: &[Block]) -> String {
    let rows = blocks.iter().flat_map(Block::rows);
    rows.map(|row| {
        let head = row.head;
        format!(
            "{}@{}/{} {:?} {:?};",
            head.entity.name, head.time_ms, head.interval_ms, row.cells, row.increases
        )
    })
    .collect()
}

/// A stream such as a buddy sends: definitions, rows as they are, rows as differences, the rest.
fn recorded_stream() -> Vec<Vec<u8>> {
    let open = Kind::Open(v1::Open {
        session_id: "lab/1".into(),
        instance_id: "i".into(),
        segment: 1,
        purpose: v1::open::Purpose::Live.into(),
        delivered_through: 3,
    });
    let rows = |form: Form, values: [i64; 3]| {
        let column = |ints: &[i64]| v1::Column { ints: ints.to_vec(), ..Default::default() };
        let counter = v1::Column { increases: vec![5, 7, 0], ..column(&values) };
        let real =
            v1::Column { reals: vec![0.5, 2.0, 4.0], absent: vec![2].into(), ..Default::default() };
        let block = v1::Block {
            layout: 1,
            form: form.into(),
            entities: vec![1, 2, 1],
            time_ms: Some(column(&[-10, 20, 30])),
            interval_ms: Some(column(&[15_000])),
            columns: vec![counter, column(&[100, 200, 300]), real, column(&[1])],
        };
        Kind::Batch(v1::Batch { tick_unix_ms: TICK, blocks: vec![block] })
    };
    let end = v1::RoundEnd { tick_unix_ms: TICK, hosts_ok: 1, ..Default::default() };
    let event = v1::Event { uid: "u".into(), last_unix_ms: TICK, count: 1, ..Default::default() };
    let ended = v1::Define { ended: vec![4], ..Default::default() };
    let kinds = [
        (0, open),
        (0, Kind::Define(definitions())),
        (1, rows(Form::Absolute, [1000, 2000, 3000])),
        (2, rows(Form::Difference, [5, 7, 0])),
        (3, Kind::RoundEnd(end)),
        (4, Kind::Events(v1::Events { events: vec![event] })),
        (0, Kind::Define(ended)),
        (5, rows(Form::Difference, [-5, 1, 2])),
    ];
    let frames = kinds.map(|(sequence, kind)| {
        let frame = v1::Frame { sequence, kind: Some(kind) }.encode_to_vec();
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        [&length.to_le_bytes()[..], &frame].concat()
    });
    vec![frames[..4].concat(), frames.concat(), frames[..3].concat()]
}

fn definitions() -> v1::Define {
    let entity = |id, parent, level: v1::Level| {
        let labels = [("namespace_name".to_owned(), "default".to_owned())].into();
        let name = format!("e{id}");
        v1::Entity { id, parent, level: level.into(), name, labels, ..Default::default() }
    };
    let known = |metric: MetricId| v1::Field {
        what: Some(v1::field::What::Metric(metric.0)),
        ..Default::default()
    };
    let custom =
        v1::CustomMetric { name: "queue/depth".into(), unit: "n".into(), ..Default::default() };
    let custom = v1::Field { what: Some(v1::field::What::Custom(custom)), ..Default::default() };
    let fields = vec![
        known(table::CPU_USAGE),
        known(table::MEMORY_USAGE),
        known(table::CPU_NODE_CAPACITY),
        custom,
    ];
    v1::Define {
        entities: vec![
            entity(1, 0, v1::Level::Node),
            entity(2, 1, v1::Level::Pod),
            entity(3, 2, v1::Level::PodContainer),
            entity(4, 2, v1::Level::PodContainer),
        ],
        layouts: vec![v1::Layout { id: 1, fields }],
        ended: Vec::new(),
    }
}
