//! An entity and its newest row.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row, Span, derive, rate},
    schema::{Derivation, Layout, ValueType},
};

use super::{code::RowState, subject::heap_bytes};
use crate::core::packed::PackedCells;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entity: Arc<Entity>,
    pub(super) layout: Arc<Layout>,
    pub(super) time_ms: i64,
    /// Measured cells, then increases.
    values: PackedCells,
    /// Number of the chunk that has the row.
    pub(super) last_chunk: u64,
    pub(super) tick_ms: i64,
    pub(super) interval_ms: u32,
    /// Memory beyond the value itself, as it was counted.
    bytes: u32,
}

impl Slot {
    /// A slot with an entity's first row.
    pub(super) fn new(row: &Row<'_>, layout: &Arc<Layout>, tick_ms: i64, chunk: u64) -> Self {
        let mut slot = Self {
            entity: Arc::clone(&row.head.entity),
            layout: Arc::clone(layout),
            time_ms: row.head.time_ms,
            values: values(row, layout),
            last_chunk: chunk,
            tick_ms,
            interval_ms: row.head.interval_ms,
            bytes: 0,
        };
        slot.recount();
        slot
    }

    /// Puts a newer row of the same entity in the place of the one before.
    pub(super) fn replace(
        &mut self,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        tick_ms: i64,
        chunk: u64,
    ) {
        self.time_ms = row.head.time_ms;
        self.interval_ms = row.head.interval_ms;
        self.tick_ms = tick_ms;
        self.last_chunk = chunk;
        let same_entity = Arc::ptr_eq(&self.entity, &row.head.entity);
        let same_layout = Arc::ptr_eq(&self.layout, layout);
        if !same_layout {
            self.layout = Arc::clone(layout);
        }
        let values_before = self.values.heap_bytes();
        self.values.set(&row.cells[..layout.measured().len()], row.increases);
        if !same_entity {
            self.entity = Arc::clone(&row.head.entity);
        }
        if !same_entity || self.values.heap_bytes() != values_before {
            self.recount();
        }
    }

    /// Reads the measured cells of the row into a list that was used before.
    pub(super) fn read_cells(&self, cells: &mut Vec<Cell>) {
        cells.resize(self.layout.measured().len(), Cell::ABSENT);
        self.values.read(self.value_count(), cells);
    }

    fn value_count(&self) -> usize {
        self.layout.measured().len() + self.layout.counters().len()
    }

    /// The types of the measured cells.
    pub(super) fn value_types(&self) -> impl Iterator<Item = ValueType> {
        self.layout.measured().iter().map(|field| field.metric.value_type())
    }

    /// The value of any field of the row's layout. Whoever needs many asks for [`Slot::row`].
    pub(super) fn value(&self, field: usize) -> Cell {
        let measured = self.layout.measured().len();
        if field < measured {
            return self.values.get(self.value_count(), field);
        }
        let derived = self.layout.derived().iter().find(|derived| derived.field == field);
        let Some(derived) = derived else { return Cell::ABSENT };
        match derived.from {
            Derivation::Uptime => derive(&self.layout, derived, self.span(), &[]),
            Derivation::Rate { counter } => {
                let place = self.layout.counters().binary_search(&counter);
                let increase = place.map_or(Cell::ABSENT, |place| {
                    self.values.get(self.value_count(), measured + place)
                });
                rate(&self.layout.fields()[field].metric, increase, self.interval_ms)
            }
        }
    }

    fn span(&self) -> Span {
        Span {
            start_time_ms: self.entity.start_time_ms,
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
        }
    }

    /// The row, for whoever goes on to the rows before.
    pub(super) fn row(&self) -> RowState {
        let mut cells = vec![Cell::ABSENT; self.value_count()];
        self.values.read(cells.len(), &mut cells);
        let increases = cells.split_off(self.layout.measured().len());
        RowState {
            layout: Arc::clone(&self.layout),
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
            start_time_ms: self.entity.start_time_ms,
            cells,
            increases,
        }
    }

    /// Memory beyond the value itself.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    fn recount(&mut self) {
        let bytes = self.values.heap_bytes() + entity_bytes(&self.entity);
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
}

fn values(row: &Row<'_>, layout: &Layout) -> PackedCells {
    PackedCells::new(&row.cells[..layout.measured().len()], row.increases)
}

/// Memory of an entity, its parents not counted: they have rows of their own. Labels that others
/// share already are counted in part.
fn entity_bytes(entity: &Entity) -> usize {
    let counts = 2 * size_of::<usize>();
    let labels = entity.labels.heap_bytes() / entity.labels.shared_by().saturating_sub(1).max(1);
    counts + size_of::<Entity>() + heap_bytes(&entity.name) + heap_bytes(&entity.uid) + labels
}
