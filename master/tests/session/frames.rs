//! Frames as a buddy sends them: a node, a pod of the namespace `default` and its container.

use heapster_proto::v1::{self, frame::Kind};
use heapster_shared::schema::table;

pub const TICK: u64 = 1_800_000_000_000;
pub const NODE: u32 = 1;
pub const POD: u32 = 2;
pub const CONTAINER: u32 = 3;
/// `cpu/usage`, `memory/usage`.
pub const MEASURED: u32 = 1;
/// `cpu/usage_rate`, `memory/usage`.
pub const SUMMED: u32 = 2;

fn entity(id: u32, parent: u32, level: v1::Level, name: &str) -> v1::Entity {
    v1::Entity { id, parent, level: level.into(), name: name.into(), ..v1::Entity::default() }
}

fn layout(id: u32, metrics: &[heapster_shared::schema::MetricId]) -> v1::Layout {
    let field = |id: &heapster_shared::schema::MetricId| v1::Field {
        what: Some(v1::field::What::Metric(id.0)),
        ..v1::Field::default()
    };
    v1::Layout { id, fields: metrics.iter().map(field).collect() }
}

pub fn define() -> Kind {
    let mut pod = entity(POD, NODE, v1::Level::Pod, "web-1");
    pod.labels.insert("namespace_name".into(), "default".into());
    Kind::Define(v1::Define {
        entities: vec![
            entity(NODE, 0, v1::Level::Node, "node-1"),
            pod,
            entity(CONTAINER, POD, v1::Level::PodContainer, "main"),
        ],
        layouts: vec![
            layout(MEASURED, &[table::CPU_USAGE, table::MEMORY_USAGE]),
            layout(SUMMED, &[table::CPU_USAGE_RATE, table::MEMORY_USAGE]),
        ],
        ended: Vec::new(),
    })
}

pub fn column(ints: &[i64]) -> v1::Column {
    v1::Column { ints: ints.to_vec(), ..v1::Column::default() }
}

/// One row of one entity.
pub fn row(layout: u32, entity: u32, form: v1::block::Form, values: [i64; 2]) -> v1::Block {
    v1::Block {
        layout,
        form: form.into(),
        entities: vec![i32::try_from(entity).unwrap()],
        time_ms: Some(column(&[])),
        interval_ms: Some(column(&[15_000])),
        columns: values.iter().map(|value| column(&[*value])).collect(),
    }
}

/// The batch of the n-th tick.
pub fn batch(n: u64, blocks: Vec<v1::Block>) -> Kind {
    Kind::Batch(v1::Batch { tick_unix_ms: TICK + n * 15_000, blocks })
}

pub fn round_end(n: u64) -> Kind {
    Kind::RoundEnd(v1::RoundEnd { tick_unix_ms: TICK + n * 15_000, ..v1::RoundEnd::default() })
}

/// A batch with one row of the container: absolute at first, then 7.5 s of CPU and 1 byte more.
pub fn container(n: u64) -> Kind {
    use v1::block::Form::{Absolute, Difference};
    let block = match n {
        1 => row(MEASURED, CONTAINER, Absolute, [1_000_000_000, 500]),
        _ => row(MEASURED, CONTAINER, Difference, [7_500_000_000, 1]),
    };
    batch(n, vec![block])
}
