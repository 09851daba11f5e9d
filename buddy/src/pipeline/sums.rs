//! Sums over containers: whole, or absent.

use heapster_shared::{
    row::{Cell, rate},
    schema::{Derivation, Field, Metric, MetricId, ValueType, table},
};

use super::run::Sample;

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
const REQUESTED: [MetricId; 4] =
    [table::CPU_REQUEST, table::CPU_LIMIT, table::MEMORY_REQUEST, table::MEMORY_LIMIT];

/// Sums by field.
#[derive(Default)]
pub(super) struct Sums {
    sums: Vec<Sum>,
}

/// The sum of one field.
pub(super) struct Sum {
    pub(super) field: Field,
    value: Option<Cell>,
    increase: Option<i64>,
}

impl Sum {
    /// The sum; absent where one of its parts is not known.
    pub(super) fn value(&self) -> Cell {
        self.value.unwrap_or(Cell::ABSENT)
    }

    /// The sum of the increases; absent where one of its parts is not known.
    pub(super) fn increase(&self) -> Cell {
        self.increase.map_or(Cell::ABSENT, Cell::int)
    }

    fn add(&mut self, cell: Cell, increase: Cell) {
        self.increase = self.increase.zip(increase.as_int()).and_then(|(a, b)| a.checked_add(b));
        self.value = self.value.and_then(|value| added(&self.field, value, cell));
    }
}

impl Sums {
    /// Adds a container's sample.
    pub(super) fn add(&mut self, sample: &Sample) {
        let mut hint = 0;
        for (index, field) in sample.layout.measured().iter().enumerate() {
            if is_summed(&field.metric) {
                self.add_cell(&mut hint, field, sample.cells[index], sample.increase(index));
            }
        }
        for derived in sample.layout.derived() {
            let Derivation::Rate { counter } = derived.from else { continue };
            let field = &sample.layout.fields()[derived.field];
            if is_summed(&field.metric) {
                let value = rate(&field.metric, sample.increase(counter), sample.interval_ms);
                self.add_cell(&mut hint, field, value, Cell::ABSENT);
            }
        }
        for field in sample.lost.iter().filter(|field| is_summed(&field.metric)) {
            self.add_cell(&mut hint, field, Cell::ABSENT, Cell::ABSENT);
        }
    }

    /// Adds what a container asked for, and is limited to.
    pub(super) fn add_requests(&mut self, sample: &Sample) {
        let mut hint = 0;
        for (index, field) in sample.layout.measured().iter().enumerate() {
            if is_one_of(&field.metric, &REQUESTED) {
                self.add_cell(&mut hint, field, sample.cells[index], Cell::ABSENT);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sum> {
        self.sums.iter()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Sum> {
        self.sums.into_iter()
    }

    /// Containers of a pod mostly have the same fields in the same order, so the field looked for
    /// is mostly at the hint.
    fn add_cell(&mut self, hint: &mut usize, field: &Field, cell: Cell, increase: Cell) {
        let after = self.sums.iter().skip(*hint).position(|sum| sum.field == *field);
        let place = after.map(|place| place + *hint);
        let place = place.or_else(|| self.sums.iter().position(|sum| sum.field == *field));
        let place = place.unwrap_or_else(|| {
            let zero = match field.metric.value_type() {
                ValueType::Int64 => Cell::int(0),
                ValueType::Double => Cell::real(0.0),
            };
            self.sums.push(Sum { field: field.clone(), value: Some(zero), increase: Some(0) });
            self.sums.len() - 1
        });
        self.sums[place].add(cell, increase);
        *hint = place + 1;
    }
}

fn is_summed(metric: &Metric) -> bool {
    matches!(metric, Metric::Custom(_)) || is_one_of(metric, &SUMMED)
}

fn is_one_of(metric: &Metric, ids: &[MetricId]) -> bool {
    matches!(metric, Metric::Known(def) if ids.contains(&def.id))
}

fn added(field: &Field, sum: Cell, cell: Cell) -> Option<Cell> {
    match field.metric.value_type() {
        ValueType::Int64 => sum.as_int()?.checked_add(cell.as_int()?).map(Cell::int),
        ValueType::Double => Some(Cell::real(sum.as_real()? + cell.as_real()?)),
    }
}
