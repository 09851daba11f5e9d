//! The two halves of the protocol against each other: what a buddy's journal writes, a master's
//! reader reads as it was measured, whatever happens to the connection in between.

#![allow(clippy::unwrap_used)] // tests alone

mod master;
mod story;

use std::sync::Arc;

use heapster_buddy::uplink::{SegmentWriter, WriteLimits};
use heapster_master::grpc::decode::Content;
use heapster_proto::v1::{self, Frame, frame::Kind};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{CustomMetric, Field, Layout, Metric, ValueType, table},
    tick::Tick,
};
use master::Master;
use proptest::prelude::*;
use prost::Message;

const TICK: i64 = 1_795_345_200_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Entities come, go and are defined anew; counters grow, go back and vanish; connections are
    /// cut anywhere, masters are started again, frames are put off. Each row arrives as it was
    /// measured, rates included, and always under the same sequence; in the end none is missing.
    #[test]
    fn rows_arrive_as_they_were_measured(story in story::story()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(story::tell(story));
    }
}

fn entity(
    table: &mut EntityTable,
    parent: Option<&Arc<Entity>>,
    level: Level,
    name: &str,
    labels: &[(&str, &str)],
) -> Arc<Entity> {
    table.intern(Definition {
        parent: parent.cloned(),
        level,
        name: name.into(),
        uid: "".into(),
        start_time_ms: 0,
        labels: labels.iter().copied().collect(),
    })
}

fn block(fields: Vec<Field>, entities: &[Arc<Entity>]) -> Block {
    let layout = Arc::new(Layout::new(fields));
    let mut block = Block::new(Arc::clone(&layout));
    let cells: Vec<Cell> = (0..layout.measured().len()).map(|_| Cell::int(7)).collect();
    let increases = vec![Cell::ABSENT; layout.counters().len()];
    for entity in entities {
        let head = RowHead { entity: Arc::clone(entity), time_ms: TICK, interval_ms: 0 };
        block.push(head, &cells, &increases);
    }
    block
}

/// The names of the entities of the rows that a master reads.
fn read(writer: &mut SegmentWriter, limits: WriteLimits, blocks: Vec<Block>) -> Vec<String> {
    let batch = RowBatch { cluster: "lab".into(), tick: Tick(TICK), blocks };
    let mut master = Master::new(limits);
    let open = v1::Open {
        session_id: "lab/1".into(),
        instance_id: "i".into(),
        segment: 1,
        purpose: v1::open::Purpose::Live.into(),
        delivered_through: 0,
    };
    let open = Frame { sequence: 0, kind: Some(Kind::Open(open)) };
    let written = writer.rows(&batch, &mut 0);
    let written = written.into_iter().map(|frame| Frame::decode(frame.bytes).unwrap());
    let mut names = Vec::new();
    for frame in std::iter::once(open).chain(written) {
        if let Content::Rows(rows) = master.frame(frame) {
            let rows = rows.blocks.iter().flat_map(Block::rows);
            names.extend(rows.map(|row| row.head.entity.name.to_string()));
        }
    }
    names
}

fn custom(name: &str, labels: &[(&str, &str)]) -> Field {
    let metric = CustomMetric {
        name: format!("custom/{name}").into(),
        kind: heapster_shared::schema::Kind::Gauge,
        value_type: ValueType::Int64,
        unit: "".into(),
    };
    let labels = labels.iter().copied().collect::<Labels>();
    let labels = (!labels.is_empty()).then(|| Arc::new(labels));
    Field { metric: Metric::Custom(Arc::new(metric)), labels }
}

/// Names and metrics come from whoever runs a container. Those that the master takes for a breach
/// of the protocol must not end the stream, and with it the rows of the whole cluster.
#[test]
fn what_a_master_would_refuse_costs_only_its_own_rows() {
    let limits = WriteLimits { label_bytes: 100, labels: 2, ..WriteLimits::default() };
    let plain = || vec![Field::plain(table::MEMORY_USAGE.def())];
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, Level::Node, "node", &[("", "x"), ("a", "1"), ("b", "2")]);
    let system = Level::SysContainer;
    let nameless = entity(&mut table, Some(&node), system, "", &[]);
    let homeless = entity(&mut table, Some(&node), Level::Pod, "homeless", &[]);
    let child = entity(&mut table, Some(&homeless), Level::PodContainer, "child", &[]);
    let labels = [("a", "1"), ("b", "2"), ("c", "3"), ("namespace_name", "default")];
    let pod = entity(&mut table, Some(&node), Level::Pod, "pod", &labels);
    let all = [node.clone(), nameless, homeless, child, pod];
    let good = entity(&mut table, Some(&node), system, "good", &[]);
    let one = [good.clone()];
    let long = "x".repeat(200);
    let disks = ["1", "2"]
        .map(|end| Field::resource(table::FILESYSTEM_USAGE.def(), &format!("{long}{end}")));
    let future = table.intern(Definition {
        parent: Some(node),
        level: system,
        name: "future".into(),
        uid: "".into(),
        start_time_ms: i64::MAX,
        labels: Labels::default(),
    });
    let wide = (0..5_000).map(|index| custom(&format!("m{index}"), &[])).collect();
    let blocks = vec![
        block(plain(), &all),
        block(vec![custom("queue length", &[])], &one),
        block(vec![custom("", &[])], &one),
        block(vec![custom("twice", &[]), custom("twice", &[])], &one),
        block(disks.to_vec(), &one),
        block(wide, &one),
        block(vec![custom("queue", &[("", "x")])], &[future]),
        block(plain(), &one),
    ];
    let mut writer = SegmentWriter::new(limits);
    assert_eq!(read(&mut writer, limits, blocks), ["node", "pod", "future", "good"]);
    assert_eq!(writer.left_out(), 8);
}

/// One host with more containers than a master takes in one segment.
#[test]
fn entities_past_the_limit_cost_only_their_rows() {
    let limits = WriteLimits { entities: 10, ..WriteLimits::default() };
    let mut table = EntityTable::default();
    let node = entity(&mut table, None, Level::Node, "node", &[]);
    let names: Vec<String> = (0..20).map(|index| format!("c{index}")).collect();
    let containers: Vec<_> = names
        .iter()
        .map(|name| entity(&mut table, Some(&node), Level::SysContainer, name, &[]))
        .collect();
    let fields = vec![Field::plain(table::MEMORY_USAGE.def())];
    let mut writer = SegmentWriter::new(limits);
    let read = read(&mut writer, limits, vec![block(fields, &containers)]);
    assert_eq!(read, names[..9], "the node takes one place");
    assert_eq!(writer.left_out(), 11);
}
