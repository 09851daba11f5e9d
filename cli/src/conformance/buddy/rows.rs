//! The shape of a block: columns as long as they have to be, and of the kind that the layout says.

use heapster_proto::v1::{self, Block, block::Form};

use super::{
    ROWS,
    reader::{Breach, Column},
};

/// Holds a block against its layout.
pub(super) fn check(block: &Block, columns: &[Column], found: &mut Vec<Breach>) {
    let count = block.entities.len();
    let mut wrong = |what: String| found.push((ROWS, what));
    if block.columns.len() != columns.len() {
        return wrong(format!(
            "a block has {} columns, and its layout {} has {} fields",
            block.columns.len(),
            block.layout,
            columns.len()
        ));
    }
    for (name, times) in [("time_ms", &block.time_ms), ("interval_ms", &block.interval_ms)] {
        let ints = times.as_ref().map_or(0, |column| column.ints.len());
        if !is_length(ints, count) {
            wrong(format!("{name} has {ints} values for {count} rows"));
        }
    }
    let intervals = block.interval_ms.as_ref().map(|column| column.ints.as_slice());
    if intervals.unwrap_or_default().iter().any(|interval| *interval < 0) {
        wrong("an interval_ms is below 0".to_owned());
    }
    let is_absolute = block.form() == Form::Absolute;
    for (place, (column, kind)) in block.columns.iter().zip(columns).enumerate() {
        if let Some(what) = wrong_with(column, *kind, count, is_absolute) {
            wrong(format!("column {place} {what}"));
        }
    }
}

/// One value stands for all rows, and none for zeros.
const fn is_length(values: usize, rows: usize) -> bool {
    values <= 1 || values == rows
}

fn wrong_with(column: &v1::Column, kind: Column, rows: usize, absolute: bool) -> Option<String> {
    let (ints, reals, increases) = (column.ints.len(), column.reals.len(), column.increases.len());
    if !is_length(ints, rows) || !is_length(reals, rows) {
        return Some(format!("has {} values for {rows} rows", ints.max(reals)));
    }
    if column.absent.len() > rows.div_ceil(8) {
        return Some(format!("has {} bytes of absent for {rows} rows", column.absent.len()));
    }
    if increases != 0 && increases != rows {
        return Some(format!("has {increases} increases for {rows} rows"));
    }
    match kind {
        Column::Real if ints > 0 => Some("is of a real metric and has ints".to_owned()),
        Column::Counter | Column::Gauge if reals > 0 => {
            Some("is of an integer metric and has reals".to_owned())
        }
        Column::Gauge | Column::Real if increases > 0 => {
            Some("is of no counter and has increases".to_owned())
        }
        Column::Counter if increases > 0 && !absolute => {
            Some("has increases beside a DIFFERENCE, which is one itself".to_owned())
        }
        _ => None,
    }
}
