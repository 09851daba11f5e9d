//! The rows of one layout in a window.

use std::sync::Arc;

use heapster_shared::{
    Map,
    entity::{Entity, EntityId},
    row::{Block, Cell, Row, RowHead, rate_in},
    schema::{Derivation, Kind, Layout, RateUnit, ValueType},
};

/// See the module's header.
#[derive(Debug)]
pub(super) struct Group {
    layout: Arc<Layout>,
    rules: Box<[Rule]>,
    places: Map<EntityId, usize>,
    series: Vec<Series>,
    /// One a field of each series.
    values: Vec<Value>,
    /// One a counter of each series.
    rises: Vec<Rise>,
}

/// How the values of a field become one.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// The newest.
    Last,
    /// The mean, rounded.
    MeanInt,
    /// The mean.
    MeanReal,
    /// It follows from the increases of the counter at this place.
    Rate { counter: usize, unit: RateUnit },
}

/// The rows of one entity.
#[derive(Debug)]
struct Series {
    /// As its newest row has it.
    entity: Arc<Entity>,
    /// Times of its rows, which grow.
    times: Vec<i64>,
    interval_ms: u64,
}

/// What is known of a field: its sum and how many there were, or its newest value and its time.
#[derive(Clone, Copy, Debug)]
struct Value {
    cell: Cell,
    more: i64,
}

/// What is known of a counter.
#[derive(Clone, Copy, Debug, Default)]
struct Rise {
    increase: i64,
    interval_ms: u64,
}

const NOTHING: Value = Value { cell: Cell::ABSENT, more: 0 };

impl Group {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        let measured = layout.fields().iter().map(|field| {
            match (field.metric.kind(), field.metric.value_type()) {
                (Kind::Cumulative, _) => Rule::Last,
                (Kind::Gauge, ValueType::Int64) => Rule::MeanInt,
                (Kind::Gauge, ValueType::Double) => Rule::MeanReal,
            }
        });
        let mut rules: Box<[Rule]> = measured.collect();
        for derived in layout.derived() {
            if let Derivation::Rate { counter } = derived.from {
                let unit = RateUnit::of(&layout.fields()[derived.field].metric);
                // Every counter is in the list of counters.
                let counter = layout.counters().partition_point(|known| *known < counter);
                rules[derived.field] = Rule::Rate { counter, unit };
            }
        }
        let (places, series) = (Map::default(), Vec::new());
        Self { layout, rules, places, series, values: Vec::new(), rises: Vec::new() }
    }

    /// Adds a row, unless it was added before; says how many bytes it takes.
    pub(super) fn add(&mut self, row: &Row<'_>) -> usize {
        let (fields, counters) = (self.rules.len(), self.layout.counters().len());
        let mut bytes = size_of::<i64>();
        let place = *self.places.entry(row.head.entity.id).or_insert_with(|| {
            bytes += size_of::<Series>() + size_of::<(EntityId, usize)>();
            bytes += fields * size_of::<Value>() + counters * size_of::<Rise>();
            self.values.resize(self.values.len() + fields, NOTHING);
            self.rises.resize(self.rises.len() + counters, Rise::default());
            let entity = Arc::clone(&row.head.entity);
            self.series.push(Series { entity, times: Vec::new(), interval_ms: 0 });
            self.series.len() - 1
        });
        if !self.series[place].take(row.head) {
            return 0;
        }
        let values = &mut self.values[place * fields..(place + 1) * fields];
        for ((value, rule), cell) in values.iter_mut().zip(&self.rules).zip(row.cells) {
            value.take(*rule, *cell, row.head.time_ms);
        }
        let rises = &mut self.rises[place * counters..(place + 1) * counters];
        for (rise, increase) in rises.iter_mut().zip(row.increases) {
            rise.take(*increase, row.head.interval_ms);
        }
        bytes
    }

    /// The rows, in blocks of limited size.
    pub(super) fn blocks(&self, cells: usize) -> impl Iterator<Item = Block> {
        let rows = (cells / self.rules.len().max(1)).max(1);
        (0..self.series.len()).step_by(rows).map(move |start| {
            let end = (start + rows).min(self.series.len());
            let mut block = Block::with_capacity(Arc::clone(&self.layout), end - start);
            (start..end).for_each(|place| self.push(place, &mut block));
            block
        })
    }

    fn push(&self, place: usize, block: &mut Block) {
        let (fields, counters) = (self.rules.len(), self.layout.counters().len());
        let series = &self.series[place];
        let values = &self.values[place * fields..(place + 1) * fields];
        let rises = &self.rises[place * counters..(place + 1) * counters];
        let head = RowHead {
            entity: Arc::clone(&series.entity),
            time_ms: series.newest_ms(),
            interval_ms: saturated(series.interval_ms),
        };
        let cells = values.iter().zip(&self.rules).map(|(value, rule)| value.made(*rule, rises));
        block.push_whole(head, cells, rises.iter().map(|rise| rise.made()));
    }
}

impl Series {
    /// Takes the head of a row, unless there was one of that time.
    fn take(&mut self, head: &RowHead) -> bool {
        let place = self.times.partition_point(|time| *time < head.time_ms);
        if self.times.get(place) == Some(&head.time_ms) {
            return false;
        }
        if place == self.times.len() {
            self.entity = Arc::clone(&head.entity);
        }
        self.times.insert(place, head.time_ms);
        self.interval_ms += u64::from(head.interval_ms);
        true
    }

    fn newest_ms(&self) -> i64 {
        self.times.last().copied().unwrap_or_default()
    }
}

impl Value {
    fn take(&mut self, rule: Rule, cell: Cell, time_ms: i64) {
        if cell.is_absent() {
            return;
        }
        match rule {
            Rule::Last if self.cell.is_absent() || time_ms > self.more => {
                *self = Self { cell, more: time_ms };
            }
            Rule::Last | Rule::Rate { .. } => {}
            Rule::MeanInt => {
                let (sum, value) = (self.cell.as_int(), cell.as_int());
                let sum = sum.unwrap_or(0).saturating_add(value.unwrap_or(0));
                // The smallest integer is no value.
                *self = Self { cell: Cell::int(sum.max(-i64::MAX)), more: self.more + 1 };
            }
            Rule::MeanReal => {
                let sum = self.cell.as_real().unwrap_or(0.0) + cell.as_real().unwrap_or(0.0);
                *self = Self { cell: Cell::real(sum), more: self.more + 1 };
            }
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn made(&self, rule: Rule, rises: &[Rise]) -> Cell {
        match rule {
            Rule::Last => self.cell,
            Rule::MeanInt => {
                self.cell.as_int().map_or(Cell::ABSENT, |sum| Cell::int(rounded(sum, self.more)))
            }
            Rule::MeanReal => {
                self.cell.as_real().map_or(Cell::ABSENT, |sum| Cell::real(sum / self.more as f64))
            }
            Rule::Rate { counter, unit } => {
                let rise = rises[counter];
                rate_in(unit, rise.made(), saturated(rise.interval_ms))
            }
        }
    }
}

impl Rise {
    /// An increase without an interval is that of a first row, and says nothing.
    fn take(&mut self, increase: Cell, interval_ms: u32) {
        if let Some(increase) = increase.as_int().filter(|_| interval_ms > 0) {
            self.increase = self.increase.saturating_add(increase);
            self.interval_ms += u64::from(interval_ms);
        }
    }

    fn made(&self) -> Cell {
        if self.interval_ms > 0 { Cell::int(self.increase) } else { Cell::ABSENT }
    }
}

fn saturated(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

/// A quotient to the nearest integer, halves upwards.
fn rounded(sum: i64, count: i64) -> i64 {
    let (sum, count) = (i128::from(sum), i128::from(count.max(1)));
    i64::try_from((2 * sum + count).div_euclid(2 * count)).unwrap_or(i64::MAX)
}
