//! Rows: all samples of one entity taken at one time, in blocks that share a layout.

mod cell;

use std::sync::Arc;

pub use cell::Cell;

use crate::{
    entity::Entity,
    schema::{Derivation, Derived, Layout, RateUnit, Step},
    tick::Tick,
};

/// Whose row it is and when it was taken.
#[derive(Clone, Debug)]
pub struct RowHead {
    /// The thing that was measured.
    pub entity: Arc<Entity>,
    /// The sample's own time, in milliseconds since 1970.
    pub time_ms: i64,
    /// The time since the sample before, over which increases count; 0 when there is none.
    pub interval_ms: u32,
}

/// Rows of one layout. Cells lie row by row: `cells[row * fields + field]`.
#[derive(Clone, Debug)]
pub struct Block {
    layout: Arc<Layout>,
    heads: Vec<RowHead>,
    cells: Vec<Cell>,
    increases: Vec<Cell>,
}

/// The rows of one cluster for one tick, or a part of them.
#[derive(Clone, Debug)]
pub struct RowBatch {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The tick that the rows were taken for.
    pub tick: Tick,
    /// The rows.
    pub blocks: Vec<Block>,
}

/// One row of a block.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Whose row it is and when it was taken.
    pub head: &'a RowHead,
    /// Its layout.
    pub layout: &'a Layout,
    /// One cell a field of the layout, derived fields included.
    pub cells: &'a [Cell],
    /// One cell a counter of the layout ([`Layout::counters`]): its increase over the interval.
    pub increases: &'a [Cell],
}

impl Block {
    /// A block without rows.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self::with_capacity(layout, 0)
    }

    /// A block without rows that has room for some.
    #[must_use]
    pub fn with_capacity(layout: Arc<Layout>, rows: usize) -> Self {
        let cells = Vec::with_capacity(rows * layout.fields().len());
        let increases = Vec::with_capacity(rows * layout.counters().len());
        let heads = Vec::with_capacity(rows);
        Self { layout, heads, cells, increases }
    }

    /// The layout of every row.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Adds a row: one cell a measured field, one increase a counter. Derived cells are worked
    /// out here, so that they mean the same wherever a row is read.
    ///
    /// # Panics
    /// When the numbers of cells or increases are not those of the layout.
    pub fn push(&mut self, head: RowHead, measured: &[Cell], increases: &[Cell]) {
        assert_eq!(measured.len(), self.layout.measured().len(), "cells of a row");
        assert_eq!(increases.len(), self.layout.counters().len(), "increases of a row");
        self.cells.extend_from_slice(measured);
        let (time_ms, interval_ms) = (head.time_ms, head.interval_ms);
        self.cells.extend(self.layout.steps().iter().map(|step| match *step {
            Step::Rate { increase, unit } => rate_in(unit, increases[increase], interval_ms),
            Step::Uptime => {
                uptime(Span { start_time_ms: head.entity.start_time_ms, time_ms, interval_ms })
            }
        }));
        self.increases.extend_from_slice(increases);
        self.heads.push(head);
    }

    /// Adds a row of which every cell is given, those of derived fields too: one cell a field, one
    /// increase a counter.
    ///
    /// # Panics
    /// When the numbers of cells or increases are not those of the layout.
    pub fn push_whole(
        &mut self,
        head: RowHead,
        cells: impl IntoIterator<Item = Cell>,
        increases: impl IntoIterator<Item = Cell>,
    ) {
        self.cells.extend(cells);
        self.increases.extend(increases);
        self.heads.push(head);
        let rows = self.heads.len();
        assert_eq!(self.cells.len(), rows * self.layout.fields().len(), "cells of a row");
        assert_eq!(self.increases.len(), rows * self.layout.counters().len(), "increases of a row");
    }

    /// The row at this place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn row(&self, index: usize) -> Row<'_> {
        let fields = self.layout.fields().len();
        let counters = self.layout.counters().len();
        Row {
            head: &self.heads[index],
            layout: &self.layout,
            cells: &self.cells[index * fields..(index + 1) * fields],
            increases: &self.increases[index * counters..(index + 1) * counters],
        }
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }
}

impl RowBatch {
    /// Takes over the rows of a batch of the same cluster and tick, in blocks of their own.
    pub fn append(&mut self, other: Self) {
        self.blocks.extend(other.blocks);
    }

    /// Number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.blocks.iter().map(Block::len).sum()
    }

    /// Number of values that are there, derived ones included.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        let cells = self.blocks.iter().flat_map(|block| &block.cells);
        cells.filter(|cell| !cell.is_absent()).count()
    }

    /// Memory that the batch takes, in bytes, entities and layouts not counted.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let block_bytes = |block: &Block| {
            size_of_val(block.heads.as_slice())
                + size_of_val(block.cells.as_slice())
                + size_of_val(block.increases.as_slice())
                + size_of::<Block>()
        };
        size_of::<Self>() + self.blocks.iter().map(block_bytes).sum::<usize>()
    }
}

impl<'a> Row<'a> {
    /// The cell of the field of this metric that has no labels.
    #[must_use]
    pub fn get(&self, metric: &'static crate::schema::MetricDef) -> Option<Cell> {
        let cell = self.cells[self.layout.index_of(metric)?];
        (!cell.is_absent()).then_some(cell)
    }

    /// The fields that have a value, with it.
    pub fn samples(&self) -> impl Iterator<Item = (&'a crate::schema::Field, Cell)> {
        let pairs = self.layout.fields().iter().zip(self.cells.iter().copied());
        pairs.filter(|(_, cell)| !cell.is_absent())
    }
}

/// The times that derived fields follow from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The entity's counters count from here; 0 when not known.
    pub start_time_ms: i64,
    /// When the row was taken.
    pub time_ms: i64,
    /// The time over which its increases count; 0 when there is none.
    pub interval_ms: u32,
}

/// The value of a derived field of a row with these increases, one a counter of the layout.
#[must_use]
pub fn derive(layout: &Layout, derived: &Derived, span: Span, increases: &[Cell]) -> Cell {
    match derived.from {
        Derivation::Rate { counter } => {
            let metric = &layout.fields()[derived.field].metric;
            let position = layout.counters().binary_search(&counter);
            let increase = position.map_or(Cell::ABSENT, |at| increases[at]);
            rate(metric, increase, span.interval_ms)
        }
        Derivation::Uptime => uptime(span),
    }
}

/// The value of a rate's metric: its counter's increase a second, or for CPU time in nanoseconds
/// whole millicores. Absent where the increase or the interval is not known.
#[must_use]
pub fn rate(metric: &crate::schema::Metric, increase: Cell, interval_ms: u32) -> Cell {
    rate_in(RateUnit::of(metric), increase, interval_ms)
}

/// The same for whoever knows the unit of the rate's metric already.
#[must_use]
pub fn rate_in(unit: RateUnit, increase: Cell, interval_ms: u32) -> Cell {
    let Some(increase) = increase.as_int().filter(|_| interval_ms > 0) else {
        return Cell::ABSENT;
    };
    let interval_ms = i64::from(interval_ms);
    match unit {
        // 1000 * ns / (ms * 1_000_000)
        RateUnit::Millicores => Cell::int(increase / (interval_ms * 1000)),
        #[allow(clippy::cast_precision_loss)]
        RateUnit::PerSecond => Cell::real(increase as f64 * 1000.0 / interval_ms as f64),
    }
}

fn uptime(span: Span) -> Cell {
    let start = span.start_time_ms;
    if start == 0 || span.time_ms < start {
        return Cell::ABSENT;
    }
    Cell::int(span.time_ms.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entity::{Definition, EntityTable, Labels, Level},
        schema::{Field, table},
    };

    fn head(interval_ms: u32) -> RowHead {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: "a".into(),
            uid: "".into(),
            start_time_ms: 1_000,
            labels: Labels::default(),
        });
        RowHead { entity, time_ms: 16_000, interval_ms }
    }

    fn block() -> Block {
        Block::new(Arc::new(Layout::new(vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::MEMORY_PAGE_FAULTS.def()),
        ])))
    }

    /// 7.5 s of CPU time in 15 s is half a core, 30 faults in 15 s are 2 a second, and a row taken
    /// 15 s after the start has that uptime.
    #[test]
    fn derived_cells_follow_from_increases() {
        let mut block = block();
        let measured = [Cell::int(9_000_000_000), Cell::int(5), Cell::int(40)];
        block.push(head(15_000), &measured, &[Cell::int(7_500_000_000), Cell::int(30)]);
        let row = block.row(0);
        assert_eq!(row.get(table::CPU_USAGE_RATE.def()), Some(Cell::int(500)));
        assert_eq!(row.get(table::MEMORY_PAGE_FAULTS_RATE.def()), Some(Cell::real(2.0)));
        let span = Span { start_time_ms: 1_000, time_ms: 16_000, interval_ms: 15_000 };
        for derived in row.layout.derived() {
            let alone = derive(row.layout, derived, span, row.increases);
            assert_eq!(row.cells[derived.field], alone, "worked out alone as in its row");
        }
        assert_eq!(row.get(table::UPTIME.def()), Some(Cell::int(15_000)));
        assert_eq!(row.samples().count(), 6);
    }

    /// Without a sample before, or with a counter that went back, there is no rate: not zero.
    #[test]
    fn no_interval_or_increase_gives_no_rate() {
        let mut block = block();
        let measured = [Cell::int(9), Cell::int(5), Cell::int(40)];
        block.push(head(0), &measured, &[Cell::int(9), Cell::int(30)]);
        block.push(head(15_000), &measured, &[Cell::ABSENT, Cell::int(0)]);
        assert_eq!(block.row(0).get(table::CPU_USAGE_RATE.def()), None);
        assert_eq!(block.row(1).get(table::CPU_USAGE_RATE.def()), None);
        let faults = block.row(1).get(table::MEMORY_PAGE_FAULTS_RATE.def());
        assert_eq!(faults, Some(Cell::real(0.0)));
    }
}
