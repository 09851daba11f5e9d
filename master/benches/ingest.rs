//! What a batch of one host costs on its way in: bytes to rows, rows to sums, and what all entities
//! of a large cluster leave in memory.
//!
//! A host has a node, 30 pods and 60 containers: 91 rows, as a buddy writes them when nothing but the
//! numbers changes.

#![allow(clippy::unwrap_used, missing_docs)] // a bench alone

use std::{alloc::System, collections::BTreeSet, hint::black_box, io::Write, time::Instant};

use cap::Cap;
use criterion::{Criterion, criterion_group, criterion_main};
use heapster_master::{
    actors::cluster::Resolved,
    core::{aggregate::Aggregator, entities::Entities},
    grpc::decode::{Content, DecodedRows, ReaderLimits, SegmentReader},
};
use heapster_proto::v1::{self, block::Form, frame::Kind as FrameKind};
use heapster_shared::{
    entity::{EntityId, Level},
    schema::{
        FieldLabels, Kind, MetricDef, ValueType,
        table::{self, METRICS},
    },
    tick::{Resolution, Tick},
};
use prost::Message;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const TICK_MS: u64 = 1_795_345_200_000;
const PODS: u32 = 30;
const CONTAINERS: u32 = 2;
/// Hosts of the cluster whose memory is counted.
const HOSTS: u32 = 1000;
const NODE_LAYOUT: u32 = 1;
const POD_LAYOUT: u32 = 2;
const CONTAINER_LAYOUT: u32 = 3;

const LIMITS: ReaderLimits = ReaderLimits {
    max_frame_bytes: 4 << 20,
    max_entities: 400_000,
    max_labels: 64,
    max_label_bytes: 16 << 10,
    max_fields: 4096,
    max_layouts: 4096,
    max_cells: 4 << 20,
    max_kept: 64 * 400_000,
};

/// A buddy's log, and the master that reads it.
struct Stream {
    reader: SegmentReader,
    entities: Entities,
    sequence: u64,
}

impl Stream {
    fn new() -> Self {
        let mut stream = Self {
            reader: SegmentReader::new(LIMITS),
            entities: Entities::starting_after(EntityId(0)),
            sequence: 0,
        };
        stream.define(FrameKind::Open(v1::Open {
            session_id: "bench/1".into(),
            instance_id: "i".into(),
            segment: 1,
            purpose: v1::open::Purpose::Live.into(),
            delivered_through: 0,
        }));
        let layouts = [Level::Node, Level::Pod, Level::PodContainer];
        let layouts = (NODE_LAYOUT..).zip(layouts).map(|(id, level)| layout(id, level)).collect();
        stream.define(FrameKind::Define(v1::Define { layouts, ..v1::Define::default() }));
        stream
    }

    /// With this many hosts, of which each had its first row.
    fn with_hosts(hosts: u32) -> Self {
        let mut stream = Self::new();
        for host in 0..hosts {
            let entities = entities_of(host);
            stream.define(FrameKind::Define(v1::Define { entities, ..v1::Define::default() }));
            let first = stream.frame(host, Form::Absolute, 0);
            stream.read(&first);
        }
        stream
    }

    fn define(&mut self, kind: FrameKind) {
        let frame = v1::Frame { sequence: 0, kind: Some(kind) }.encode_to_vec();
        if let Content::Define(mut definitions) = self.reader.read(&frame).unwrap().content {
            let request = std::mem::take(&mut definitions.request);
            let entities = self.entities.resolve(request.entities);
            let layouts = request.layouts.iter().map(|one| self.entities.layout(one)).collect();
            self.reader.define(definitions, Resolved { entities, layouts });
        }
    }

    /// The next frame: all rows of a host.
    fn frame(&mut self, host: u32, form: Form, tick: u64) -> Vec<u8> {
        self.sequence += 1;
        let batch = v1::Batch { tick_unix_ms: TICK_MS + tick * 15_000, blocks: blocks(host, form) };
        v1::Frame { sequence: self.sequence, kind: Some(FrameKind::Batch(batch)) }.encode_to_vec()
    }

    fn read(&mut self, frame: &[u8]) -> DecodedRows {
        match self.reader.read(frame).unwrap().content {
            Content::Rows(rows) => rows,
            other => panic!("no rows: {other:?}"),
        }
    }
}

/// What a buddy measures at a level: no rates and no uptime, which follow, but for pods their sums.
fn fields(level: Level) -> Vec<&'static MetricDef> {
    let is_sent = |def: &MetricDef| match level {
        Level::Pod => def.kind == Kind::Gauge,
        _ => def.rate_of.is_none(),
    };
    let at_level = METRICS.iter().filter(|def| {
        def.levels.contains(&level) && def.labels == FieldLabels::None && def.id != table::UPTIME
    });
    at_level.filter(|def| is_sent(def)).collect()
}

fn layout(id: u32, level: Level) -> v1::Layout {
    let fields = fields(level).into_iter().map(|def| v1::Field {
        what: Some(v1::field::What::Metric(def.id.0)),
        ..v1::Field::default()
    });
    v1::Layout { id, fields: fields.collect() }
}

const fn first_id(host: u32) -> u32 {
    host * (1 + PODS * (1 + CONTAINERS)) + 1
}

fn entities_of(host: u32) -> Vec<v1::Entity> {
    let node = first_id(host);
    let mut entities = vec![entity(node, 0, v1::Level::Node, format!("node-{host:04}"))];
    for pod in 0..PODS {
        let id = node + 1 + pod * (1 + CONTAINERS);
        let mut defined = entity(id, node, v1::Level::Pod, format!("web-{host:04}-{pod:02}"));
        let namespace = format!("team-{}", pod % 10);
        defined.labels.insert("namespace_name".into(), namespace);
        entities.push(defined);
        for container in 1..=CONTAINERS {
            let name = format!("part-{container}");
            entities.push(entity(id + container, id, v1::Level::PodContainer, name));
        }
    }
    entities
}

fn entity(id: u32, parent: u32, level: v1::Level, name: String) -> v1::Entity {
    v1::Entity { id, parent, level: level.into(), name, ..v1::Entity::default() }
}

fn blocks(host: u32, form: Form) -> Vec<v1::Block> {
    let node = first_id(host);
    let pods = (0..PODS).map(|pod| node + 1 + pod * (1 + CONTAINERS));
    let containers = pods.clone().flat_map(|pod| pod + 1..=pod + CONTAINERS);
    vec![
        block(NODE_LAYOUT, Level::Node, form, vec![node]),
        block(POD_LAYOUT, Level::Pod, form, pods.collect()),
        block(CONTAINER_LAYOUT, Level::PodContainer, form, containers.collect()),
    ]
}

fn block(layout: u32, level: Level, form: Form, ids: Vec<u32>) -> v1::Block {
    let before = std::iter::once(0).chain(ids.iter().copied());
    let steps = ids.iter().zip(before).map(|(id, before)| id.wrapping_sub(before).cast_signed());
    let columns = fields(level).into_iter().enumerate().map(|(at, def)| {
        let values = ids.iter().map(|id| value(*id, at, def.kind, form));
        match def.value_type {
            ValueType::Double => v1::Column { reals: vec![0.25], ..v1::Column::default() },
            ValueType::Int64 => v1::Column { ints: values.collect(), ..v1::Column::default() },
        }
    });
    v1::Block {
        layout,
        form: form.into(),
        entities: steps.collect(),
        time_ms: Some(v1::Column { ints: vec![120], ..v1::Column::default() }),
        interval_ms: Some(v1::Column { ints: vec![15_000], ..v1::Column::default() }),
        columns: columns.collect(),
    }
}

/// Some values grow by much, some by little, and most gauges hardly change.
fn value(id: u32, at: usize, kind: Kind, form: Form) -> i64 {
    let spread = i64::from(id.wrapping_mul(2_654_435_761) >> 12);
    match (form, kind, at % 3) {
        (Form::Absolute, ..) => spread << 12,
        (Form::Difference, Kind::Cumulative, 0) => spread * 4000,
        (Form::Difference, Kind::Cumulative, _) => spread / 4000,
        (Form::Difference, Kind::Gauge, 0) => spread % 4096 - 2048,
        (Form::Difference, Kind::Gauge, _) => 0,
    }
}

fn decode(criterion: &mut Criterion) {
    let mut stream = Stream::with_hosts(1);
    let mut frames = Vec::new();
    criterion.bench_function("decode: a batch of 91 rows", |bencher| {
        bencher.iter_custom(|count| {
            frames.clear();
            frames.extend((0..count).map(|_| stream.frame(0, Form::Difference, 1)));
            let start = Instant::now();
            for frame in &frames {
                black_box(stream.read(frame));
            }
            start.elapsed()
        });
    });
}

fn aggregate(criterion: &mut Criterion) {
    let mut stream = Stream::with_hosts(1);
    let frame = stream.frame(0, Form::Difference, 1);
    let rows = stream.read(&frame);
    let mut aggregator = Aggregator::new("bench".into(), Resolution::DEFAULT);
    let polling = BTreeSet::from(["b".to_owned()]);
    let mut tick = rows.tick;
    criterion.bench_function("aggregate: a batch of 91 rows and its round", |bencher| {
        bencher.iter(|| {
            tick = Tick(tick.0 + 15_000);
            aggregator.add(tick, "b", &rows.blocks, tick.0);
            aggregator.end(tick, "b", tick.0);
            black_box(aggregator.close(&polling, |_, _| false, &mut stream.entities, tick.0));
        });
    });
}

/// Not a matter of time: what is counted is told once.
fn memory(_: &mut Criterion) {
    let entities = HOSTS as usize * (1 + PODS as usize * (1 + CONTAINERS as usize));
    let per_entity = |bytes: usize| bytes / entities;
    let before = MEMORY.allocated();
    let mut stream = Stream::with_hosts(HOSTS);
    let whole = MEMORY.allocated() - before;
    let mut aggregator = Aggregator::new("bench".into(), Resolution::DEFAULT);
    let before = MEMORY.allocated();
    for host in 0..HOSTS {
        let frame = stream.frame(host, Form::Difference, 1);
        let rows = stream.read(&frame);
        aggregator.add(rows.tick, "b", &rows.blocks, rows.tick.0);
    }
    let round = MEMORY.allocated() - before;
    let before = MEMORY.allocated();
    let Stream { reader, entities: table, .. } = stream;
    drop(reader);
    let reader = before - MEMORY.allocated();
    let line = format!(
        "memory, bytes an entity of {entities}: reader {}, entities with their table {}, open round {}\n",
        per_entity(reader),
        per_entity(whole - reader),
        per_entity(round),
    );
    drop(table);
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

criterion_group! {
    name = ingest;
    config = Criterion::default().sample_size(30);
    targets = decode, aggregate, memory
}
criterion_main!(ingest);
