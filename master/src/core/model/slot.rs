//! An entity and its newest row.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row, Span},
    schema::{Layout, ValueType},
};

use super::{
    code::{RowState, value},
    subject::heap_bytes,
};

/// See the module's header.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entity: Arc<Entity>,
    pub(super) layout: Arc<Layout>,
    pub(super) time_ms: i64,
    /// Measured cells, then increases: one allocation.
    values: Box<[Cell]>,
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
        if same_layout {
            let (cells, increases) = self.values.split_at_mut(layout.measured().len());
            cells.copy_from_slice(&row.cells[..cells.len()]);
            increases.copy_from_slice(row.increases);
        } else {
            self.layout = Arc::clone(layout);
            self.values = values(row, layout);
        }
        if !same_entity {
            self.entity = Arc::clone(&row.head.entity);
        }
        if !same_entity || !same_layout {
            self.recount();
        }
    }

    /// The measured cells of the row.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.values[..self.layout.measured().len()]
    }

    fn increases(&self) -> &[Cell] {
        &self.values[self.layout.measured().len()..]
    }

    /// The types of the measured cells.
    pub(super) fn value_types(&self) -> impl Iterator<Item = ValueType> {
        self.layout.measured().iter().map(|field| field.metric.value_type())
    }

    /// The value of any field of the row's layout.
    pub(super) fn value(&self, field: usize) -> Cell {
        let span = Span {
            start_time_ms: self.entity.start_time_ms,
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
        };
        value(&self.layout, span, field, self.cells(), self.increases())
    }

    /// The row, for whoever goes on to the rows before.
    pub(super) fn row(&self) -> RowState {
        RowState {
            layout: Arc::clone(&self.layout),
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
            start_time_ms: self.entity.start_time_ms,
            cells: self.cells().to_vec(),
            increases: self.increases().to_vec(),
        }
    }

    /// Memory beyond the value itself.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    fn recount(&mut self) {
        let bytes = size_of_val(&*self.values) + entity_bytes(&self.entity);
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
}

fn values(row: &Row<'_>, layout: &Layout) -> Box<[Cell]> {
    [&row.cells[..layout.measured().len()], row.increases].concat().into_boxed_slice()
}

/// Memory of an entity, its parents not counted: they have rows of their own. Labels that others
/// share already are counted in part.
fn entity_bytes(entity: &Entity) -> usize {
    let counts = 2 * size_of::<usize>();
    let labels = entity.labels.heap_bytes() / entity.labels.shared_by().saturating_sub(1).max(1);
    counts + size_of::<Entity>() + heap_bytes(&entity.name) + heap_bytes(&entity.uid) + labels
}
