//! What a pod's row is made of: what is measured of the pod itself, then sums over its containers,
//! each whole or absent.

use std::{
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use heapster_shared::{
    row::{Cell, rate_in},
    schema::{Field, Layout, LayoutCache},
};

use super::{
    plan::{From, Part, Plan, RowBuffer},
    run::{Run, Sample},
};

/// The plans of a pod's parts, which are told apart by their addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct PodKey {
    /// Of the pod itself.
    own: Option<Arc<Plan>>,
    /// Of each container its plan, and the one before where that had fields which are lost.
    containers: Vec<(Arc<Plan>, Option<Arc<Plan>>)>,
}

/// How the rows of pods with the same parts are made.
#[derive(Debug)]
pub(super) struct PodPlan {
    key: PodKey,
    pub(super) layout: Arc<Layout>,
    /// The steps of all containers, one container's after the other's.
    steps: Vec<Step>,
    /// Which of them are whose.
    of_containers: Vec<Range<usize>>,
    /// Sums that have no value, since a container has lost its part.
    lost: Vec<Slot>,
}

/// A part of a container's sample, and where it is added.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: From,
    is_integer: bool,
    slot: Slot,
}

/// A place in the row.
#[derive(Clone, Copy, Debug)]
struct Slot {
    cell: usize,
    /// Of a counter.
    increase: Option<usize>,
}

impl PodKey {
    /// The plans of the pod itself, where it was measured, and of its containers.
    pub(super) fn new<'a>(
        own: Option<Sample<'_>>,
        containers: impl Iterator<Item = &'a Run>,
    ) -> Self {
        let plans = containers.filter_map(Run::plans);
        Self {
            own: own.map(|own| Arc::clone(own.plan)),
            containers: plans.map(|(plan, lost)| (Arc::clone(plan), lost.cloned())).collect(),
        }
    }

    fn addresses(&self) -> impl Iterator<Item = usize> {
        let parts = self.containers.iter().map(|(plan, lost)| (plan, lost.as_ref()));
        addresses(self.own.as_ref(), parts)
    }
}

fn addresses<'a>(
    own: Option<&Arc<Plan>>,
    parts: impl Iterator<Item = (&'a Arc<Plan>, Option<&'a Arc<Plan>>)>,
) -> impl Iterator<Item = usize> {
    let parts = parts.flat_map(|(plan, lost)| [address(Some(plan)), address(lost)]);
    std::iter::once(address(own)).chain(parts)
}

fn address(plan: Option<&Arc<Plan>>) -> usize {
    plan.map_or(0, |plan| Arc::as_ptr(plan).addr())
}

impl PartialEq for PodKey {
    fn eq(&self, other: &Self) -> bool {
        self.addresses().eq(other.addresses())
    }
}

impl Eq for PodKey {}

impl Hash for PodKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.addresses().for_each(|address| address.hash(state));
    }
}

impl PodPlan {
    pub(super) fn new(layouts: &mut LayoutCache, key: &PodKey) -> Self {
        let own = key.own.as_ref().map_or(&[][..], |plan| plan.layout.measured());
        let mut fields = Fields { fields: own.to_vec(), own: own.len() };
        let mut parts: Vec<(Part, usize)> = Vec::new();
        let mut of_containers = Vec::new();
        let mut lost = Vec::new();
        for (plan, before) in &key.containers {
            let first = parts.len();
            for part in &plan.parts {
                let slot = fields.slot(&plan.layout.fields()[part.field]);
                parts.extend(slot.map(|slot| (*part, slot)));
            }
            let before = before.iter().flat_map(|before| plan.lost(before));
            lost.extend(before.filter_map(|field| fields.slot(field)));
            of_containers.push(first..parts.len());
        }
        let layout = layouts.layout(&fields.fields);
        let slot = |cell| Slot { cell, increase: layout.counters().binary_search(&cell).ok() };
        let step = |(part, cell): (Part, usize)| Step {
            from: part.from,
            is_integer: part.is_integer,
            slot: slot(cell),
        };
        Self {
            key: key.clone(),
            steps: parts.into_iter().map(step).collect(),
            of_containers,
            lost: lost.into_iter().map(slot).collect(),
            layout,
        }
    }

    /// Whether it is the plan of a pod that has these parts.
    pub(super) fn is_for<'a>(
        &self,
        own: Option<Sample<'_>>,
        containers: impl Iterator<Item = &'a Run>,
    ) -> bool {
        let parts = containers.filter_map(Run::plans);
        self.key.addresses().eq(addresses(own.map(|own| own.plan), parts))
    }

    /// Makes the row. Where the sample of the pod itself is repeated, gauges stand and counters
    /// have no value.
    pub(super) fn fill<'a>(
        &self,
        row: &mut RowBuffer,
        own: Option<(Sample<'_>, bool)>,
        containers: impl Iterator<Item = &'a Run>,
    ) {
        row.clear();
        if let Some((own, is_new)) = own {
            add_own(row, own, is_new);
        }
        // Zero, as an integer and as a double.
        row.cells.resize(self.layout.measured().len(), Cell::int(0));
        row.increases.resize(self.layout.counters().len(), Cell::int(0));
        for (sample, steps) in containers.filter_map(Run::newest).zip(&self.of_containers) {
            for step in &self.steps[steps.clone()] {
                step.add(sample, row);
            }
        }
        for slot in &self.lost {
            slot.clear(row);
        }
    }
}

fn add_own(row: &mut RowBuffer, own: Sample<'_>, is_new: bool) {
    row.cells.extend_from_slice(own.cells);
    row.increases.extend_from_slice(own.increases);
    if !is_new {
        row.increases.fill(Cell::ABSENT);
        for counter in own.plan.layout.counters() {
            row.cells[*counter] = Cell::ABSENT;
        }
    }
}

/// The fields of a pod's row in the making.
struct Fields {
    fields: Vec<Field>,
    /// So many are measured of the pod itself.
    own: usize,
}

impl Fields {
    /// Where the field is summed; `None` where it is measured of the pod itself.
    fn slot(&mut self, field: &Field) -> Option<usize> {
        let known = self.fields.iter().position(|known| known == field);
        let slot = known.unwrap_or_else(|| {
            self.fields.push(field.clone());
            self.fields.len() - 1
        });
        (slot >= self.own).then_some(slot)
    }
}

impl Step {
    fn add(&self, sample: Sample<'_>, row: &mut RowBuffer) {
        let cell = match self.from {
            From::Gauge { cell } | From::Counter { cell, .. } => sample.cells[cell],
            From::Rate { increase, unit } => {
                rate_in(unit, sample.increases[increase], sample.interval_ms)
            }
        };
        let sum = &mut row.cells[self.slot.cell];
        *sum = if self.is_integer { added(*sum, cell) } else { added_real(*sum, cell) };
        if let (From::Counter { increase, .. }, Some(slot)) = (self.from, self.slot.increase) {
            let sum = &mut row.increases[slot];
            *sum = added(*sum, sample.increases[increase]);
        }
    }
}

impl Slot {
    fn clear(self, row: &mut RowBuffer) {
        row.cells[self.cell] = Cell::ABSENT;
        if let Some(increase) = self.increase {
            row.increases[increase] = Cell::ABSENT;
        }
    }
}

/// The sum; absent where a part is, or where it would not fit.
pub(super) fn added(sum: Cell, cell: Cell) -> Cell {
    let sum = sum.as_int().zip(cell.as_int()).and_then(|(sum, part)| sum.checked_add(part));
    sum.map_or(Cell::ABSENT, Cell::int)
}

fn added_real(sum: Cell, cell: Cell) -> Cell {
    let sum = sum.as_real().zip(cell.as_real()).map(|(sum, part)| sum + part);
    sum.map_or(Cell::ABSENT, Cell::real)
}
