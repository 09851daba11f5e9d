//! Descriptions of custom metrics. Without one, Cloud Monitoring makes its own of the first point,
//! which has no unit and no words.

use heapster_shared::schema::{Kind, Metric, Unit, ValueType};
use serde_json::{Value, json};

/// What a custom metric is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Descriptor {
    /// Metric type.
    pub(super) name: String,
    body: Value,
}

impl Descriptor {
    /// Of a metric whose series have labels with these keys.
    pub(super) fn new(name: String, metric: &Metric, mut keys: Vec<String>) -> Self {
        keys.sort();
        keys.dedup();
        let labels: Vec<Value> =
            keys.iter().map(|key| json!({"key": key, "valueType": "STRING"})).collect();
        let kind = match metric.kind() {
            Kind::Cumulative => "CUMULATIVE",
            Kind::Gauge => "GAUGE",
        };
        let value_type = match metric.value_type() {
            ValueType::Int64 => "INT64",
            ValueType::Double => "DOUBLE",
        };
        let (unit, description) = match metric {
            Metric::Known(def) => (unit(def.unit), def.description),
            Metric::Custom(_) => ("", "Measured by the workload itself."),
        };
        let mut body = json!({
            "type": name,
            "metricKind": kind,
            "valueType": value_type,
            "description": description,
            "displayName": metric.name(),
            "labels": labels,
        });
        if !unit.is_empty() {
            body["unit"] = unit.into();
        }
        Self { name, body }
    }

    /// As a request carries it.
    pub(super) fn to_json(&self) -> String {
        self.body.to_string()
    }
}

/// A unit in the Unified Code for Units of Measure, as far as Google takes it.
const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count | Unit::Ratio => "1",
        Unit::Bytes => "By",
        Unit::Milliseconds => "ms",
        Unit::Nanoseconds => "ns",
        // It has no CPUs, and its prefixes need a unit.
        Unit::Millicores => "{millicores}",
        Unit::Percent => "%",
        Unit::PerSecond => "1/s",
    }
}
