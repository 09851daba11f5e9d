//! The node: its entity, its row, and how much of it is in use and spoken for.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, Labels, Level},
    host::Host,
    row::{Cell, rate},
    schema::{Field, Layout, Metric, MetricId, table},
    tag,
};

use super::{
    Poll,
    container::Whole,
    identity::{Identity, is_same_start},
    plan::{Plans, REQUESTED},
    pod_plan::added,
    run::{Run, Sample, Seen},
    samples::HostSamples,
};
use crate::source::{Reading, Subject};

/// What a row of a node has beside what is measured of it.
const ADDED: [MetricId; 8] = [
    REQUESTED[0],
    REQUESTED[1],
    REQUESTED[2],
    REQUESTED[3],
    table::CPU_NODE_UTILIZATION,
    table::CPU_NODE_RESERVATION,
    table::MEMORY_NODE_UTILIZATION,
    table::MEMORY_NODE_RESERVATION,
];

/// One cell a metric of [`ADDED`]; `None` for those that the row has not.
type Added = [Option<Cell>; ADDED.len()];

/// What is remembered of a node. It is never forgotten: a poll that says nothing of the node
/// leaves its labels as they were.
#[derive(Debug, Default)]
pub(super) struct Node {
    host: Option<Arc<Host>>,
    subject: Option<Arc<Subject>>,
    entity: Option<Arc<Entity>>,
    start_time_ms: i64,
    run: Run,
    row: Option<NodeRow>,
}

/// The layout of the newest row, and what it follows from.
#[derive(Debug)]
struct NodeRow {
    measured: Arc<Layout>,
    /// A bit for each metric of [`ADDED`].
    added: u8,
    layout: Arc<Layout>,
}

/// Sums of what the containers of pods asked for and are limited to, one a metric of
/// [`REQUESTED`]; `None` where no container has it.
#[derive(Debug, Default)]
pub(super) struct Requests([Option<Cell>; REQUESTED.len()]);

impl Requests {
    pub(super) fn add(&mut self, sample: Sample<'_>) {
        for (request, cell) in &sample.plan.requests {
            let sum = &mut self.0[*request];
            *sum = Some(added(sum.unwrap_or(Cell::int(0)), sample.cells[*cell]));
        }
    }

    fn of(&self, id: MetricId) -> Option<Cell> {
        self.0[REQUESTED.iter().position(|known| *known == id)?]
    }
}

impl Node {
    pub(super) const fn is_known(&self) -> bool {
        self.entity.is_some()
    }

    /// What the next sample is compared with; `None` before the first poll.
    pub(super) fn samples(&self, cluster: &Arc<str>) -> Option<HostSamples> {
        let mut samples = HostSamples::new(cluster, &self.host.as_ref()?.id);
        samples.add_node(self.start_time_ms, self.run.newest());
        Some(samples)
    }

    /// Makes the entity what the host and the cluster manager say of the node now; gives it, and
    /// whether it is another value.
    pub(super) fn identify(
        &mut self,
        poll: &mut Poll<'_>,
        host: &Arc<Host>,
        reading: Option<&Reading>,
    ) -> Option<(Arc<Entity>, bool)> {
        let start_ms = reading.map_or(0, |reading| reading.start_time_ms);
        let subject = reading.map(|reading| &reading.subject).or(self.subject.as_ref());
        let is_same = self.host.as_ref().is_some_and(|known| Arc::ptr_eq(known, host))
            && subject.map(Arc::as_ptr) == self.subject.as_ref().map(Arc::as_ptr)
            && is_same_start(self.start_time_ms, start_ms);
        if is_same {
            return self.entity.clone().map(|entity| (entity, false));
        }
        self.subject = subject.cloned();
        self.host = Some(Arc::clone(host));
        let recalled = poll.recalled.filter(|_| self.entity.is_none());
        if let Some(known) = recalled.and_then(|all| all.thing(Level::Node, None))
            && let Some(reading) = reading
        {
            self.start_time_ms = known.start_time_ms();
            self.run = known.run(poll.plans, reading.time_ms);
        }
        let now = Identity::new(("", self.start_time_ms), ("", start_ms));
        if now.is_restarted {
            self.run = Run::default();
        }
        self.start_time_ms = now.start_time_ms;
        let definition = Definition {
            parent: None,
            level: Level::Node,
            name: host.name.clone(),
            uid: now.uid,
            start_time_ms: now.start_time_ms,
            labels: labels(host, self.subject.as_deref()),
        };
        let is_new = poll.ids.renew(&mut self.entity, definition);
        self.entity.clone().map(|entity| (entity, is_new))
    }

    /// Takes in the reading of the node, and adds its row where the sample is new.
    pub(super) fn advance(
        &mut self,
        poll: &mut Poll<'_>,
        node: Whole<'_>,
        reading: &Reading,
        cells: &[Cell],
    ) {
        let blocks = match self.run.observe(poll.plans, Level::Node, reading, cells) {
            Seen::New => &mut *poll.blocks,
            Seen::Recalled => &mut *poll.recalled_blocks,
            Seen::Before => return,
        };
        let Some(sample) = self.run.newest() else { return };
        let added = added_cells(sample, &poll.requested);
        let layout = row_layout(&mut self.row, poll.plans, &sample.plan.layout, &added);
        let row = &mut poll.plans.row;
        row.clear();
        row.cells.extend_from_slice(sample.cells);
        row.cells.extend(added.iter().flatten());
        let head = sample.head(Arc::clone(node.entity));
        blocks.push(&layout, head, &row.cells, sample.increases);
    }
}

/// The labels of a node: what the host says of itself, and what the cluster manager says of it
/// unless that is told already (an empty `labels` tells that there is nothing to show).
fn labels(host: &Host, subject: Option<&Subject>) -> Labels {
    let own = match subject {
        Some(Subject::Node { labels }) => labels.clone(),
        _ => Labels::default(),
    };
    let says_more = |name: &str, value: &str| {
        !value.is_empty() && (name != tag::HOSTNAME || *value != host.name)
    };
    let known = own.iter().filter(|(name, value)| says_more(name, value));
    let mut pairs: Vec<(&str, &str)> = known.collect();
    if own.get(tag::HOST_ID).is_none() {
        let other = (host.id != host.name).then_some(&*host.id);
        pairs.extend(host.labels.get(tag::HOST_ID).or(other).map(|id| (tag::HOST_ID, id)));
    }
    let shown = host.labels.iter().filter(|(name, _)| *name != tag::HOST_ID);
    let joined = shown.collect::<Labels>().joined(",");
    if own.get(tag::LABELS).is_none() && !joined.is_empty() {
        pairs.push((tag::LABELS, &joined));
    }
    pairs.into_iter().collect()
}

/// The sums and ratios that the row has beside what is measured.
fn added_cells(sample: Sample<'_>, requested: &Requests) -> Added {
    let mut cells = Added::default();
    for (cell, id) in cells.iter_mut().zip(ADDED) {
        if place(sample, id).is_none() {
            *cell = requested.of(id).or_else(|| ratio(sample, requested, id));
        }
    }
    cells
}

/// The layout of a node's row; that of the row before where it still fits.
fn row_layout(
    known: &mut Option<NodeRow>,
    plans: &mut Plans,
    measured: &Arc<Layout>,
    cells: &Added,
) -> Arc<Layout> {
    let added = cells.iter().rev().fold(0, |bits, cell| bits << 1 | u8::from(cell.is_some()));
    if let Some(row) = known
        && Arc::ptr_eq(&row.measured, measured)
        && row.added == added
    {
        return Arc::clone(&row.layout);
    }
    let mut fields = measured.measured().to_vec();
    let new = ADDED.iter().zip(cells).filter(|(_, cell)| cell.is_some());
    fields.extend(new.map(|(id, _)| Field::plain(id.def())));
    let layout = plans.layout(&fields);
    let measured = Arc::clone(measured);
    *known = Some(NodeRow { measured, added, layout: Arc::clone(&layout) });
    layout
}

/// Use and requests as parts of what may be had. Where no part is set aside, all that the node has
/// may be had.
fn ratio(sample: Sample<'_>, requested: &Requests, id: MetricId) -> Option<Cell> {
    let value = |id: MetricId| sample.cells[place(sample, id)?].to_real(id.def().value_type);
    let request =
        |id: MetricId| value(id).or_else(|| requested.of(id)?.to_real(id.def().value_type));
    let of = |allocatable: MetricId, capacity: MetricId| {
        value(allocatable).or_else(|| value(capacity)).filter(|whole| *whole > 0.0)
    };
    let cpu = || of(table::CPU_NODE_ALLOCATABLE, table::CPU_NODE_CAPACITY);
    let memory = || of(table::MEMORY_NODE_ALLOCATABLE, table::MEMORY_NODE_CAPACITY);
    let ratio = match id {
        table::CPU_NODE_UTILIZATION => {
            let whole = cpu()?;
            return Some(cpu_rate(sample).map_or(Cell::ABSENT, |part| Cell::real(part / whole)));
        }
        table::CPU_NODE_RESERVATION => request(table::CPU_REQUEST)? / cpu()?,
        table::MEMORY_NODE_UTILIZATION => value(table::MEMORY_USAGE)? / memory()?,
        table::MEMORY_NODE_RESERVATION => request(table::MEMORY_REQUEST)? / memory()?,
        _ => return None,
    };
    Some(Cell::real(ratio))
}

/// In millicores, as measured or as it follows from the CPU time.
fn cpu_rate(sample: Sample<'_>) -> Option<f64> {
    let def = table::CPU_USAGE_RATE.def();
    let cell = match place(sample, table::CPU_USAGE_RATE) {
        Some(measured) => sample.cells[measured],
        None => {
            let counter = place(sample, table::CPU_USAGE)?;
            let counter = sample.plan.layout.counters().binary_search(&counter).ok()?;
            rate(&Metric::Known(def), sample.increases[counter], sample.interval_ms)
        }
    };
    cell.to_real(def.value_type)
}

fn place(sample: Sample<'_>, id: MetricId) -> Option<usize> {
    let is_it = |field: &Field| {
        field.labels.is_none() && matches!(&field.metric, Metric::Known(def) if def.id == id)
    };
    sample.plan.layout.measured().iter().position(is_it)
}
