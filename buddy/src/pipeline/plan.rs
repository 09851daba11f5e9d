//! Plans: what follows from a reading's layout alone, worked out once and not with each poll.
//!
//! Hosts that run alike share their layouts, and so their plans. A plan is found by the address of
//! the layout that the source gave; it holds the layout, so that the address is not used again.

use std::sync::Arc;

use heapster_shared::{
    Map, Set,
    entity::Level,
    row::Cell,
    schema::{
        Derivation, Field, Layout, LayoutCache, Metric, MetricId, RateUnit, ValueType, table,
    },
};

use super::pod_plan::{PodKey, PodPlan};
use crate::shared_labels::SharedLabels;

/// Fields of a sample; a row has a few more, and a layout of the protocol 4096 at the most.
const MOST_FIELDS: usize = 4_000;

/// What containers pass on to their pod. What is measured of the pod itself (its network) or
/// cannot be added up (the free space of a device that they share) is not among them.
const SUMMED: [MetricId; 14] = [
    table::CPU_USAGE_RATE,
    table::CPU_REQUEST,
    table::CPU_LIMIT,
    table::MEMORY_REQUEST,
    table::MEMORY_LIMIT,
    table::MEMORY_USAGE,
    table::MEMORY_WORKING_SET,
    table::MEMORY_RSS,
    table::MEMORY_CACHE,
    table::MEMORY_PAGE_FAULTS_RATE,
    table::MEMORY_MAJOR_PAGE_FAULTS_RATE,
    table::DISK_IO_READ_BYTES_RATE,
    table::DISK_IO_WRITE_BYTES_RATE,
    table::RESTART_COUNT,
];

/// What the containers of pods pass on to their node.
pub(super) const REQUESTED: [MetricId; 4] =
    [table::CPU_REQUEST, table::CPU_LIMIT, table::MEMORY_REQUEST, table::MEMORY_LIMIT];

/// The plans, layouts and labels of all hosts of one poller.
#[derive(Debug, Default)]
pub struct Plans {
    layouts: LayoutCache,
    samples: Map<(usize, Level), Arc<Plan>>,
    pods: Map<PodKey, Arc<PodPlan>>,
    /// Of pods.
    pub(super) labels: SharedLabels,
    /// A row in the making; here, so that its memory is used again.
    pub(super) row: RowBuffer,
}

/// A row's cells and increases.
#[derive(Debug, Default)]
pub(super) struct RowBuffer {
    pub(super) cells: Vec<Cell>,
    pub(super) increases: Vec<Cell>,
}

impl RowBuffer {
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.increases.clear();
    }
}

/// What to do with the samples of one layout.
#[derive(Debug)]
pub(super) struct Plan {
    given: Arc<Layout>,
    /// Each field of the given layout once, as far as the schema has it at this level.
    pub(super) layout: Arc<Layout>,
    /// Where these fields are among the given ones, unless they are all of them.
    picks: Option<Box<[usize]>>,
    /// Which fields of a sample are still wanted when its row is made, by their places; the
    /// others, such as the sizes of filesystems, are in no sum and have no increase.
    kept: Box<[usize]>,
    /// `None` for one that is no integer, and so has no increase.
    counters: Box<[Option<Counter>]>,
    /// What a container's sample adds to its pod's.
    pub(super) parts: Box<[Part]>,
    /// What it adds to its node's: index into [`REQUESTED`], and into the kept cells.
    pub(super) requests: Box<[(usize, usize)]>,
}

/// Where a counter is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    /// Among the fields.
    pub(super) field: usize,
    /// Among the kept cells.
    pub(super) kept: usize,
}

/// One field that a container passes on to its pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Index into the fields of the layout.
    pub(super) field: usize,
    pub(super) from: From,
    pub(super) is_integer: bool,
}

/// Where in a sample a part is found; the cell is one of those that are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Gauge { cell: usize },
    Counter { cell: usize, increase: usize },
    Rate { increase: usize, unit: RateUnit },
}

impl Plans {
    /// Forgets what no host uses any more.
    pub fn prune(&mut self) {
        self.pods.retain(|_, plan| Arc::strong_count(plan) > 1);
        self.samples.retain(|_, plan| Arc::strong_count(plan) > 1);
        self.layouts.prune();
        self.labels.prune();
    }

    /// Number of plans that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() + self.pods.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn layout(&mut self, fields: &[Field]) -> Arc<Layout> {
        self.layouts.layout(fields)
    }

    /// The plan for readings of this layout and level.
    pub(super) fn sample(&mut self, given: &Arc<Layout>, level: Level) -> Arc<Plan> {
        let key = (Arc::as_ptr(given).addr(), level);
        if let Some(plan) = self.samples.get(&key) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::new(&mut self.layouts, given, level));
        self.samples.insert(key, Arc::clone(&plan));
        plan
    }

    /// The plan of a pod that has these parts.
    pub(super) fn pod(&mut self, key: PodKey) -> Arc<PodPlan> {
        if let Some(plan) = self.pods.get(&key) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(PodPlan::new(&mut self.layouts, &key));
        self.pods.insert(key, Arc::clone(&plan));
        plan
    }
}

impl Plan {
    fn new(layouts: &mut LayoutCache, given: &Arc<Layout>, level: Level) -> Self {
        let picks = picks(given.measured(), level);
        let fields: Vec<Field> = picks.iter().map(|at| given.measured()[*at].clone()).collect();
        let is_all = picks.len() == given.measured().len();
        let layout = layouts.layout(&fields);
        let kept = kept(&fields, layout.counters(), level);
        let place = |field: usize| kept.binary_search(&field).ok();
        let counter = |field: &usize| {
            let is_integer = is_integer(&fields[*field].metric);
            place(*field).filter(|_| is_integer).map(|kept| Counter { field: *field, kept })
        };
        let is_part = level == Level::PodContainer;
        Self {
            given: Arc::clone(given),
            picks: (!is_all).then(|| picks.into()),
            counters: layout.counters().iter().map(counter).collect(),
            parts: if is_part { parts(&layout, place) } else { Box::default() },
            requests: if is_part { requests(&fields, place) } else { Box::default() },
            layout,
            kept,
        }
    }

    /// Whether it is the plan for readings of this layout.
    pub(super) fn is_for(&self, given: &Arc<Layout>) -> bool {
        Arc::ptr_eq(&self.given, given)
    }

    /// The cells of the layout among those of a reading.
    pub(super) fn pick(&self, given: &[Cell]) -> Option<Vec<Cell>> {
        let picks = self.picks.as_ref()?;
        Some(picks.iter().map(|at| given[*at]).collect())
    }

    /// The fields of a sample that are kept, by their places in the layout.
    pub(super) fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// Where each counter is; `None` where it is no integer, and so has no increase.
    pub(super) fn counters(&self) -> &[Option<Counter>] {
        &self.counters
    }

    /// Fields for its pod that the plan before had, and it has not.
    pub(super) fn lost<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Field> {
        let fields = before.parts.iter().map(|part| &before.layout.fields()[part.field]);
        fields.filter(|field| !self.layout.fields().contains(field))
    }
}

/// Each field once, and not more than a row may have: a host may say the same twice, of two disks
/// of one name. Metrics that the schema does not have at this level are left out.
fn picks(fields: &[Field], level: Level) -> Vec<usize> {
    let mut seen = Set::default();
    let fields = fields.iter().enumerate();
    let wanted = fields.filter(|(_, field)| belongs(&field.metric, level) && seen.insert(*field));
    wanted.map(|(at, _)| at).take(MOST_FIELDS).collect()
}

fn belongs(metric: &Metric, level: Level) -> bool {
    match metric {
        Metric::Known(def) => def.levels.contains(&level),
        Metric::Custom(_) => true,
    }
}

fn is_integer(metric: &Metric) -> bool {
    metric.value_type() == ValueType::Int64
}

/// Of a container its counters, and what it passes on; all of what is no part of something else, or
/// is measured of a pod as a whole.
fn kept(fields: &[Field], counters: &[usize], level: Level) -> Box<[usize]> {
    let is_container = matches!(level, Level::PodContainer | Level::SysContainer);
    let is_passed_on =
        |field: &usize| level == Level::PodContainer && is_summed(&fields[*field].metric);
    let is_kept = |field: &usize| {
        !is_container || counters.binary_search(field).is_ok() || is_passed_on(field)
    };
    (0..fields.len()).filter(is_kept).collect()
}

/// Measured fields first, then rates that follow from them; `place` says where a field is kept.
fn parts(layout: &Layout, place: impl Fn(usize) -> Option<usize>) -> Box<[Part]> {
    let increase_of = |counter: &usize| layout.counters().binary_search(counter).ok();
    let measured = (0..layout.measured().len()).filter_map(|field| {
        let cell = place(field)?;
        let counter = increase_of(&field);
        let from =
            counter.map_or(From::Gauge { cell }, |increase| From::Counter { cell, increase });
        Some((field, from))
    });
    let rates = layout.derived().iter().filter_map(|derived| {
        let Derivation::Rate { counter } = &derived.from else { return None };
        let unit = RateUnit::of(&layout.fields()[derived.field].metric);
        Some((derived.field, From::Rate { increase: increase_of(counter)?, unit }))
    });
    let part = |(field, from): (usize, From)| {
        let metric = &layout.fields()[field].metric;
        is_summed(metric).then(|| Part { field, from, is_integer: is_integer(metric) })
    };
    measured.chain(rates).filter_map(part).collect()
}

fn is_summed(metric: &Metric) -> bool {
    match metric {
        Metric::Known(def) => SUMMED.contains(&def.id),
        Metric::Custom(_) => true,
    }
}

/// What is requested is among what is summed, and so is kept.
fn requests(fields: &[Field], place: impl Fn(usize) -> Option<usize>) -> Box<[(usize, usize)]> {
    let requests = REQUESTED.iter().enumerate().filter_map(|(request, id)| {
        let wanted = Field::plain(id.def());
        let field = fields.iter().position(|field| *field == wanted)?;
        Some((request, place(field)?))
    });
    requests.collect()
}
