//! Rows of one layout, from columns to cells.
//!
//! For each entity the last value of every integer field is kept, since later rows of the segment
//! may be differences to it. A value that is absent leaves the kept one as it was.

use std::sync::Arc;

use heapster_proto::v1::{self, block::Form};
use heapster_shared::{
    Map, Set,
    entity::Entity,
    row::{Block, Cell, RowHead},
    schema::{Layout, ValueType},
};

use super::{
    columns::{ColumnView, known_increase},
    definitions::{EntityMap, WireLayout},
    error::{DecodeError, ensure, ensure_within},
};

/// Farthest that a sample may lie from its tick.
pub(super) const FARTHEST_MS: i64 = 86_400_000;

/// A layout of the segment with the last row of each entity.
pub(super) struct LayoutState {
    layout: Arc<Layout>,
    columns: Vec<usize>,
    width: usize,
    real: Vec<bool>,
    /// Place of each field among the counters.
    counter: Vec<Option<usize>>,
    places: Map<u32, usize>,
    free: Vec<usize>,
    last: Vec<Cell>,
    cells: Vec<Cell>,
    increases: Vec<Cell>,
}

/// What a block gave.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) entities: Vec<u32>,
    pub(super) reason: &'static str,
}

impl LayoutState {
    pub(super) fn new(wire: WireLayout) -> Self {
        let layout = wire.layout;
        let fields = layout.measured();
        let real = fields.iter().map(|f| f.metric.value_type() == ValueType::Double).collect();
        let counter =
            (0..fields.len()).map(|at| layout.counters().binary_search(&at).ok()).collect();
        Self {
            real,
            counter,
            cells: vec![Cell::ABSENT; fields.len()],
            increases: vec![Cell::ABSENT; layout.counters().len()],
            columns: wire.columns,
            width: wire.width,
            places: Map::default(),
            free: Vec::new(),
            last: Vec::new(),
            layout,
        }
    }

    /// Cells kept.
    pub(super) const fn kept(&self) -> usize {
        self.last.len()
    }

    /// Forgets entities that are gone: few of many or many of few, whichever is less work.
    pub(super) fn end_all(&mut self, ids: &Set<u32>) {
        if ids.len() <= self.places.len() {
            ids.iter().for_each(|id| self.end(*id));
            return;
        }
        let free = &mut self.free;
        self.places.retain(|id, place| {
            let ended = ids.contains(id);
            if ended {
                free.push(*place);
            }
            !ended
        });
    }

    fn end(&mut self, id: u32) {
        if let Some(place) = self.places.remove(&id) {
            self.free.push(place);
        }
    }

    /// Cells that the rows of this block take.
    pub(super) fn size_of(&self, block: &v1::Block) -> usize {
        block.entities.len().saturating_mul(self.layout.fields().len().max(1))
    }

    /// The rows of a block; those that cannot be read are refused, the others stand.
    pub(super) fn read(
        &mut self,
        block: &v1::Block,
        tick_ms: i64,
        entities: &EntityMap,
        refused: &mut Refused,
        max_kept: usize,
    ) -> Result<Block, DecodeError> {
        let rows = block.entities.len();
        let form = Form::try_from(block.form)
            .map_err(|_| DecodeError::Malformed(format!("unknown form {}", block.form)))?;
        let (got, width) = (block.columns.len(), self.width);
        ensure!(got == width, "{got} columns for the {width} fields of layout {}", block.layout);
        let time = optional("time_ms", block.time_ms.as_ref(), rows)?;
        let interval = optional("interval_ms", block.interval_ms.as_ref(), rows)?;
        let columns = self.views(block, rows)?;
        let mut out = Block::with_capacity(Arc::clone(&self.layout), rows);
        let mut id = 0_u32;
        for row in 0..rows {
            id = id.wrapping_add_signed(block.entities[row]);
            let entity = find(id, entities)?.ok_or("its level is not known to this master");
            let time_ms = time.and_then(|time| time.int(row)).unwrap_or(0);
            let interval_ms = interval.and_then(|interval| interval.int(row)).unwrap_or(0);
            // The values first: a later row may be a difference to one whose time is refused.
            let read = entity.and_then(|entity| {
                self.row(id, form, &columns, row)?;
                head(entity, tick_ms, time_ms, interval_ms)
            });
            match read {
                Ok(head) => out.push(head, &self.cells, &self.increases),
                Err(reason) => {
                    refused.reason = reason;
                    refused.entities.push(id);
                }
            }
            ensure_within!(
                self.last.len() <= max_kept,
                "more than {max_kept} values to remember in one segment"
            );
        }
        Ok(out)
    }

    fn views<'a>(
        &self,
        block: &'a v1::Block,
        rows: usize,
    ) -> Result<Vec<ColumnView<'a>>, DecodeError> {
        let views = self.columns.iter().map(|column| {
            ColumnView::new(&block.columns[*column], rows)
                .map_err(|error| error.at(&format!("column {column}")))
        });
        views.collect()
    }

    /// Reads one row into `cells` and `increases`.
    fn row(
        &mut self,
        id: u32,
        form: Form,
        columns: &[ColumnView<'_>],
        row: usize,
    ) -> Result<(), &'static str> {
        let place = match (self.places.get(&id), form) {
            (Some(place), _) => *place,
            (None, Form::Absolute) => self.place(id),
            (None, Form::Difference) => return Err("a difference without a row before it"),
        };
        let start = place * columns.len();
        let last = &mut self.last[start..start + columns.len()];
        for (field, column) in columns.iter().enumerate() {
            let (cell, increase) = if self.real[field] {
                (column.real(row), Cell::ABSENT)
            } else {
                let read = integer(column, row, form, &mut last[field]);
                let Some(read) = read else {
                    self.end(id);
                    return Err("a difference that leaves the range of 64-bit integers");
                };
                read
            };
            self.cells[field] = cell;
            if let Some(counter) = self.counter[field] {
                self.increases[counter] = increase;
            }
        }
        Ok(())
    }

    fn place(&mut self, id: u32) -> usize {
        let width = self.cells.len();
        let place = self.free.pop().unwrap_or_else(|| {
            let place = self.last.len() / width.max(1);
            self.last.resize(self.last.len() + width, Cell::ABSENT);
            place
        });
        self.last[place * width..(place + 1) * width].fill(Cell::ABSENT);
        self.places.insert(id, place);
        place
    }
}

/// The value and increase of an integer field; none when it leaves the range.
fn integer(
    column: &ColumnView<'_>,
    row: usize,
    form: Form,
    last: &mut Cell,
) -> Option<(Cell, Cell)> {
    let Some(sent) = column.int(row) else { return Some((Cell::ABSENT, Cell::ABSENT)) };
    let (value, increase) = match (form, last.as_int()) {
        (Form::Absolute, _) => (sent, column.increase(row)),
        // The field was absent until now: it starts here, and what it grew by is not known.
        (Form::Difference, None) => (sent, Cell::ABSENT),
        (Form::Difference, Some(before)) => (before.checked_add(sent)?, known_increase(sent)),
    };
    *last = Cell::int(value);
    Some((*last, increase))
}

fn optional<'a>(
    name: &str,
    column: Option<&'a v1::Column>,
    rows: usize,
) -> Result<Option<ColumnView<'a>>, DecodeError> {
    let view = column.map(|column| ColumnView::new(column, rows)).transpose();
    view.map_err(|error| error.at(name))
}

fn find(id: u32, entities: &EntityMap) -> Result<Option<&Arc<Entity>>, DecodeError> {
    let entity = entities.get(&id).ok_or_else(|| {
        DecodeError::Malformed(format!("entity {id} is not defined in this segment"))
    })?;
    Ok(entity.as_ref())
}

fn head(
    entity: &Arc<Entity>,
    tick_ms: i64,
    time_ms: i64,
    interval_ms: i64,
) -> Result<RowHead, &'static str> {
    if !(-FARTHEST_MS..=FARTHEST_MS).contains(&time_ms) {
        return Err("its time is more than a day from the tick");
    }
    let interval_ms = u32::try_from(interval_ms).map_err(|_| "its interval is out of range")?;
    Ok(RowHead { entity: Arc::clone(entity), time_ms: tick_ms + time_ms, interval_ms })
}
