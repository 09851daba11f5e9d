//! What it takes to decode a frame that is made to take as much as can be, and what an entity takes:
//! held against a counting allocator, in a process of its own. docs/reliability.md has the figures.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // the figures are for the documentation

use std::{alloc::System, sync::Arc};

use cap::Cap;
use heapster_master::{
    actors::cluster::Resolved,
    core::entities::{Entities, Parent, Unresolved},
    grpc::decode::{Content, DecodeError, ReaderLimits, SegmentReader},
};
use heapster_proto::v1::{self, block::Form, frame::Kind};
use heapster_shared::{
    entity::{EntityId, Labels, Level},
    schema::table,
    tag,
};
use prost::Message as _;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const MIB: usize = 1 << 20;
/// The largest frame; what it takes grows with it.
const MAX: usize = MIB;
const TICK: u64 = 1_800_000_000_000;
/// Times its size that a frame may take while it is decoded, and the rows or names that it becomes.
const MOST_FOLD: usize = 64;

fn limits() -> ReaderLimits {
    ReaderLimits {
        max_frame_bytes: MAX,
        max_entities: 1_000_000,
        max_labels: 64,
        max_label_bytes: 16 << 10,
        max_fields: 4096,
        max_layouts: 4096,
        max_cells: MAX,
        max_kept: 64_000_000,
    }
}

fn encoded(sequence: u64, kind: Kind) -> Vec<u8> {
    v1::Frame { sequence, kind: Some(kind) }.encode_to_vec()
}

/// A reader of a segment with one entity and a layout of one counter, and the cluster that knows them.
fn reader() -> (SegmentReader, Entities) {
    let (mut reader, mut entities) =
        (SegmentReader::new(limits()), Entities::starting_after(EntityId(0)));
    let open = v1::Open {
        instance_id: "i".into(),
        purpose: v1::open::Purpose::Live.into(),
        ..Default::default()
    };
    reader.read(&encoded(0, Kind::Open(open))).unwrap();
    let node =
        v1::Entity { id: 1, level: v1::Level::Node.into(), name: "n".into(), ..Default::default() };
    let what = Some(v1::field::What::Metric(table::CPU_USAGE.0));
    let fields = vec![v1::Field { what, ..Default::default() }];
    let layouts = vec![v1::Layout { id: 1, fields }];
    let define = v1::Define { entities: vec![node], layouts, ended: Vec::new() };
    take(&mut reader, &mut entities, &encoded(0, Kind::Define(define))).unwrap();
    (reader, entities)
}

/// What a frame holds, with its definitions taken over; or why it is refused.
fn take(
    reader: &mut SegmentReader,
    known: &mut Entities,
    frame: &[u8],
) -> Result<Content, DecodeError> {
    let content = reader.read(frame)?.content;
    let Content::Define(mut definitions) = content else { return Ok(content) };
    let request = std::mem::take(&mut definitions.request);
    let layouts = request.layouts.iter().map(|fields| known.layout(fields)).collect();
    let entities = known.resolve(request.entities);
    reader.define(definitions, Resolved { entities, layouts });
    Ok(Content::Unknown)
}

/// Rows of a byte each, as many as have values for: an entity that is the one before, and columns of one
/// value for all rows.
fn many_rows() -> Vec<u8> {
    let one = |value: i64| v1::Column { ints: vec![value], ..Default::default() };
    let mut entities = vec![0; MAX / 3];
    entities[0] = 1;
    let block = v1::Block {
        layout: 1,
        form: Form::Absolute.into(),
        entities,
        time_ms: Some(one(0)),
        interval_ms: Some(one(15_000)),
        columns: vec![one(7)],
    };
    encoded(1, Kind::Batch(v1::Batch { tick_unix_ms: TICK, blocks: vec![block] }))
}

fn many_events(uid_bytes: usize) -> Vec<u8> {
    let event = v1::Event { uid: "u".repeat(uid_bytes), ..Default::default() };
    let events = vec![event; (MAX - 64) / (uid_bytes + 4)];
    encoded(1, Kind::Events(v1::Events { events }))
}

/// Entities of the shortest names, each with a label of the shortest.
fn many_entities() -> Vec<u8> {
    let entity = |id: u32| v1::Entity {
        id,
        level: v1::Level::Node.into(),
        name: format!("{id:x}"),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    let entities = (2..45_000).map(entity).collect();
    encoded(0, Kind::Define(v1::Define { entities, ..Default::default() }))
}

/// Blocks without rows, of which the last has a list in two parts, so that all of it has to be written
/// in another way before it is read.
fn many_columns() -> Vec<u8> {
    let column = v1::Column { ints: vec![1], ..Default::default() };
    let block = v1::Block { layout: 1, columns: vec![column; 1000], ..Default::default() };
    let blocks = vec![block; (MAX - 10_000) / 5_010];
    let mut frame = encoded(1, Kind::Batch(v1::Batch { tick_unix_ms: TICK, blocks }));
    frame.extend(encoded(1, Kind::Batch(v1::Batch { tick_unix_ms: TICK, blocks: Vec::new() })));
    frame
}

/// No frame of the largest size takes more than so many times its size, whatever is in it; those that
/// would, and those that make no sense, are refused.
#[test]
fn no_frame_takes_more_than_is_stated() {
    let frames = [
        ("events of 8 bytes", many_events(8), true),
        ("columns", many_columns(), false),
        ("entities", many_entities(), true),
        ("rows", many_rows(), true),
        ("events of a byte", many_events(1), false),
    ];
    for (what, frame, is_read) in frames {
        assert!((MAX / 4..=MAX).contains(&frame.len()), "{what}: {} bytes", frame.len());
        let (mut reader, mut entities) = reader();
        let before = ALLOCATED.allocated();
        let content = take(&mut reader, &mut entities, &frame);
        let held = ALLOCATED.allocated() - before;
        let most = ALLOCATED.max_allocated() - before;
        assert_eq!(content.is_ok(), is_read, "{what}: {:?}", content.err());
        println!(
            "{what}: {:.1} times its size are held, and no frame so far took more than {:.1}",
            held as f64 / frame.len() as f64,
            most as f64 / MAX as f64
        );
        assert!(most < MOST_FOLD * MAX, "{what}: {most} bytes");
    }
}

/// Containers with labels as they are, in a cluster of many.
#[test]
fn an_entity_takes_what_is_stated() {
    const COUNT: usize = 100_000;
    let mut known = Entities::starting_after(EntityId(0));
    let before = ALLOCATED.allocated();
    let labels = |number: usize| -> Labels {
        let pod = format!("web-{number}-6d4cf56db6-abcde");
        [
            (tag::NAMESPACE_NAME, "default"),
            (tag::CONTAINER_BASE_IMAGE, "registry/web:1.25"),
            (tag::POD_NAME, &*pod),
        ]
        .into_iter()
        .collect()
    };
    let entity = |number: usize| Unresolved {
        parent: Parent::None,
        level: Level::PodContainer,
        name: format!("main-{number}").into(),
        uid: format!("0f6b2c1e-8a3d-4c5b-9e7f-{number:012}").into(),
        start_time_ms: 0,
        labels: labels(number),
    };
    let resolved = known.resolve((0..COUNT).map(entity).collect());
    assert_eq!(resolved.len(), COUNT);
    drop::<Vec<Arc<_>>>(resolved);
    let each = (ALLOCATED.allocated() - before) / COUNT;
    println!("{each} bytes an entity");
    assert!((64..512).contains(&each), "{each} bytes an entity");
}
