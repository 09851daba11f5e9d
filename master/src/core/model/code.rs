//! How rows are written into a chunk: as groups of rows with the same fields, each field a column
//! of what it changed by since the entity's row before.
//!
//! ```text
//! group   = length, kind varint             kind: OTHER_INCREASES bit, and 0 for first rows, 2 for
//!           [layout varint]                 rows after one of the same fields, 4 for rows after one
//!           slots                           of the layout at this place among the chunk's
//!           column...                       see `column`; not for first rows:
//!                                             time: the time since the row before, less the interval
//!                                             interval of the row before, less the row's
//!                                             start of the row, less that of the row before
//!                                             one a measured field: of same fields the difference,
//!                                             for doubles the XOR; else the row before as it was
//!           [column...]                     one a counter: its increase, less the difference to the
//!                                           row before
//! slots   = rows, (gap zigzag, run)...      runs of slots one after another; the gap is the distance
//!                                           to the end of the run before
//! ```
//!
//! All of it leads from a row to the one before. History is therefore read backwards, from the
//! newest row, which each slot has; the oldest chunk is of no use to the others, and is given up
//! without being read.
//!
//! Only measured cells are kept; rates and uptime are worked out again by whoever reads.

use std::sync::Arc;

use heapster_shared::{
    row::{Cell, Row, Span, derive},
    schema::{Layout, ValueType},
};

use super::{
    bits::{BitReader, BitWriter},
    bytes::{Reader, put_varint, unzigzag, zigzag},
    column::{put_column, read_column},
    slot::Slot,
};

const OTHER_INCREASES: u64 = 1;
const FIRST: u64 = 0;
const NEXT: u64 = 2;
const CHANGED: u64 = 4;

/// What rows of a group have in common beside their layout: what was there before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Nothing,
    SameFields,
    /// Rows of the layout at this place.
    Layout(usize),
}

/// The rows of a chunk, while they come.
#[derive(Debug, Default)]
pub(super) struct ChunkWriter {
    group: Option<(Arc<Layout>, Before)>,
    slots: Vec<u32>,
    /// Row by row, `columns` of each.
    values: Vec<i64>,
    columns: usize,
    column: Vec<i64>,
    /// Measured cells of the slot's row before.
    cells_before: Vec<Cell>,
    encoded: Vec<u8>,
    out: Vec<u8>,
    layouts: Vec<Arc<Layout>>,
}

impl ChunkWriter {
    /// Adds the row that is about to take the place of the slot's newest one; none is there yet
    /// when it is the first.
    pub(super) fn add(
        &mut self,
        index: u32,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        slot: Option<&Slot>,
    ) {
        let before = match slot {
            None => Before::Nothing,
            Some(slot) if same_layout(&slot.layout, layout) => Before::SameFields,
            Some(slot) => Before::Layout(self.layout_index(&slot.layout)),
        };
        let same = |(known, before_known): &(Arc<Layout>, Before)| {
            *before_known == before && Arc::ptr_eq(known, layout)
        };
        if !self.group.as_ref().is_some_and(same) {
            self.end_group();
            self.group = Some((Arc::clone(layout), before));
        }
        self.slots.push(index);
        let from = self.values.len();
        if let Some(slot) = slot {
            slot.read_cells(&mut self.cells_before);
            self.put_times(row, slot);
            self.put_cells(row, slot, before);
        }
        self.put_increases(row, before);
        self.columns = self.values.len() - from;
    }

    fn layout_index(&mut self, layout: &Arc<Layout>) -> usize {
        let known = self.layouts.iter().rposition(|known| Arc::ptr_eq(known, layout));
        known.unwrap_or_else(|| {
            self.layouts.push(Arc::clone(layout));
            self.layouts.len() - 1
        })
    }

    fn put_times(&mut self, row: &Row<'_>, slot: &Slot) {
        let interval_ms = i64::from(row.head.interval_ms);
        let elapsed_ms = row.head.time_ms.wrapping_sub(slot.time_ms);
        let start_ms = row.head.entity.start_time_ms;
        self.values.extend([
            elapsed_ms.wrapping_sub(interval_ms),
            i64::from(slot.interval_ms) - interval_ms,
            start_ms.wrapping_sub(slot.entity.start_time_ms),
        ]);
    }

    fn put_cells(&mut self, row: &Row<'_>, slot: &Slot, before: Before) {
        if before != Before::SameFields {
            return self.values.extend(self.cells_before.iter().copied().map(raw));
        }
        let pairs = self.cells_before.iter().zip(row.cells);
        let changes =
            pairs.zip(slot.value_types()).map(|((before, now), value_type)| match value_type {
                ValueType::Int64 => raw(*now).wrapping_sub(raw(*before)),
                ValueType::Double => raw(*now) ^ raw(*before),
            });
        self.values.extend(changes);
    }

    fn put_increases(&mut self, row: &Row<'_>, before: Before) {
        let same_fields = before == Before::SameFields;
        let cells_before = same_fields.then_some(self.cells_before.as_slice());
        for (counter, increase) in row.layout.counters().iter().zip(row.increases) {
            let expected = difference(row.layout, *counter, cells_before, row.cells);
            self.values.push(raw(*increase).wrapping_sub(raw(expected)));
        }
    }

    fn end_group(&mut self) {
        let Some((layout, before)) = self.group.take() else { return };
        let counters = layout.counters().len();
        let required = self.columns - counters;
        let other_increases = self
            .values
            .chunks_exact(self.columns.max(1))
            .any(|row| row[required..].iter().any(|value| *value != 0));
        let kind = match before {
            Before::Nothing => FIRST,
            Before::SameFields => NEXT,
            Before::Layout(_) => CHANGED,
        };
        self.encoded.clear();
        put_varint(&mut self.encoded, kind | if other_increases { OTHER_INCREASES } else { 0 });
        if let Before::Layout(index) = before {
            put_varint(&mut self.encoded, index as u64);
        }
        put_slots(&mut self.encoded, &self.slots);
        let written = if other_increases { self.columns } else { required };
        let mut bits = BitWriter::new(&mut self.encoded);
        for column in 0..written {
            self.column.clear();
            self.column.extend(self.values.iter().skip(column).step_by(self.columns));
            put_column(&mut bits, &mut self.column);
        }
        bits.finish();
        put_varint(&mut self.out, self.encoded.len() as u64);
        self.out.extend_from_slice(&self.encoded);
        self.slots.clear();
        self.values.clear();
    }

    /// Ends the chunk: its bytes, and the layouts that they refer to.
    pub(super) fn finish(&mut self) -> (Box<[u8]>, Box<[Arc<Layout>]>) {
        self.end_group();
        let bytes = Box::from(self.out.as_slice());
        self.out.clear();
        (bytes, std::mem::take(&mut self.layouts).into_boxed_slice())
    }
}

fn put_slots(out: &mut Vec<u8>, slots: &[u32]) {
    put_varint(out, slots.len() as u64);
    let mut expected = 0_i64;
    for run in slots.chunk_by(|slot, next| slot.checked_add(1) == Some(*next)) {
        let first = i64::from(run[0]);
        put_varint(out, zigzag(first - expected));
        put_varint(out, run.len() as u64);
        expected = first + run.len() as i64;
    }
}

/// Whether rows of these layouts have the same measured fields.
pub(super) fn same_layout(a: &Arc<Layout>, b: &Arc<Layout>) -> bool {
    Arc::ptr_eq(a, b) || a.measured() == b.measured()
}

/// A row that is read, measured cells only.
#[derive(Clone, Debug)]
pub(super) struct RowState {
    pub(super) layout: Arc<Layout>,
    pub(super) time_ms: i64,
    pub(super) interval_ms: u32,
    pub(super) start_time_ms: i64,
    pub(super) cells: Vec<Cell>,
    /// One cell a counter of the layout.
    pub(super) increases: Vec<Cell>,
}

impl RowState {
    /// The value of any field of the layout.
    pub(super) fn value(&self, field: usize) -> Cell {
        let span = Span {
            start_time_ms: self.start_time_ms,
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
        };
        value(&self.layout, span, field, &self.cells, &self.increases)
    }
}

/// The value of any field of a row with these measured cells and increases.
pub(super) fn value(
    layout: &Layout,
    span: Span,
    field: usize,
    cells: &[Cell],
    increases: &[Cell],
) -> Cell {
    if let Some(cell) = cells.get(field) {
        return *cell;
    }
    let derived = layout.derived().iter().find(|derived| derived.field == field);
    derived.map_or(Cell::ABSENT, |derived| derive(layout, derived, span, increases))
}

/// A group of a chunk, its columns not yet read.
pub(super) struct Group<'a> {
    kind: u64,
    layout: usize,
    slots: Reader<'a>,
}

/// The groups of a chunk, in order.
pub(super) fn groups(bytes: &[u8]) -> impl Iterator<Item = Group<'_>> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let length = reader.number();
        let mut group = reader.part(length);
        let kind = group.varint();
        let layout = if kind & CHANGED != 0 { group.number() } else { usize::MAX };
        Some(Group { kind, layout, slots: group })
    })
}

impl Group<'_> {
    /// Calls `visit` with the places of the slot among the rows, then gives the number of rows and
    /// the columns.
    fn find(&self, slot: u32, mut visit: impl FnMut(usize)) -> (usize, BitReader<'_>) {
        let mut reader = self.slots;
        let rows = reader.number();
        let (mut row, mut expected, slot) = (0, 0_i64, i64::from(slot));
        while row < rows && !reader.is_empty() {
            let first = expected.wrapping_add(unzigzag(reader.varint()));
            let run = reader.number();
            expected = first.wrapping_add_unsigned(run as u64);
            if (first..expected).contains(&slot) {
                visit(row + (slot - first) as usize);
            }
            row = row.saturating_add(run);
        }
        (rows, BitReader::new(reader.rest()))
    }

    /// Places of the slot among the rows, oldest first; hardly ever more than one.
    pub(super) fn places(&self, slot: u32) -> Vec<usize> {
        let mut places = Vec::new();
        self.find(slot, |place| places.push(place));
        places
    }

    /// Works out the row before the one at this place, whose cells are `state`'s and whose
    /// increases are set; `None` when there was none before.
    pub(super) fn row_before(
        &self,
        place: usize,
        state: &mut RowState,
        layouts: &[Arc<Layout>],
    ) -> Option<RowState> {
        let (rows, mut bits) = self.find(u32::MAX, |_| ());
        let mut next = || read_column(&mut bits, rows, place);
        let before = match self.kind & !OTHER_INCREASES {
            FIRST => None,
            NEXT => Some(read_before(state, Arc::clone(&state.layout), true, &mut next)),
            _ => {
                let layout = Arc::clone(layouts.get(self.layout)?);
                Some(read_before(state, layout, false, &mut next))
            }
        };
        let same = before.as_ref().filter(|_| self.kind & NEXT != 0);
        let cells_before = same.map(|before| before.cells.as_slice());
        let others = self.kind & OTHER_INCREASES != 0;
        state.increases.clear();
        for counter in state.layout.counters() {
            let expected = difference(&state.layout, *counter, cells_before, &state.cells);
            let other = if others { next() } else { 0 };
            state.increases.push(Cell::int(raw(expected).wrapping_add(other)));
        }
        before
    }
}

fn read_before(
    state: &RowState,
    layout: Arc<Layout>,
    same_fields: bool,
    next: &mut impl FnMut() -> i64,
) -> RowState {
    let interval_ms = i64::from(state.interval_ms);
    let time_ms = state.time_ms.wrapping_sub(interval_ms.wrapping_add(next()));
    let interval_ms = u32::try_from(interval_ms.wrapping_add(next())).unwrap_or_default();
    let start_time_ms = state.start_time_ms.wrapping_sub(next());
    let cells = layout.measured().iter().enumerate().map(|(index, field)| {
        let stored = next();
        Cell::int(match (same_fields, field.metric.value_type()) {
            (false, _) => stored,
            (true, ValueType::Int64) => raw(state.cells[index]).wrapping_sub(stored),
            (true, ValueType::Double) => raw(state.cells[index]) ^ stored,
        })
    });
    let cells = cells.collect();
    RowState { layout, time_ms, interval_ms, start_time_ms, cells, increases: Vec::new() }
}

/// The bits of a cell, those for no value included.
fn raw(cell: Cell) -> i64 {
    cell.as_int().unwrap_or(i64::MIN)
}

/// What a counter grew by since the row before, when both rows have it and it counts in integers.
fn difference(layout: &Layout, counter: usize, before: Option<&[Cell]>, cells: &[Cell]) -> Cell {
    let before = before.and_then(|before| before[counter].as_int());
    match (layout.measured()[counter].metric.value_type(), before, cells[counter].as_int()) {
        (ValueType::Int64, Some(before), Some(now)) => Cell::int(now.wrapping_sub(before)),
        _ => Cell::ABSENT,
    }
}
