//! The otlp sink and a receiver that knows the protocol from OpenTelemetry's own definitions, over
//! HTTP and gRPC.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heapster_master::delivery::{Outcome, Payload};
use heapster_shared::{entity::Level, row::Block};
use heapster_testkit::{peer::OtlpReceiver, real_peer};
use serde_json::{Value, json};

use crate::support::{START_MS, entities, offer, rows, samples, settled, start, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";

/// Name, resource, attributes and time of a point.
type Key = (String, String, String, i64);

/// What a point is beside: unit, kind, whether it only grows, start, and value.
type Point = (String, String, bool, i64, f64);

fn spec(receiver: &OtlpReceiver, over: &str) -> String {
    match over {
        "grpc" => format!("otlp:{}?protocol=grpc&{FAST}", receiver.grpc_url()),
        _ => format!("otlp:{}?{FAST}", receiver.http_url()),
    }
}

fn found(state: &Value) -> BTreeMap<Key, Point> {
    let mut points = BTreeMap::new();
    for point in state["points"].as_array().unwrap() {
        let text = |name: &str| point[name].as_str().unwrap().to_owned();
        let resource = &point["resource"];
        let resource = format!(
            "{}/{}/{}",
            resource["k8s.cluster.name"].as_str().unwrap_or_default(),
            resource["k8s.node.name"].as_str().unwrap_or_default(),
            resource["k8s.container.name"].as_str().unwrap_or_default(),
        );
        let time_ms = point["time_ms"].as_i64().unwrap();
        let key = (text("name"), resource, point["attributes"].to_string(), time_ms);
        let start_ms = point["start_ms"].as_i64().unwrap();
        let grows = point["monotonic"].as_bool().unwrap();
        let value = (text("unit"), text("kind"), grows, start_ms, point["value"].as_f64().unwrap());
        assert!(points.insert(key, value).is_none(), "twice: {point}");
    }
    points
}

/// What the receiver should have, worked out without the sink's own table of names.
fn wanted(payloads: &[Payload]) -> BTreeMap<Key, Point> {
    let mut points = BTreeMap::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(Block::rows) {
            let entity = &row.head.entity;
            let is_node = entity.level == Level::Node;
            let container = if is_node { "" } else { entity.name.as_str() };
            let resource = format!("lab/node-a/{container}");
            for (field, cell) in row.samples() {
                let id = field.labels.as_ref().and_then(|labels| labels.get("resource_id"));
                let metric = (field.metric.name(), is_node, id);
                let (name, unit, kind, divisor, attributes) = name_of(metric);
                let value = cell.to_real(field.metric.value_type()).unwrap() / divisor;
                let start_ms = if kind == "counter" { START_MS - 60_000 } else { 0 };
                let grows = kind == "counter";
                let kind = if kind == "gauge" { "gauge" } else { "sum" };
                let key = (name.into(), resource.clone(), attributes.to_string(), row.head.time_ms);
                points.insert(key, (unit.into(), kind.into(), grows, start_ms, value));
            }
        }
    }
    points
}

/// Name, unit, instrument, divisor and attributes.
fn name_of(
    metric: (&str, bool, Option<&str>),
) -> (&'static str, &'static str, &'static str, f64, Value) {
    let none = json!({});
    match metric {
        ("cpu/usage", true, _) => ("k8s.node.cpu.time", "s", "counter", 1e9, none),
        ("cpu/usage", false, _) => ("container.cpu.time", "s", "counter", 1e9, none),
        ("cpu/usage_rate", true, _) => ("k8s.node.cpu.usage", "{cpu}", "gauge", 1e3, none),
        ("cpu/usage_rate", false, _) => ("container.cpu.usage", "{cpu}", "gauge", 1e3, none),
        ("memory/usage", true, _) => ("k8s.node.memory.usage", "By", "updown", 1.0, none),
        ("memory/usage", false, _) => ("container.memory.usage", "By", "updown", 1.0, none),
        ("network/rx_rate", true, _) => {
            ("heapster.node.network.rx_rate", "1/s", "gauge", 1.0, none)
        }
        ("network/rx_rate", false, _) => {
            ("heapster.container.network.rx_rate", "1/s", "gauge", 1.0, none)
        }
        ("uptime", true, _) => ("k8s.node.uptime", "s", "gauge", 1e3, none),
        ("uptime", false, _) => ("container.uptime", "s", "gauge", 1e3, none),
        ("filesystem/usage", true, Some("/")) => {
            ("k8s.node.filesystem.usage", "By", "updown", 1.0, none)
        }
        ("filesystem/usage", false, Some("/")) => {
            ("container.filesystem.usage", "By", "updown", 1.0, none)
        }
        ("filesystem/usage", true, Some(id)) => {
            let id = json!({ "resource_id": id });
            ("heapster.node.filesystem.usage", "By", "gauge", 1.0, id)
        }
        ("filesystem/usage", false, Some(id)) => {
            let id = json!({ "resource_id": id });
            ("heapster.container.filesystem.usage", "By", "gauge", 1.0, id)
        }
        other => panic!("name {other:?} here"),
    }
}

/// Every point is there under its name by the conventions, and the receiver finds nothing to complain
/// of, also when each request is small.
#[actix::test]
async fn every_point_is_as_the_conventions_have_it() {
    let entities = entities();
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities, number)).collect();
    for over in ["http", "grpc"] {
        for options in ["&token=s3cret", "&token=s3cret&body_bytes=800B&gzip=false"] {
            let receiver = real_peer!(OtlpReceiver::start());
            let sink = start(&format!("{}{options}", spec(&receiver, over)));
            for payload in &payloads {
                let outcome = settled(offer(&sink, payload.clone()).await).await;
                let status = until(&sink, |_| true).await;
                assert_eq!(outcome, Outcome::Delivered, "{status:?}");
            }
            let state = receiver.state().await.unwrap();
            assert_eq!(state["complaints"], json!([]), "{over}");
            assert_eq!(found(&state), wanted(&payloads), "{over}");
            let requests = state["requests"].as_array().unwrap();
            for request in requests {
                assert_eq!(request["over"], over);
                assert_eq!(request["authorization"], "Bearer s3cret");
            }
            assert!(requests.len() >= if options.contains("800B") { 6 } else { 1 });
            let point = &state["points"][0]["resource"];
            assert_eq!(point["k8s.cluster.name"], "lab");
            assert_eq!(point["heapster.labels"], "arch:amd64");
        }
    }
}

/// A receiver that cannot take it now is asked again, after the wait that it asks for.
#[actix::test]
async fn a_busy_receiver_is_waited_for() {
    for (over, code) in [("http", 429), ("grpc", 14)] {
        let receiver = real_peer!(OtlpReceiver::start());
        let sink = start(&spec(&receiver, over));
        receiver.answer_next(&json!({ "code": code, "wait": 1 })).await.unwrap();
        let begin = Instant::now();
        let payload = rows(&entities(), 0);
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
        assert!(begin.elapsed() >= Duration::from_secs(1), "{over}: {:?}", begin.elapsed());
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.delivered, status.retries), (samples(&payload), 1), "{over}");
    }
}

/// What is refused, in part or wholly, is counted and not sent again.
#[actix::test]
async fn refused_points_are_counted() {
    for (over, code) in [("http", 400), ("grpc", 3)] {
        let receiver = real_peer!(OtlpReceiver::start());
        let sink = start(&spec(&receiver, over));
        let payload = rows(&entities(), 0);
        receiver.answer_next(&json!({ "rejected": 2 })).await.unwrap();
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
        let status = until(&sink, |status| status.delivered > 0).await;
        assert_eq!((status.delivered, status.rejected), (samples(&payload) - 2, 2), "{over}");
        assert!(status.last_error.contains("too old"), "{status:?}");

        receiver.answer_next(&json!({ "code": code })).await.unwrap();
        let outcome = settled(offer(&sink, payload.clone()).await).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{over}: {outcome:?}");
        let status = until(&sink, |_| true).await;
        assert_eq!((status.rejected, status.retries), (samples(&payload) + 2, 0), "{over}");
    }
}

/// A receiver of gRPC that says that a request is too large gets it in halves.
#[actix::test]
async fn what_is_too_large_is_parted() {
    let receiver = real_peer!(OtlpReceiver::start());
    let sink = start(&spec(&receiver, "grpc"));
    receiver.answer_next(&json!({ "code": 8 })).await.unwrap();
    let payload = rows(&entities(), 0);
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let state = receiver.state().await.unwrap();
    assert_eq!(state["requests"].as_array().unwrap().len(), 3);
    assert_eq!(found(&state), wanted(&[payload]));
}

/// A receiver of gRPC that is not there is waited for.
#[actix::test]
async fn nobody_at_the_address_is_no_loss() {
    let sink = start(&format!("otlp:http://127.0.0.1:9?protocol=grpc&{FAST}"));
    let mut outcome = offer(&sink, rows(&entities(), 0)).await;
    let status = until(&sink, |status| status.retries >= 2).await;
    assert!(status.last_error.contains("cannot reach OTLP receiver at 127.0.0.1:9"), "{status:?}");
    assert!(outcome.try_recv().is_err());
}
