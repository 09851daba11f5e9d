//! How the fields of a layout become lines, worked out once for each layout.

use std::sync::Arc;

use heapster_shared::schema::{Field, Kind, Layout, ValueType};

use super::escape;
use crate::sinks::LabelRules;

/// How metrics and labels are named in the database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Schema {
    /// `cpu/usage_rate` is field `usage_rate` of measurement `cpu`, not field `value` of
    /// measurement `cpu/usage_rate`.
    pub(super) with_fields: bool,
    /// Counters are left out.
    pub(super) without_counters: bool,
    /// Which labels are written, and under which names.
    pub(super) labels: Arc<LabelRules>,
}

/// The lines that a row of a layout becomes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) lines: Vec<LinePlan>,
}

/// One line.
#[derive(Debug)]
pub(super) struct LinePlan {
    /// The measurement, escaped.
    pub(super) measurement: Vec<u8>,
    /// The tags that tell fields of one metric apart, escaped, each with a comma in front.
    pub(super) labels: Vec<u8>,
    pub(super) fields: Vec<FieldPlan>,
}

/// One field of a line.
#[derive(Debug)]
pub(super) struct FieldPlan {
    /// Where its cell is.
    pub(super) index: usize,
    /// Its key, escaped, with the equals sign.
    pub(super) key: Vec<u8>,
    /// Integers are written as such, so that a field keeps its type.
    pub(super) value_type: ValueType,
}

impl Plan {
    pub(super) fn new(layout: &Layout, schema: &Schema) -> Self {
        let mut lines: Vec<LinePlan> = Vec::new();
        for (index, field) in layout.fields().iter().enumerate() {
            if schema.without_counters && field.metric.kind() == Kind::Cumulative {
                continue;
            }
            let (measurement, key) = place(field.metric.name(), schema);
            let labels = labels(field, &schema.labels);
            let field = FieldPlan { index, key, value_type: field.metric.value_type() };
            let same = |line: &&mut LinePlan| {
                line.measurement == measurement
                    && line.labels == labels
                    && line.fields.iter().all(|other| other.key != field.key)
            };
            match lines.iter_mut().find(same) {
                Some(line) => line.fields.push(field),
                None => lines.push(LinePlan { measurement, labels, fields: vec![field] }),
            }
        }
        Self { lines }
    }
}

/// The measurement and the field key of a metric. A name without a slash has nothing to split, and
/// keeps the field `value`.
fn place(name: &str, schema: &Schema) -> (Vec<u8>, Vec<u8>) {
    let split = name.split_once('/').filter(|_| schema.with_fields);
    let (group, what) = split.unwrap_or((name, "value"));
    let (mut measurement, mut key) = (Vec::new(), Vec::new());
    escape::measurement(group, &mut measurement);
    escape::key(what, &mut key);
    key.push(b'=');
    (measurement, key)
}

fn labels(field: &Field, rules: &LabelRules) -> Vec<u8> {
    let mut out = Vec::new();
    for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if let Some(name) = rules.name(label) {
            super::encoder::tag(name, value, &mut out);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use heapster_shared::schema::table;

    use super::*;

    fn lines(schema: &Schema) -> Vec<String> {
        let layout = Layout::new(vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::plain(table::CPU_LIMIT.def()),
            Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
            Field::resource(table::FILESYSTEM_LIMIT.def(), "/"),
            Field::resource(table::FILESYSTEM_USAGE.def(), "/data 1"),
        ]);
        let line = |line: &LinePlan| {
            let keys: Vec<_> = line.fields.iter().map(|field| utf8(&field.key)).collect();
            format!("{}{} {}", utf8(&line.measurement), utf8(&line.labels), keys.join(","))
        };
        Plan::new(&layout, schema).lines.iter().map(line).collect()
    }

    fn utf8(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_measurement_a_metric() {
        let expected = [
            "cpu/usage value=",
            "cpu/limit value=",
            "filesystem/usage,resource_id=/ value=",
            "filesystem/limit,resource_id=/ value=",
            "filesystem/usage,resource_id=/data\\ 1 value=",
            "cpu/usage_rate value=",
            "uptime value=",
        ];
        assert_eq!(lines(&Schema::default()), expected);
    }

    #[test]
    fn fields_of_one_group_and_resource_share_a_line() {
        let schema = Schema { with_fields: true, ..Schema::default() };
        let expected = [
            "cpu usage=,limit=,usage_rate=",
            "filesystem,resource_id=/ usage=,limit=",
            "filesystem,resource_id=/data\\ 1 usage=",
            "uptime value=",
        ];
        assert_eq!(lines(&schema), expected);
    }

    #[test]
    fn counters_can_be_left_out() {
        let schema = Schema { with_fields: true, without_counters: true, ..Schema::default() };
        assert_eq!(lines(&schema)[0], "cpu limit=,usage_rate=");
        assert!(!lines(&schema).iter().any(|line| line.starts_with("uptime")));
    }
}
