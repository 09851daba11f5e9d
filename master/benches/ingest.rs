//! What a batch of one host costs on its way in: bytes to rows, rows to sums, and what all entities
//! of a large cluster leave in memory.
//!
//! A host has a node, 30 pods and 60 containers: 91 rows, as a buddy writes them when nothing but the
//! numbers changes.

#![allow(clippy::unwrap_used, missing_docs)] // a bench alone

#[path = "ingest/frames.rs"]
mod frames;

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
    tick::{Resolution, Tick},
};
use prost::Message;

use frames::{CONTAINERS, NODE_LAYOUT, PODS, blocks, entities_of, layout};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const TICK_MS: u64 = 1_795_345_200_000;
/// Hosts of the cluster whose memory is counted.
const HOSTS: u32 = 1000;

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
