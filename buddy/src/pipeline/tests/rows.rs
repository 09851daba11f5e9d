//! Rows as plain values, to be compared.

use std::collections::BTreeMap;

use heapster_shared::{
    row::{Block, Cell, Row},
    schema::Field,
};

/// A row without anything that only tells how it is kept.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct PlainRow {
    pub(super) name: String,
    pub(super) identity: (String, i64),
    pub(super) labels: String,
    pub(super) times: (i64, u32),
    pub(super) cells: BTreeMap<String, Cell>,
    pub(super) increases: BTreeMap<String, Cell>,
}

impl PlainRow {
    pub(super) fn of(row: Row<'_>) -> Self {
        let entity = &row.head.entity;
        let names: Vec<&str> = entity.lineage().map(|entity| entity.name.as_str()).collect();
        let measured = row.layout.measured();
        let counters = row.layout.counters().iter().map(|at| field_name(&measured[*at]));
        Self {
            name: names.join("<"),
            identity: (entity.uid.to_string(), entity.start_time_ms),
            labels: entity.labels.joined(","),
            times: (row.head.time_ms, row.head.interval_ms),
            cells: row.layout.fields().iter().map(field_name).zip(row.cells.to_vec()).collect(),
            increases: counters.zip(row.increases.to_vec()).collect(),
        }
    }
}

pub(super) fn field_name(field: &Field) -> String {
    let labels = field.labels.as_ref().map(|labels| labels.joined(","));
    format!("{} {}", field.metric.name(), labels.unwrap_or_default())
}

/// In the order of their names.
pub(super) fn plain_rows(blocks: &[Block]) -> Vec<PlainRow> {
    let mut rows: Vec<_> = blocks.iter().flat_map(Block::rows).map(PlainRow::of).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}
