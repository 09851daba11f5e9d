//! What the ancestor said of the recorded cluster.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

const EXPORT: &str = include_str!("../../testdata/enrichment/metric-export.json");
pub(crate) const NODE_METRICS: &str = include_str!("../../testdata/enrichment/node-metrics.json");
const MEASUREMENTS: &str = include_str!("../../testdata/enrichment/measurements.json");
const CPU_USAGE_RATE: &str = include_str!("../../testdata/enrichment/cpu-usage-rate.json");

/// An entry of `/api/v1/metric-export`.
#[derive(Deserialize)]
pub(crate) struct Entry {
    pub(crate) metrics: BTreeMap<String, Vec<Point>>,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(crate) struct Point {
    start: Timestamp,
    pub(crate) value: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Point {
    pub(crate) fn resource_id(&self) -> String {
        self.labels.get("resource_id").cloned().unwrap_or_default()
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.start.as_millisecond()
    }
}

pub(crate) fn export() -> Vec<Entry> {
    serde_json::from_str(EXPORT).unwrap()
}

/// A list of names.
pub(crate) fn names(text: &str) -> BTreeSet<String> {
    serde_json::from_str(text).unwrap()
}

/// Of InfluxDB, whose first answer of several is `SHOW MEASUREMENTS`.
pub(crate) fn measurements() -> BTreeSet<String> {
    let answer: Value =
        serde_json::Deserializer::from_str(MEASUREMENTS).into_iter().next().unwrap().unwrap();
    let rows = answer.pointer("/results/0/series/0/values").and_then(Value::as_array).unwrap();
    rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

/// The tags of the points of one measurement, without that of the cluster, which the sink adds.
pub(crate) fn rows_in_influxdb() -> Vec<BTreeMap<String, String>> {
    let answer: Value = serde_json::from_str(CPU_USAGE_RATE).unwrap();
    let series = answer.pointer("/results/0/series/0").unwrap();
    let columns: Vec<String> = serde_json::from_value(series["columns"].clone()).unwrap();
    let tags = |row: &Value| {
        let pairs = columns.iter().zip(row.as_array().unwrap());
        let pairs =
            pairs.filter(|(name, _)| !matches!(&***name, "time" | "value" | "cluster_name"));
        let known =
            pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        known.collect()
    };
    series["values"].as_array().unwrap().iter().map(tags).collect()
}
