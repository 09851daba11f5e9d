//! The prometheus sink and real receivers: a Prometheus and a VictoriaMetrics, each asked for every
//! sample that was written.

use std::collections::BTreeMap;

use heapster_master::delivery::{Outcome, Payload};
use heapster_shared::{entity::Level, row::Block, tag, tick::Tick};
use heapster_testkit::{
    peer::{Prometheus, VictoriaMetrics},
    real_peer,
};
use serde_json::Value;

use crate::{
    remote_write_proto::Labels,
    support::{START_MS, entities, offer, rows, settled, start, status},
};

/// Labels and time of a sample, and its value.
pub(crate) type Samples = BTreeMap<(Labels, i64), f64>;

const OPTIONS: &str = "required=true&flush_interval=1ms";

/// What receivers should have of these payloads, worked out without the sink's own table of names.
pub(crate) fn wanted(payloads: &[Payload]) -> Samples {
    let mut samples = Samples::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(Block::rows) {
            for (field, cell) in row.samples() {
                let (name, divisor) = name_of(field.metric.name());
                let level = match row.head.entity.level {
                    Level::Node => "node",
                    Level::PodContainer => "container",
                    other => panic!("{other}"),
                };
                let mut labels = Labels::from([
                    ("__name__".to_owned(), format!("heapster_{level}_{name}")),
                    ("cluster_name".to_owned(), batch.cluster.to_string()),
                ]);
                tag::visit(&row.head.entity, |name, value| {
                    if !["type", "hostname", "host_id", "namespace_id"].contains(&name) {
                        labels.insert(name.into(), value.into());
                    }
                });
                for (name, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
                    labels.insert(name.into(), value.into());
                }
                let value = cell.to_real(field.metric.value_type()).unwrap() / divisor;
                assert!(samples.insert((labels, row.head.time_ms), value).is_none());
            }
        }
    }
    samples
}

fn name_of(metric: &str) -> (&'static str, f64) {
    match metric {
        "cpu/usage" => ("cpu_usage_seconds_total", 1e9),
        "cpu/usage_rate" => ("cpu_usage_cores", 1e3),
        "filesystem/usage" => ("filesystem_usage_bytes", 1.0),
        "memory/usage" => ("memory_usage_bytes", 1.0),
        "network/rx_rate" => ("network_rx_bytes_per_second", 1.0),
        "uptime" => ("uptime_seconds_total", 1e3),
        other => panic!("name `{other}` here"),
    }
}

fn labels(series: &Value) -> Labels {
    let labels = series["metric"].as_object().unwrap().iter();
    labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

async fn write_all(url: &str, payloads: &[Payload]) {
    let sink = start(&format!("prometheus:{url}?{OPTIONS}"));
    for payload in payloads {
        let outcome = settled(offer(&sink, payload.clone()).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    }
}

/// Every sample is there with its labels, its own time and its exact value, also when a part is
/// written again.
#[actix::test]
async fn prometheus_has_every_sample() {
    let prometheus = real_peer!(Prometheus::start());
    let entities = entities();
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities, number)).collect();
    write_all(&prometheus.url(), &payloads).await;
    write_all(&prometheus.url(), &payloads[2..]).await;
    let mut found = Samples::new();
    let answer = prometheus.query("{__name__!=\"\"}[10m]", START_MS + 120_000).await.unwrap();
    for series in &answer {
        for sample in series["values"].as_array().unwrap() {
            let time_ms = (sample[0].as_f64().unwrap() * 1e3).round() as i64;
            let value = sample[1].as_str().unwrap().parse().unwrap();
            assert!(found.insert((labels(series), time_ms), value).is_none());
        }
    }
    assert_eq!(found, wanted(&payloads));
}

/// What two rounds lack is gone at once, where it would linger for five minutes without a marker.
#[actix::test]
async fn prometheus_knows_what_is_gone() {
    let prometheus = real_peer!(Prometheus::start());
    let entities = entities();
    let end = |number: i64| Payload::RoundEnd {
        cluster: "lab".into(),
        tick: Tick(START_MS + number * 15_000),
    };
    let payloads = [
        rows(&entities, 0),
        end(0),
        rows(&entities[..2], 1),
        end(1),
        rows(&entities[..2], 2),
        end(2),
    ];
    write_all(&prometheus.url(), &payloads).await;
    let ask = async |at_ms| {
        let answer = prometheus.query("heapster_container_memory_usage_bytes", at_ms).await;
        let answer = answer.unwrap();
        let name = |series| labels(series).remove("container_name").unwrap();
        let mut names: Vec<String> = answer.iter().map(name).collect();
        names.sort();
        names
    };
    assert_eq!(ask(START_MS + 102).await, ["main", "side car"], "as long as it was there");
    assert_eq!(ask(START_MS + 31_000).await, ["main"]);
}

#[actix::test]
async fn victoria_metrics_has_every_sample() {
    let victoria = real_peer!(VictoriaMetrics::start());
    let entities = entities();
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities, number)).collect();
    write_all(&victoria.url(), &payloads).await;
    let mut found = Samples::new();
    for series in victoria.export("{__name__!=\"\"}").await.unwrap() {
        let times = series["timestamps"].as_array().unwrap();
        for (time, value) in times.iter().zip(series["values"].as_array().unwrap()) {
            let key = (labels(&series), time.as_i64().unwrap());
            assert!(found.insert(key, value.as_f64().unwrap()).is_none());
        }
    }
    let wanted = wanted(&payloads);
    for (key, value) in &wanted {
        let found = found.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        // It keeps twelve decimal digits, not the bits of a double.
        assert!((found - value).abs() <= value.abs() * 1e-11, "{key:?}: {found}, not {value}");
    }
    assert_eq!(found.len(), wanted.len());
}
