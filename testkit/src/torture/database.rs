//! What the databases have of the counter that the oracle asks for.

use serde_json::Value;

use crate::peer::{Influxdb, VictoriaMetrics};

/// A sample of a container.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Point {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) time_ms: i64,
    pub(super) value: f64,
}

const TAGS: [&str; 4] = ["cluster_name", "nodename", "pod_name", "container_name"];

/// Every sample of `cpu/usage`.
pub(super) async fn influxdb(influxdb: &Influxdb) -> anyhow::Result<Vec<Point>> {
    points_of(influxdb, "cpu/usage").await
}

/// Every sample of `cpu/usage_rate`, which the master worked out.
pub(super) async fn rates(influxdb: &Influxdb) -> anyhow::Result<Vec<Point>> {
    points_of(influxdb, "cpu/usage_rate").await
}

async fn points_of(influxdb: &Influxdb, metric: &str) -> anyhow::Result<Vec<Point>> {
    let tags = TAGS.join(",");
    let statement =
        format!("SELECT value FROM \"{metric}\" WHERE type = 'pod_container' GROUP BY {tags}");
    // Before the first write there is no such database.
    let answer = match influxdb.query("k8s", &statement).await {
        Err(error) if error.to_string().contains("database not found") => return Ok(Vec::new()),
        answer => answer?,
    };
    let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let mut points = Vec::new();
    for one in &series {
        let values = one["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        points.extend(values.iter().filter_map(|row| point(&one["tags"], &row[0], &row[1])));
    }
    Ok(points)
}

/// Every sample of `cpu/usage`, as often as it was written.
pub(super) async fn victoria_metrics(victoria: &VictoriaMetrics) -> anyhow::Result<Vec<Point>> {
    let matching = r#"{__name__="cpu/usage_value",type="pod_container"}"#;
    let series = victoria.export(matching).await?;
    let mut points = Vec::new();
    for one in &series {
        let (Some(times), Some(values)) = (one["timestamps"].as_array(), one["values"].as_array())
        else {
            anyhow::bail!("an export of another form: {one}");
        };
        let pairs = times.iter().zip(values);
        points.extend(pairs.filter_map(|(time, value)| point(&one["metric"], time, value)));
    }
    Ok(points)
}

fn point(tags: &Value, time: &Value, value: &Value) -> Option<Point> {
    let [cluster, node, pod, container] =
        TAGS.map(|tag| tags[tag].as_str().unwrap_or_default().to_owned());
    let (time_ms, value) = (time.as_i64()?, value.as_f64()?);
    Some(Point { cluster, node, pod, container, time_ms, value })
}
