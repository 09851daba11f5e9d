//! Rows as messages of `heapster.export.v1.Row`, written straight from their cells.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row},
    schema::{Field, Layout, ValueType},
};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::sinks::LabelRules;

/// The numbers of the fields of a row.
const CLUSTER: u32 = 1;
const TIME: u32 = 2;
const START: u32 = 3;
const ROW_LABEL: u32 = 4;
const SAMPLE: u32 = 5;
/// Those of a sample.
const METRIC: u32 = 1;
const WHOLE: u32 = 2;
const REAL: u32 = 3;
const SAMPLE_LABEL: u32 = 4;

/// What is the same in all samples of a field: its metric and labels.
#[derive(Debug)]
pub(super) struct SamplePlan {
    value_type: ValueType,
    begin: Vec<u8>,
}

pub(super) fn plan(layout: &Layout, rules: &LabelRules) -> Arc<[SamplePlan]> {
    layout.fields().iter().map(|field| sample_plan(field, rules)).collect()
}

fn sample_plan(field: &Field, rules: &LabelRules) -> SamplePlan {
    let mut begin = Vec::new();
    text(METRIC, field.metric.name(), &mut begin);
    for (name, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if let Some(name) = rules.name(name) {
            label(SAMPLE_LABEL, name, value, &mut begin);
        }
    }
    SamplePlan { value_type: field.metric.value_type(), begin }
}

/// The labels of an entity; its cluster has a field of its own.
pub(super) fn labels(_cluster: &str, entity: &Entity, rules: &LabelRules) -> Vec<u8> {
    let mut out = Vec::new();
    rules.visit("", entity, |name, value| label(ROW_LABEL, name, value, &mut out));
    out
}

/// Hands the message of a row on; says how many infinite values were left out: there is a word for
/// them here, so none is.
pub(super) fn message(
    cluster: &str,
    row: &Row<'_>,
    plans: &[SamplePlan],
    labels: &[u8],
    out: &mut Vec<u8>,
    put: &mut impl FnMut(&[u8], u32),
) -> u64 {
    out.clear();
    text(CLUSTER, cluster, out);
    fixed(TIME, row.head.time_ms, out);
    if row.head.entity.start_time_ms != 0 {
        fixed(START, row.head.entity.start_time_ms, out);
    }
    out.extend_from_slice(labels);
    let mut samples = 0;
    for (plan, cell) in plans.iter().zip(row.cells) {
        if !cell.is_absent() {
            sample(plan, *cell, out);
            samples += 1;
        }
    }
    if samples > 0 {
        put(out, samples);
    }
    0
}

fn sample(plan: &SamplePlan, cell: Cell, out: &mut Vec<u8>) {
    encode_key(SAMPLE, WireType::LengthDelimited, out);
    match plan.value_type {
        ValueType::Int64 => {
            let value = cell.as_int().unwrap_or_default();
            let zigzag = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
            encode_varint((plan.begin.len() + 1 + encoded_len_varint(zigzag)) as u64, out);
            out.extend_from_slice(&plan.begin);
            encode_key(WHOLE, WireType::Varint, out);
            encode_varint(zigzag, out);
        }
        ValueType::Double => {
            encode_varint((plan.begin.len() + 9) as u64, out);
            out.extend_from_slice(&plan.begin);
            encode_key(REAL, WireType::SixtyFourBit, out);
            out.extend_from_slice(&cell.as_real().unwrap_or_default().to_le_bytes());
        }
    }
}

fn text(field: u32, value: &str, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

fn fixed(field: u32, value: i64, out: &mut Vec<u8>) {
    encode_key(field, WireType::SixtyFourBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// An entry of a map, which is a message of a key and a value.
fn label(field: u32, name: &str, value: &str, out: &mut Vec<u8>) {
    let mut entry = Vec::with_capacity(name.len() + value.len() + 8);
    text(1, name, &mut entry);
    text(2, value, &mut entry);
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(entry.len() as u64, out);
    out.extend_from_slice(&entry);
}
