//! Rows of every level, for the tests of formats.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout},
    tag,
    tick::Tick,
};

use super::{LineFormat, SampleLines};
use crate::sinks::lines::Body;

/// When each sample was taken.
pub(in crate::sinks) const TIME_MS: i64 = 1_795_345_201_999;

/// The entities from the pod's container up, each with its level.
pub(in crate::sinks) fn entities() -> Vec<Arc<Entity>> {
    let mut table = EntityTable::default();
    let mut define = |parent: Option<&Arc<Entity>>, level, name: &str, labels: &[(&str, &str)]| {
        table.intern(Definition {
            parent: parent.cloned(),
            level,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    };
    let cluster = define(None, Level::Cluster, "lab", &[]);
    let namespace = define(None, Level::Namespace, "shop", &[]);
    let node = define(None, Level::Node, "10.0.0.1", &[]);
    let system = define(Some(&node), Level::SysContainer, "system.slice/kubelet", &[]);
    let pod = define(Some(&node), Level::Pod, "web-1", &[(tag::NAMESPACE_NAME, "shop")]);
    let container = define(Some(&pod), Level::PodContainer, "main", &[(tag::LABELS, "a b;c")]);
    vec![cluster, namespace, node, system, pod, container]
}

/// The lines of a sample of each of these fields for each of the entities.
pub(in crate::sinks) fn written<F: LineFormat>(
    format: F,
    fields: Vec<Field>,
    cells: &[Cell],
) -> Vec<String> {
    let batch = batch(fields, cells);
    let encoded = SampleLines::new(format, 1 << 20).encode([&batch]);
    lines(&encoded.bodies)
}

/// The rows of which [`written`] gives the lines.
pub(in crate::sinks) fn batch(fields: Vec<Field>, cells: &[Cell]) -> RowBatch {
    let layout = Layout::new(fields);
    let increases = vec![Cell::ABSENT; layout.counters().len()];
    let mut block = Block::new(Arc::new(layout));
    for entity in entities() {
        block.push(RowHead { entity, time_ms: TIME_MS, interval_ms: 0 }, cells, &increases);
    }
    RowBatch { cluster: "lab.eu".into(), tick: Tick(TIME_MS), blocks: vec![block] }
}

/// The lines of bodies, as text.
fn lines(bodies: &[Body]) -> Vec<String> {
    let mut lines = Vec::new();
    for body in bodies {
        let mut start = 0;
        for end in &body.lines {
            let line = &body.text[start..end.offset];
            lines.push(String::from_utf8(line.to_vec()).unwrap().trim_end().to_owned());
            start = end.offset;
        }
    }
    lines
}
