//! How a row is written into a chunk: as its difference to the entity's row before.
//!
//! ```text
//! row       = flags(1) [layout varint]    with ABSOLUTE: index among the chunk's layouts
//!             time signed                 less the time expected: the row before and its interval;
//!                                         with ABSOLUTE: less the chunk's tick
//!             [interval varint]           with INTERVAL: it is not the time since the row before
//!             [start signed]              with START: the entity's start moved by this much
//!             changed(fields / 8)         one bit a measured field
//!             value...                    of each changed field: an integer as signed difference,
//!                                         a double as the XOR with the one before
//!             [other(counters / 8)        with INCREASES: one bit a counter whose increase is not
//!              increase...]               the difference to the row before; 0 for none, else 1 +
//!                                         zigzag
//! ```
//!
//! Only measured cells are kept; rates and uptime are worked out again by whoever reads. An absent
//! cell is the number that a cell stands for it with, and counts as zero where a difference to it
//! is taken.

use std::sync::Arc;

use heapster_shared::{
    row::{Cell, Row, Span, derive},
    schema::{Layout, ValueType},
};

use super::bytes::{Reader, put_middle, put_signed, put_varint, unzigzag, zigzag};

const ABSOLUTE: u8 = 1;
const INTERVAL: u8 = 2;
const START: u8 = 4;
const INCREASES: u8 = 8;

/// An entity's row, measured cells only.
#[derive(Clone, Debug)]
pub(super) struct RowState {
    pub(super) layout: Arc<Layout>,
    pub(super) time_ms: i64,
    pub(super) interval_ms: u32,
    pub(super) start_time_ms: i64,
    pub(super) cells: Box<[Cell]>,
}

impl RowState {
    /// The measured part of a row.
    pub(super) fn of(layout: &Arc<Layout>, row: &Row<'_>) -> Self {
        Self {
            layout: Arc::clone(layout),
            time_ms: row.head.time_ms,
            interval_ms: row.head.interval_ms,
            start_time_ms: row.head.entity.start_time_ms,
            cells: row.cells[..layout.measured().len()].into(),
        }
    }

    /// A row of nothing, that an absolute row is the difference to.
    fn empty(layout: Arc<Layout>, tick_ms: i64) -> Self {
        let cells = vec![Cell::ABSENT; layout.measured().len()].into_boxed_slice();
        Self { layout, time_ms: tick_ms, interval_ms: 0, start_time_ms: 0, cells }
    }

    /// Memory beyond the value itself.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.cells)
    }

    /// The value of any field of the layout.
    pub(super) fn value(&self, field: usize, increases: &[Cell]) -> Cell {
        if let Some(cell) = self.cells.get(field) {
            return *cell;
        }
        let derived = self.layout.derived().iter().find(|derived| derived.field == field);
        let span = Span {
            start_time_ms: self.start_time_ms,
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
        };
        derived.map_or(Cell::ABSENT, |derived| derive(&self.layout, derived, span, increases))
    }
}

/// Whether rows of these layouts have the same measured fields.
pub(super) fn same_layout(a: &Arc<Layout>, b: &Arc<Layout>) -> bool {
    Arc::ptr_eq(a, b) || a.measured() == b.measured()
}

/// Appends a row. With `before`, it has the same fields as the row; without, `layout` is the index
/// of the row's layout in the chunk.
pub(super) fn put_row(
    out: &mut Vec<u8>,
    row: &Row<'_>,
    before: Option<&RowState>,
    tick_ms: i64,
    layout: usize,
) {
    let flags_at = out.len();
    out.push(0);
    let mut flags = 0;
    if before.is_none() {
        flags |= ABSOLUTE;
        put_varint(out, layout as u64);
    }
    put_signed(out, row.head.time_ms.wrapping_sub(expected_time(before, tick_ms)));
    if row.head.interval_ms != expected_interval(before, row.head.time_ms) {
        flags |= INTERVAL;
        put_varint(out, u64::from(row.head.interval_ms));
    }
    let start_before = before.map_or(0, |before| before.start_time_ms);
    if row.head.entity.start_time_ms != start_before {
        flags |= START;
        put_signed(out, row.head.entity.start_time_ms.wrapping_sub(start_before));
    }
    put_cells(out, row, before);
    if put_increases(out, row, before) {
        flags |= INCREASES;
    }
    out[flags_at] = flags;
}

fn put_cells(out: &mut Vec<u8>, row: &Row<'_>, before: Option<&RowState>) {
    let fields = row.layout.measured();
    let changed_at = out.len();
    out.resize(changed_at + fields.len().div_ceil(8), 0);
    for (index, (field, cell)) in fields.iter().zip(row.cells).enumerate() {
        let cell_before = before.map_or(Cell::ABSENT, |before| before.cells[index]);
        if *cell == cell_before {
            continue;
        }
        out[changed_at + index / 8] |= 1 << (index % 8);
        let base = cell_before.as_int().unwrap_or_default();
        match field.metric.value_type() {
            ValueType::Int64 => put_signed(out, raw(*cell).wrapping_sub(base)),
            ValueType::Double => put_middle(out, (raw(*cell) ^ base).cast_unsigned()),
        }
    }
}

/// Appends the increases that do not follow from the cells; says whether there are any.
fn put_increases(out: &mut Vec<u8>, row: &Row<'_>, before: Option<&RowState>) -> bool {
    let cell_before = |counter: usize| before.map_or(Cell::ABSENT, |before| before.cells[counter]);
    let follows = |position: usize, counter: usize| {
        row.increases[position] == difference(row.layout, counter, cell_before(counter), row.cells)
    };
    let counters = row.layout.counters();
    if counters.iter().enumerate().all(|(position, counter)| follows(position, *counter)) {
        return false;
    }
    let other_at = out.len();
    out.resize(other_at + counters.len().div_ceil(8), 0);
    for (position, counter) in counters.iter().enumerate() {
        if !follows(position, *counter) {
            out[other_at + position / 8] |= 1 << (position % 8);
            // The zigzag of a cell with a value is never the greatest number, so that 1 fits.
            let code = row.increases[position].as_int().map_or(0, |value| zigzag(value) + 1);
            put_varint(out, code);
        }
    }
    true
}

/// Reads a row on top of the entity's row before; its increases go to `increases`.
pub(super) fn read_row(
    mut bytes: Reader<'_>,
    state: &mut Option<RowState>,
    tick_ms: i64,
    layouts: &[Arc<Layout>],
    increases: &mut Vec<Cell>,
) {
    let flags = bytes.byte();
    let absolute = flags & ABSOLUTE != 0;
    if absolute {
        let index = usize::try_from(bytes.varint()).unwrap_or(usize::MAX);
        *state = layouts.get(index).map(|layout| RowState::empty(Arc::clone(layout), tick_ms));
    }
    let Some(state) = state else { return };
    let expected = state.time_ms.wrapping_add(i64::from(state.interval_ms));
    let time_ms = expected.wrapping_add(bytes.signed());
    state.interval_ms = if flags & INTERVAL != 0 {
        u32::try_from(bytes.varint()).unwrap_or_default()
    } else if absolute {
        0
    } else {
        elapsed(state.time_ms, time_ms)
    };
    state.time_ms = time_ms;
    if flags & START != 0 {
        state.start_time_ms = state.start_time_ms.wrapping_add(bytes.signed());
    }
    increases.clear();
    read_cells(&mut bytes, state, increases);
    if flags & INCREASES != 0 {
        read_increases(&mut bytes, increases);
    }
}

/// Reads the changed cells, and works out the increases that follow from them.
fn read_cells(bytes: &mut Reader<'_>, state: &mut RowState, increases: &mut Vec<Cell>) {
    let layout = Arc::clone(&state.layout);
    let fields = layout.measured();
    let mut counters = layout.counters().iter().peekable();
    let changed = bytes.slice(fields.len().div_ceil(8));
    for (index, field) in fields.iter().enumerate() {
        let before = state.cells[index];
        if changed.get(index / 8).is_some_and(|bits| bits & (1 << (index % 8)) != 0) {
            let base = before.as_int().unwrap_or_default();
            state.cells[index] = Cell::int(match field.metric.value_type() {
                ValueType::Int64 => base.wrapping_add(bytes.signed()),
                ValueType::Double => base ^ bytes.middle().cast_signed(),
            });
        }
        if counters.next_if(|counter| **counter == index).is_some() {
            increases.push(difference(&layout, index, before, &state.cells));
        }
    }
}

fn read_increases(bytes: &mut Reader<'_>, increases: &mut [Cell]) {
    let other = bytes.slice(increases.len().div_ceil(8));
    for (position, increase) in increases.iter_mut().enumerate() {
        if other.get(position / 8).is_some_and(|bits| bits & (1 << (position % 8)) != 0) {
            let code = bytes.varint();
            *increase = code.checked_sub(1).map_or(Cell::ABSENT, |code| Cell::int(unzigzag(code)));
        }
    }
}

/// The bits of a cell, those for no value included.
fn raw(cell: Cell) -> i64 {
    cell.as_int().unwrap_or(i64::MIN)
}

/// What a counter grew by since the row before, when both rows have it and it counts in integers.
fn difference(layout: &Layout, counter: usize, before: Cell, cells: &[Cell]) -> Cell {
    match (layout.measured()[counter].metric.value_type(), before.as_int(), cells[counter].as_int())
    {
        (ValueType::Int64, Some(before), Some(now)) => Cell::int(now.wrapping_sub(before)),
        _ => Cell::ABSENT,
    }
}

fn expected_time(before: Option<&RowState>, tick_ms: i64) -> i64 {
    before.map_or(tick_ms, |before| before.time_ms.wrapping_add(i64::from(before.interval_ms)))
}

fn expected_interval(before: Option<&RowState>, time_ms: i64) -> u32 {
    before.map_or(0, |before| elapsed(before.time_ms, time_ms))
}

fn elapsed(from_ms: i64, to_ms: i64) -> u32 {
    to_ms.checked_sub(from_ms).and_then(|elapsed| u32::try_from(elapsed).ok()).unwrap_or(0)
}
