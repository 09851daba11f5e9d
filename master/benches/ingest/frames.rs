//! What a buddy sends of hosts that have a node, 30 pods and 60 containers each.

use heapster_proto::v1::{self, block::Form};
use heapster_shared::{
    entity::Level,
    schema::{
        FieldLabels, Kind, MetricDef, ValueType,
        table::{self, METRICS},
    },
};

pub(crate) const PODS: u32 = 30;
pub(crate) const CONTAINERS: u32 = 2;
pub(crate) const NODE_LAYOUT: u32 = 1;
const POD_LAYOUT: u32 = 2;
const CONTAINER_LAYOUT: u32 = 3;

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

pub(crate) fn layout(id: u32, level: Level) -> v1::Layout {
    let fields = fields(level).into_iter().map(|def| v1::Field {
        what: Some(v1::field::What::Metric(def.id.0)),
        ..v1::Field::default()
    });
    v1::Layout { id, fields: fields.collect() }
}

const fn first_id(host: u32) -> u32 {
    host * (1 + PODS * (1 + CONTAINERS)) + 1
}

pub(crate) fn entities_of(host: u32) -> Vec<v1::Entity> {
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

pub(crate) fn blocks(host: u32, form: Form) -> Vec<v1::Block> {
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
