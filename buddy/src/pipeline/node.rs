//! The node: its entity, its row, and how much of it is in use and spoken for.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, Labels, Level},
    host::Host,
    row::{Cell, rate},
    schema::{Field, Metric, MetricId, table},
    tag,
};

use super::{HostPipeline, Key, answer::Part, blocks::Blocks, run::Sample, sums::Sums};

impl HostPipeline {
    /// The node's entity. A poll that says nothing of the node leaves its labels as they were.
    pub(super) fn node_entity(&mut self, host: &Host, part: Option<&Part>) -> Arc<Entity> {
        if let Some(part) = part {
            self.node_labels = part.labels.clone();
        }
        let run = self.run(Key::Node, "", part.map_or(0, |part| part.start_time_ms));
        let start_time_ms = run.start_time_ms;
        let labels = labels(host, &self.node_labels);
        self.intern(Definition {
            parent: None,
            level: Level::Node,
            name: host.name.clone(),
            uid: "".into(),
            start_time_ms,
            labels,
        })
    }

    /// The node's row, where its sample is new.
    pub(super) fn node(
        &mut self,
        blocks: &mut Blocks<'_>,
        entity: Arc<Entity>,
        part: Part,
        requested: &Sums,
    ) {
        let Some(run) = self.runs.get_mut(&Key::Node) else { return };
        if !run.observe(blocks.layouts(), Level::Node, part.time_ms, part.values) {
            return;
        }
        let Some(sample) = run.newest() else { return };
        let mut fields = sample.layout.measured().to_vec();
        let mut cells = sample.cells.clone();
        let mut add = |field: Field, cell: Cell| {
            if !fields.contains(&field) {
                fields.push(field);
                cells.push(cell);
            }
        };
        for sum in requested.iter() {
            add(sum.field.clone(), sum.value());
        }
        for (metric, ratio) in ratios(sample, requested) {
            add(Field::plain(metric.def()), ratio);
        }
        let head = sample.head(entity);
        let increases = sample.increases.clone();
        let layout = blocks.layout(run.row_layout.as_ref(), &fields);
        run.row_layout = Some(Arc::clone(&layout));
        blocks.push(layout, head, &cells, &increases);
    }
}

/// The labels of a node: what the host says of itself, and what the cluster manager says of it.
fn labels(host: &Host, own: &Labels) -> Labels {
    let known = own.iter().filter(|(name, value)| *name != tag::HOSTNAME || *value != host.name);
    let mut pairs: Vec<(&str, &str)> = known.collect();
    if own.get(tag::HOST_ID).is_none() && host.id != host.name {
        pairs.push((tag::HOST_ID, &host.id));
    }
    let joined = host.labels.joined(",");
    if !joined.is_empty() {
        pairs.push((tag::LABELS, &joined));
    }
    pairs.into_iter().collect()
}

/// Use and requests as parts of what may be had. Where no part is set aside, all that the node has
/// may be had.
fn ratios(sample: &Sample, requested: &Sums) -> Vec<(MetricId, Cell)> {
    let value = |id: MetricId| {
        let place = place(sample, id)?;
        sample.cells[place].to_real(id.def().value_type)
    };
    let request = |id: MetricId| {
        let sum = requested.iter().find(|sum| is(&sum.field, id));
        value(id).or_else(|| sum?.value().to_real(id.def().value_type))
    };
    let of = |allocatable: MetricId, capacity: MetricId| {
        value(allocatable).or_else(|| value(capacity)).filter(|whole| *whole > 0.0)
    };
    let cpu = of(table::CPU_NODE_ALLOCATABLE, table::CPU_NODE_CAPACITY);
    let memory = of(table::MEMORY_NODE_ALLOCATABLE, table::MEMORY_NODE_CAPACITY);
    let mut ratios = Vec::with_capacity(4);
    if let Some(whole) = cpu {
        let part = cpu_rate(sample).map_or(Cell::ABSENT, |part| Cell::real(part / whole));
        ratios.push((table::CPU_NODE_UTILIZATION, part));
        let reserved = request(table::CPU_REQUEST);
        ratios.extend(reserved.map(|part| (table::CPU_NODE_RESERVATION, Cell::real(part / whole))));
    }
    if let Some(whole) = memory {
        let used = value(table::MEMORY_USAGE);
        ratios.extend(used.map(|part| (table::MEMORY_NODE_UTILIZATION, Cell::real(part / whole))));
        let reserved = request(table::MEMORY_REQUEST);
        let reserved = reserved.map(|part| Cell::real(part / whole));
        ratios.extend(reserved.map(|part| (table::MEMORY_NODE_RESERVATION, part)));
    }
    ratios
}

/// In millicores, as measured or as it follows from the CPU time.
fn cpu_rate(sample: &Sample) -> Option<f64> {
    let def = table::CPU_USAGE_RATE.def();
    let cell = match place(sample, table::CPU_USAGE_RATE) {
        Some(measured) => sample.cells[measured],
        None => {
            let counter = place(sample, table::CPU_USAGE)?;
            rate(&Metric::Known(def), sample.increase(counter), sample.interval_ms)
        }
    };
    cell.to_real(def.value_type)
}

fn place(sample: &Sample, id: MetricId) -> Option<usize> {
    sample.layout.measured().iter().position(|field| is(field, id))
}

fn is(field: &Field, id: MetricId) -> bool {
    field.labels.is_none() && matches!(&field.metric, Metric::Known(def) if def.id == id)
}
