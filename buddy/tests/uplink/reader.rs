//! A small reader of segments, written from the protocol's comments alone.

use std::collections::HashMap;

use heapster_proto::v1::{self, block::Form, field::What, frame::Kind};
use heapster_shared::schema::{self, MetricId, ValueType, table};

/// What a segment has defined so far.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) entities: HashMap<u32, v1::Entity>,
    pub(crate) layouts: HashMap<u32, v1::Layout>,
    before: HashMap<(u32, u32), Vec<Option<i64>>>,
}

/// A row as it was measured.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ReadRow {
    /// Names from the node down.
    pub(crate) path: String,
    pub(crate) time_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) cells: Vec<Value>,
    /// One an integer counter.
    pub(crate) increases: Vec<Option<i64>>,
    pub(crate) is_difference: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value {
    Int(i64),
    Real(f64),
    Absent,
}

impl Reader {
    /// Reads one frame.
    pub(crate) fn frame(&mut self, kind: &Kind) -> Vec<ReadRow> {
        match kind {
            Kind::Open(_) => *self = Self::default(),
            Kind::Define(define) => self.define(define),
            Kind::Batch(batch) => {
                let blocks = batch.blocks.iter();
                let tick = i64::try_from(batch.tick_unix_ms).unwrap();
                return blocks.flat_map(|block| self.block(tick, block)).collect();
            }
            Kind::Events(_) | Kind::RoundEnd(_) => {}
        }
        Vec::new()
    }

    fn define(&mut self, define: &v1::Define) {
        for entity in &define.entities {
            assert!(entity.parent == 0 || self.entities.contains_key(&entity.parent), "parent");
            assert!(self.entities.insert(entity.id, entity.clone()).is_none(), "defined twice");
        }
        for layout in &define.layouts {
            assert!(self.layouts.insert(layout.id, layout.clone()).is_none(), "defined twice");
        }
        for ended in &define.ended {
            assert!(self.entities.remove(ended).is_some(), "ended what is not there");
        }
    }

    fn block(&mut self, tick_ms: i64, block: &v1::Block) -> Vec<ReadRow> {
        let count = block.entities.len();
        let layout = self.layouts[&block.layout].clone();
        assert_eq!(layout.fields.len(), block.columns.len());
        let times = ints(block.time_ms.as_ref().unwrap(), count);
        let intervals = ints(block.interval_ms.as_ref().unwrap(), count);
        let mut id = 0_u32;
        let mut rows = Vec::new();
        for index in 0..count {
            id = id.wrapping_add_signed(block.entities[index]);
            let mut row = ReadRow {
                path: self.path(id),
                time_ms: tick_ms + times[index],
                interval_ms: intervals[index],
                cells: Vec::new(),
                increases: Vec::new(),
                is_difference: block.form() == Form::Difference,
            };
            let mut running = vec![None; layout.fields.len()];
            let before = self.before.get(&(id, block.layout)).cloned();
            for (place, (field, column)) in layout.fields.iter().zip(&block.columns).enumerate() {
                let earlier = before.as_ref().and_then(|before| before[place]);
                let now = cell(&mut row, field, column, index, count, earlier);
                running[place] = now;
            }
            assert!(block.form() == Form::Absolute || before.is_some(), "no row before");
            self.before.insert((id, block.layout), running);
            rows.push(row);
        }
        rows
    }

    fn path(&self, id: u32) -> String {
        let entity = &self.entities[&id];
        match entity.parent {
            0 => entity.name.clone(),
            parent => format!("{}/{}", self.path(parent), entity.name),
        }
    }
}

/// Adds one value to a row; returns it where it is an integer.
fn cell(
    row: &mut ReadRow,
    field: &v1::Field,
    column: &v1::Column,
    index: usize,
    count: usize,
    earlier: Option<i64>,
) -> Option<i64> {
    let (is_counter, is_real) = kind(field);
    let is_absent = column.absent.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1);
    if is_real {
        let value =
            if is_absent { Value::Absent } else { Value::Real(reals(column, count)[index]) };
        row.cells.push(value);
        return None;
    }
    let written = ints(column, count)[index];
    if is_absent {
        row.cells.push(Value::Absent);
        if is_counter {
            row.increases.push(None);
        }
        return None;
    }
    let now = if row.is_difference {
        earlier.expect("a difference to a value that is not there") + written
    } else {
        written
    };
    row.cells.push(Value::Int(now));
    if is_counter && row.is_difference {
        row.increases.push(Some(written));
    } else if is_counter {
        row.increases.push(column.increases.get(index).copied().filter(|grown| *grown >= 0));
    }
    Some(now)
}

fn kind(field: &v1::Field) -> (bool, bool) {
    match field.what.as_ref().unwrap() {
        What::Metric(id) => {
            let def = table::by_id(MetricId(*id)).unwrap();
            (def.kind == schema::Kind::Cumulative, def.value_type == ValueType::Double)
        }
        What::Custom(custom) => (custom.cumulative, custom.real),
    }
}

fn ints(column: &v1::Column, count: usize) -> Vec<i64> {
    expanded(&column.ints, count, 0)
}

fn reals(column: &v1::Column, count: usize) -> Vec<f64> {
    expanded(&column.reals, count, 0.0)
}

fn expanded<T: Copy>(values: &[T], count: usize, zero: T) -> Vec<T> {
    match values {
        [] => vec![zero; count],
        [one] => vec![*one; count],
        all => {
            assert_eq!(all.len(), count);
            all.to_vec()
        }
    }
}
