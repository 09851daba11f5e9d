//! `heapster standalone` from a cAdvisor into real databases: what they have is what the API says.

use std::time::{Duration, Instant};

use heapster_testkit::{
    peer::{Influxdb, VictoriaMetrics},
    process::Process,
    real_peer,
    sim::pod_name,
};
use serde_json::Value;

use crate::support::{Api, Lab, Point, SOON, eventually, heapster};

const METRICS: [&str; 5] =
    ["cpu/usage", "cpu/usage_rate", "memory/working_set", "uptime", "network/rx"];

/// A standalone of the first host of a lab, with a sink; and its API.
fn standalone(lab: &Lab, sink: &str) -> (Process, Api) {
    let host = &lab.sim.hosts()[0];
    let source = format!("cadvisor:http://{}:{}?name={}", host.address, host.port, host.name);
    let fixed = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"];
    let mut process = heapster(&[&fixed[..], &["--source", &source, "--sink", sink]].concat());
    let line = process.line("page   http://127.0.0.1:", SOON).unwrap();
    let url = line[line.find("http://").unwrap()..].trim_end_matches('/');
    (process, Api(url.to_owned()))
}

/// What the API says of the node and of a container, each with the condition by which a database
/// finds it. The container has no network of its own.
fn things() -> [(&'static str, String, &'static [&'static str]); 2] {
    let pod = pod_name(0, 0, 0);
    [
        ("node", "nodes/sim-00000".to_owned(), &METRICS),
        ("pod_container", format!("namespaces/default/pods/{pod}/containers/app"), &METRICS[..4]),
    ]
}

/// Each point that the API had at a time is among those that a database has.
fn assert_has(found: &[Point], wanted: &[Point], what: &str) {
    for point in wanted {
        // Doubles come back with their last digits rounded.
        let same =
            |(time, value): &&Point| *time == point.0 && (value - point.1).abs() <= point.1 * 1e-11;
        assert!(found.iter().any(|other| same(&other)), "{what}: no {point:?} in {found:?}");
    }
}

async fn influxdb_points(influxdb: &Influxdb, metric: &str, of: &str) -> Vec<Point> {
    let condition = format!("type = '{of}' AND (container_name = 'app' OR type = 'node')");
    let statement = format!("SELECT value FROM \"{metric}\" WHERE {condition}");
    let answer = influxdb.query("k8s", &statement).await.unwrap();
    let values = answer["results"][0]["series"][0]["values"].as_array().cloned();
    let point = |row: &Value| (row[0].as_i64().unwrap(), row[1].as_f64().unwrap());
    values.unwrap_or_default().iter().map(point).collect()
}

/// The database is made, and has the values that the API has, at the same times.
#[tokio::test(flavor = "multi_thread")]
async fn influxdb_has_what_the_api_says() {
    let influxdb = real_peer!(Influxdb::start());
    let lab = Lab::start(1, 1, 1).await;
    let (mut process, api) = standalone(&lab, &format!("influxdb:{}?db=k8s", influxdb.url()));
    let mut wanted = Vec::new();
    for (of, path, metrics) in things() {
        for metric in metrics {
            let points = api.points(&format!("/api/v1/model/{path}/metrics/{metric}"), 3);
            wanted.push((of, *metric, points));
        }
    }
    // An orderly end writes what still waits.
    assert!(process.terminate(SOON).unwrap().success(), "{}", process.output());
    for (of, metric, points) in wanted {
        let found = influxdb_points(&influxdb, metric, of).await;
        assert_has(&found, &points, &format!("{metric} of {of}"));
    }
}

async fn victoria_points(victoria: &VictoriaMetrics, metric: &str, of: &str) -> Vec<Point> {
    let matching = format!("{{__name__=\"{metric}_value\",type=\"{of}\"}}");
    let series = victoria.export(&matching).await.unwrap();
    let Some(series) = series.first() else { return Vec::new() };
    let (times, values) = (series["timestamps"].as_array(), series["values"].as_array());
    let pairs = times.unwrap().iter().zip(values.unwrap());
    pairs.map(|(time, value)| (time.as_i64().unwrap(), value.as_f64().unwrap())).collect()
}

/// The same over the API of InfluxDB 2, as VictoriaMetrics serves it.
#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_has_what_the_api_says() {
    let victoria = real_peer!(VictoriaMetrics::start());
    let lab = Lab::start(1, 1, 1).await;
    let sink = format!("influxdb:{}?org=o&bucket=b&token=t", victoria.url());
    let (mut process, api) = standalone(&lab, &sink);
    let (of, path, _) = things()[1].clone();
    let points = api.points(&format!("/api/v1/model/{path}/metrics/cpu/usage_rate"), 3);
    assert!(process.terminate(SOON).unwrap().success(), "{}", process.output());
    // It makes what it was sent visible after a while.
    let deadline = Instant::now() + SOON;
    let mut found = Vec::new();
    while found.len() < points.len() && Instant::now() < deadline {
        found = victoria_points(&victoria, "cpu/usage_rate", of).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_has(&found, &points, "cpu/usage_rate");
}

/// A database that is not there is named with what is wrong, on the page and in the log, and the
/// API works all the same; a wrong token is the same kind of trouble, and is never shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_named() {
    let lab = Lab::start(1, 1, 1).await;
    let [port] = heapster_testkit::peer::free_ports().unwrap();
    let sink = format!("influxdb:http://127.0.0.1:{port}?db=k8s&pw=sesame&retry_longest=1s");
    let (process, api) = standalone(&lab, &sink);
    let page = api.validate_says("is retrying: ");
    assert!(page.contains("onnection refused"), "{page}");
    api.points("/api/v1/model/nodes/sim-00000/metrics/uptime", 3);
    eventually(
        || process.output().contains("write failed, trying again").then_some(()),
        || process.output(),
    );
    assert!(!process.output().contains("sesame") && !page.contains("sesame"));
}
