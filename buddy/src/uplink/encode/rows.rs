//! The newest row of each entity, by layout, and rows on their way into a block.

use heapster_proto::v1::block::Form;
use heapster_shared::{
    row::{Cell, Row},
    schema::{Kind, Layout, ValueType},
    tick::Tick,
};

/// What matters of a measured field.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldKind {
    pub(super) is_real: bool,
    pub(super) is_counter: bool,
}

/// Rows of one form, cells row by row: `cells[row * fields + field]`.
#[derive(Debug)]
pub(super) struct RowsOfForm {
    pub(super) form: Form,
    pub(super) ids: Vec<u32>,
    /// Less the tick.
    pub(super) times: Vec<i64>,
    pub(super) intervals: Vec<i64>,
    pub(super) cells: Vec<Cell>,
    /// Counters of a row.
    pub(super) counters: usize,
    pub(super) increases: Vec<Cell>,
}

impl RowsOfForm {
    pub(super) const fn new(form: Form) -> Self {
        Self {
            form,
            ids: Vec::new(),
            times: Vec::new(),
            intervals: Vec::new(),
            cells: Vec::new(),
            counters: 0,
            increases: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.times.clear();
        self.intervals.clear();
        self.cells.clear();
        self.increases.clear();
    }

    /// Adds all of a row but its cells.
    pub(super) fn push_head(&mut self, id: u32, row: &Row<'_>, tick: Tick) {
        self.ids.push(id);
        self.times.push(row.head.time_ms.saturating_sub(tick.0));
        self.intervals.push(i64::from(row.head.interval_ms));
        self.counters = row.increases.len();
        if self.form == Form::Absolute {
            self.increases.extend_from_slice(row.increases);
        }
    }
}

/// The newest rows of one layout: of each entity the integers alone, one row after the other.
#[derive(Debug)]
pub(super) struct NewestRows {
    fields: Box<[FieldKind]>,
    /// Integers of a row.
    width: usize,
    /// By place: the entity's id; 0 where the place is free.
    ids: Vec<u32>,
    free: Vec<u32>,
    integers: Vec<Cell>,
    /// By place: number of the newest group of rows that the entity was in.
    groups: Vec<u32>,
}

impl NewestRows {
    pub(super) fn new(layout: &Layout) -> Self {
        let kind = |field: &heapster_shared::schema::Field| FieldKind {
            is_real: field.metric.value_type() == ValueType::Double,
            is_counter: field.metric.kind() == Kind::Cumulative,
        };
        let fields: Box<[FieldKind]> = layout.measured().iter().map(kind).collect();
        Self {
            width: fields.iter().filter(|field| !field.is_real).count(),
            fields,
            ids: Vec::new(),
            free: Vec::new(),
            integers: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub(super) fn fields(&self) -> &[FieldKind] {
        &self.fields
    }

    /// The entity that has this place.
    pub(super) fn id_at(&self, place: u32) -> Option<u32> {
        self.ids.get(place as usize).copied()
    }

    /// A place for an entity, whose row has to be put there next.
    pub(super) fn take_place(&mut self, id: u32) -> u32 {
        if let Some(place) = self.free.pop() {
            self.ids[place as usize] = id;
            return place;
        }
        let place = self.ids.len() as u32;
        self.ids.push(id);
        self.groups.push(0);
        // By eighths, because this is the largest part of what is kept.
        if self.integers.capacity() < self.integers.len() + self.width {
            self.integers.reserve_exact((self.integers.len() / 8).max(16 * self.width));
        }
        self.integers.resize(self.integers.len() + self.width, Cell::ABSENT);
        place
    }

    pub(super) fn free_place(&mut self, place: u32) {
        self.ids[place as usize] = 0;
        self.free.push(place);
    }

    /// Notes that the entity at this place is in this group of rows; whether it was already.
    pub(super) fn joins(&mut self, place: u32, group: u32) -> bool {
        std::mem::replace(&mut self.groups[place as usize], group) == group
    }

    /// Adds the row's cells less the row before, or leaves `cells` as it was where the row cannot
    /// be written so and still be read exactly.
    pub(super) fn differences(&self, place: u32, row: &Row<'_>, cells: &mut Vec<Cell>) -> bool {
        let start = cells.len();
        let mut before = self.integers_of(place).iter();
        let mut increases = row.increases.iter();
        for (field, now) in self.fields.iter().zip(row.cells) {
            let increase = if field.is_counter { increases.next() } else { None };
            if field.is_real {
                cells.push(*now);
                continue;
            }
            let earlier = before.next().copied().unwrap_or(Cell::ABSENT);
            if now.is_absent() {
                cells.push(*now);
                continue;
            }
            let difference = difference(*now, earlier).filter(|difference| {
                let as_known = |grown: &Cell| row.head.interval_ms > 0 && grown == difference;
                increase.is_none_or(as_known)
            });
            let Some(difference) = difference else {
                cells.truncate(start);
                return false;
            };
            cells.push(difference);
        }
        true
    }

    /// Keeps a row for the next one to be compared to.
    pub(super) fn keep(&mut self, place: u32, row: &Row<'_>) {
        let start = place as usize * self.width;
        let kept = &mut self.integers[start..start + self.width];
        let integers = self.fields.iter().zip(row.cells).filter(|(field, _)| !field.is_real);
        for (kept, (_, cell)) in kept.iter_mut().zip(integers) {
            *kept = *cell;
        }
    }

    /// Adds the newest rows of the places in this range as they are, without their times; real
    /// values as zeros.
    pub(super) fn copy_to(&self, rows: &mut RowsOfForm, places: std::ops::Range<usize>) {
        for place in places.filter(|place| self.ids[*place] > 0) {
            rows.ids.push(self.ids[place]);
            rows.times.push(0);
            rows.intervals.push(0);
            let mut integers = self.integers_of(place as u32).iter().copied();
            let cell = |field: &FieldKind| match field.is_real {
                true => Cell::real(0.0),
                false => integers.next().unwrap_or(Cell::ABSENT),
            };
            rows.cells.extend(self.fields.iter().map(cell));
        }
        rows.counters = self.fields.iter().filter(|field| field.is_counter).count();
        rows.increases.resize(rows.ids.len() * rows.counters, Cell::ABSENT);
    }

    /// Number of places, free ones included.
    pub(super) fn places(&self) -> usize {
        self.ids.len()
    }

    /// Memory that it takes.
    pub(super) fn size(&self) -> usize {
        self.integers.len() * size_of::<Cell>() + self.ids.len() * 8 + self.free.len() * 4
    }

    fn integers_of(&self, place: u32) -> &[Cell] {
        let start = place as usize * self.width;
        &self.integers[start..start + self.width]
    }
}

/// What was added since; none where it is not known, or no cell can say it.
fn difference(now: Cell, earlier: Cell) -> Option<Cell> {
    let difference = Cell::int(now.as_int()?.checked_sub(earlier.as_int()?)?);
    (!difference.is_absent()).then_some(difference)
}
