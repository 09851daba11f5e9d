//! What a sink's peer has of rows that are written twice: docs/reliability.md says the same.

use heapster_master::delivery::{Outcome, Payload};
use heapster_testkit::{
    peer::{Influxdb, VictoriaMetrics},
    real_peer,
};

use crate::support::{entities, offer, rows, samples, settled, start};

const FAST: &str = "required=true&flush_interval=1ms";

/// Writes the same rows twice, as a replay would.
async fn write_twice(spec: &str) -> Payload {
    // Without the one whose backslashes VictoriaMetrics reads in its own way.
    let entities: Vec<_> = entities().into_iter().filter(|entity| entity.name != "main").collect();
    let payload = rows(&entities, 0);
    let joint = if spec.contains('?') { '&' } else { '?' };
    let sink = start(&format!("{spec}{joint}{FAST}"));
    for _ in 0..2 {
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    }
    payload
}

/// InfluxDB knows a point by its series and time: there is one of each.
#[actix::test]
async fn influxdb_has_one_of_each() {
    let influxdb = real_peer!(Influxdb::start());
    let payload = write_twice(&format!("influxdb:{}", influxdb.url())).await;
    let answer = influxdb.query("k8s", "SELECT COUNT(value) FROM /.*/").await.unwrap();
    let series = answer["results"][0]["series"].as_array().unwrap();
    let counts = series.iter().map(|series| series["values"][0][1].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), samples(&payload));
}

/// VictoriaMetrics keeps both, of the same time and value, unless it is told to deduplicate.
#[actix::test]
async fn victoria_metrics_keeps_both_of_the_same_value() {
    let victoria = real_peer!(VictoriaMetrics::start());
    let payload = write_twice(&format!("influxdb:{}", victoria.url())).await;
    let series = victoria.export("{__name__!=\"\"}").await.unwrap();
    assert_eq!(series.len() as u64, samples(&payload));
    for series in &series {
        let pairs = |key: &str| series[key].as_array().unwrap().clone();
        let (times, values) = (pairs("timestamps"), pairs("values"));
        assert!(times.iter().all(|time| *time == times[0]), "{series}");
        assert!(values.iter().all(|value| *value == values[0]), "{series}");
        assert_eq!(times.len(), 2, "{series}");
    }
}

/// A file of lines has each twice, with the same time.
#[actix::test]
async fn a_log_has_each_line_twice() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_twice(&format!("log:{}?format=json", file.path().display())).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    assert!(!first.is_empty() && first == second, "{text}");
}
