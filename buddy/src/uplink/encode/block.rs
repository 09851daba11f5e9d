//! Rows of one layout in columns.

use heapster_proto::v1::{self, block::Form};
use heapster_shared::{
    row::{Cell, Row},
    schema::{Field, Kind, Layout, ValueType},
    tick::Tick,
};

/// Says of one row's increase that it is not known.
const UNKNOWN: i64 = -1;

/// Collects rows, and writes the shortest of the ways to say them.
pub(super) struct BlockWriter {
    tick: Tick,
    layout: u32,
    form: Form,
    /// Room is made for so many with the first.
    most_rows: usize,
    entities: Vec<i32>,
    last_entity: u32,
    times: Vec<i64>,
    intervals: Vec<i64>,
    columns: Vec<ColumnWriter>,
}

struct ColumnWriter {
    is_real: bool,
    is_counter: bool,
    ints: Vec<i64>,
    reals: Vec<f64>,
    absent: Vec<u8>,
    increases: Vec<i64>,
}

impl BlockWriter {
    pub(super) fn new(
        tick: Tick,
        layout: &Layout,
        layout_id: u32,
        form: Form,
        most_rows: usize,
    ) -> Self {
        let column = |field: &Field| ColumnWriter {
            is_real: field.metric.value_type() == ValueType::Double,
            is_counter: field.metric.kind() == Kind::Cumulative && form == Form::Absolute,
            ints: Vec::new(),
            reals: Vec::new(),
            absent: Vec::new(),
            increases: Vec::new(),
        };
        Self {
            tick,
            layout: layout_id,
            form,
            most_rows,
            entities: Vec::new(),
            last_entity: 0,
            times: Vec::new(),
            intervals: Vec::new(),
            columns: layout.measured().iter().map(column).collect(),
        }
    }

    /// Adds a row; less the cells before, where they are given.
    pub(super) fn push(&mut self, entity: u32, row: &Row<'_>, before: Option<&[Cell]>) {
        let place = self.entities.len();
        if place == 0 {
            self.columns.iter_mut().for_each(|column| column.reserve(self.most_rows));
        }
        self.entities.push(entity.wrapping_sub(self.last_entity).cast_signed());
        self.last_entity = entity;
        self.times.push(row.head.time_ms.saturating_sub(self.tick.0));
        self.intervals.push(i64::from(row.head.interval_ms));
        let mut counters = row.layout.counters().iter().zip(row.increases).peekable();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let earlier = before.map_or(0, |before| before[index].as_int().unwrap_or(0));
            column.push(place, row.cells[index], earlier);
            let counter = counters.next_if(|(counter, _)| **counter == index);
            if column.is_counter {
                let increase = counter.and_then(|(_, increase)| increase.as_int());
                column.increases.push(increase.filter(|grown| *grown >= 0).unwrap_or(UNKNOWN));
            }
        }
    }

    /// The block; `None` without rows.
    pub(super) fn finish(self) -> Option<v1::Block> {
        let rows = self.entities.len();
        (rows > 0).then(|| v1::Block {
            layout: self.layout,
            form: self.form.into(),
            entities: self.entities,
            time_ms: Some(whole(self.times)),
            interval_ms: Some(whole(self.intervals)),
            columns: self.columns.into_iter().map(|column| column.finish(rows)).collect(),
        })
    }
}

impl ColumnWriter {
    fn reserve(&mut self, rows: usize) {
        if self.is_real {
            self.reals.reserve(rows);
        } else {
            self.ints.reserve(rows);
        }
        if self.is_counter {
            self.increases.reserve(rows);
        }
    }

    fn push(&mut self, place: usize, cell: Cell, earlier: i64) {
        if cell.is_absent() {
            self.absent.resize(place / 8 + 1, 0);
            self.absent[place / 8] |= 1 << (place % 8);
        }
        if self.is_real {
            self.reals.push(cell.as_real().unwrap_or(0.0));
        } else {
            self.ints.push(cell.as_int().map_or(0, |now| now.wrapping_sub(earlier)));
        }
    }

    fn finish(mut self, rows: usize) -> v1::Column {
        if !self.absent.is_empty() {
            self.absent.resize(rows.div_ceil(8), 0);
        }
        if self.is_real || self.increases.iter().all(|increase| *increase == UNKNOWN) {
            self.increases.clear();
        }
        shorten(&mut self.ints, 0);
        shorten(&mut self.reals, 0.0);
        v1::Column {
            ints: self.ints,
            reals: self.reals,
            absent: self.absent.into(),
            increases: self.increases,
        }
    }
}

fn whole(mut ints: Vec<i64>) -> v1::Column {
    shorten(&mut ints, 0);
    v1::Column { ints, ..v1::Column::default() }
}

/// One value stands for all where they are the same, and none at all for zeros.
fn shorten<T: PartialEq + Copy>(values: &mut Vec<T>, zero: T) {
    let Some(first) = values.first().copied() else { return };
    if values.iter().all(|value| *value == first) {
        values.truncate(usize::from(first != zero));
    }
}
