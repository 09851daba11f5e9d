//! The ancestor's messages: one a sample.
//!
//! ```json
//! {"MetricsName":"cpu/usage","MetricsValue":{"value":9},"MetricsTimestamp":"2026-11-22T11:00:00Z","MetricsTags":{"type":"node"}}
//! ```

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::Row,
    schema::{Layout, ValueType},
};

use crate::sinks::{LabelRules, json, json_text};

/// What is the same in all messages of a field.
#[derive(Debug)]
pub(super) struct SamplePlan {
    value_type: ValueType,
    /// Up to the value.
    begin: Vec<u8>,
    labels: Vec<u8>,
}

pub(super) fn plan(layout: &Layout, rules: &LabelRules) -> Arc<[SamplePlan]> {
    let plans = layout.fields().iter().map(|field| {
        let mut begin = b"{\"MetricsName\":".to_vec();
        json::text(field.metric.name(), &mut begin);
        begin.extend_from_slice(b",\"MetricsValue\":{\"value\":");
        let labels = json_text::field_labels(field, rules, json_text::unchanged);
        SamplePlan { value_type: field.metric.value_type(), begin, labels }
    });
    plans.collect()
}

pub(super) fn labels(cluster: &str, entity: &Entity, rules: &LabelRules) -> Vec<u8> {
    json_text::labels(cluster, entity, rules, json_text::unchanged)
}

/// Hands each message of a row on; says how many infinite values were left out.
pub(super) fn messages(
    row: &Row<'_>,
    plans: &[SamplePlan],
    time: &str,
    labels: &[u8],
    out: &mut Vec<u8>,
    put: &mut impl FnMut(&[u8], u32),
) -> u64 {
    let mut infinite = 0;
    for (plan, cell) in plans.iter().zip(row.cells) {
        if cell.is_absent() {
            continue;
        }
        out.clear();
        out.extend_from_slice(&plan.begin);
        if !json::number(*cell, plan.value_type, out) {
            infinite += 1;
            continue;
        }
        out.extend_from_slice(b"},\"MetricsTimestamp\":\"");
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b"\",\"MetricsTags\":{");
        json_text::join(labels, &plan.labels, out);
        out.extend_from_slice(b"}}");
        put(out, 1);
    }
    infinite
}
