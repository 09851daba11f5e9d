//! Documents, read by a reader of JSON.

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    event::Event,
    row::{Block, Cell, RowHead},
    schema::{CustomMetric, Field, Kind, Metric, table},
    tick::Tick,
};
use serde_json::{Value, json};

use super::*;
use crate::{delivery::EventBatch, sinks::elasticsearch::options};

const TIME_MS: i64 = 1_795_345_200_123;

fn encoder(spec: &str, renamed: &str) -> Encoder {
    let (_, _, settings) = options::take(&mut spec.parse().unwrap()).unwrap();
    Encoder::new(settings, Arc::new(LabelRules::new("", renamed).unwrap()))
}

fn custom(name: &str) -> Field {
    let metric = CustomMetric {
        name: name.into(),
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: "".into(),
    };
    Field { metric: Metric::Custom(Arc::new(metric)), labels: None }
}

/// A node with what a volume says beside it, and a value that is infinite.
fn batch(value: f64) -> RowBatch {
    let labels = [("app", "a"), ("app.kubernetes.io/name", "größe \"x\"\n")];
    let entity = EntityTable::default().intern(Definition {
        parent: None,
        level: Level::Node,
        name: "node-a".into(),
        uid: "".into(),
        start_time_ms: 0,
        labels: labels.iter().copied().collect::<Labels>(),
    });
    let layout = Layout::new(vec![
        Field::plain(table::MEMORY_USAGE.def()),
        custom("custom/a.b"),
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
        Field::resource(table::FILESYSTEM_LIMIT.def(), "/"),
    ]);
    let mut block = Block::new(Arc::new(layout));
    let head = RowHead { entity, time_ms: TIME_MS, interval_ms: 0 };
    let cells = [Cell::int(5), Cell::real(value), Cell::int(6), Cell::int(7)];
    block.push(head, &cells, &[]);
    RowBatch { cluster: "lab".into(), tick: Tick(TIME_MS), blocks: vec![block] }
}

/// Pairs of what to do and the document, each with its number of samples.
fn pairs(encoded: &Encoded) -> Vec<(Value, Value, u32)> {
    let mut pairs = Vec::new();
    for body in &encoded.bodies {
        let text = std::str::from_utf8(&body.text).unwrap();
        assert!(text.ends_with('\n'));
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), body.lines.len() * 2);
        for (pair, end) in lines.chunks(2).zip(&body.lines) {
            pairs.push((pair[0].clone(), pair[1].clone(), end.samples));
        }
    }
    pairs
}

fn encode(encoder: &mut Encoder, batch: &RowBatch) -> (Vec<(Value, Value, u32)>, u64) {
    encoder.push_rows(batch);
    let encoded = encoder.finish();
    (pairs(&encoded), encoded.infinite)
}

#[test]
fn a_document_for_each_set_of_labels() {
    let (pairs, infinite) = encode(&mut encoder("elasticsearch", ""), &batch(3.0));
    let labels = json!({"app": "a", "app_kubernetes_io/name": "größe \"x\"\n", "type": "node",
        "nodename": "node-a", "hostname": "node-a", "cluster_name": "lab"});
    let (action, document, samples) = &pairs[0];
    assert_eq!(action["create"]["_index"], "heapster-metrics");
    let expected = json!({"@timestamp": TIME_MS, "labels": labels,
        "metrics": {"memory/usage": 5, "custom/a_b": 3.0}});
    assert_eq!((document, *samples), (&expected, 2));
    let (_, document, samples) = &pairs[1];
    assert_eq!(document["labels"]["resource_id"], "/");
    assert_eq!(document["metrics"], json!({"filesystem/usage": 6, "filesystem/limit": 7}));
    assert_eq!((*samples, pairs.len(), infinite), (2, 2, 0));
}

/// The id of a document is the same from run to run, and no other document's.
#[test]
fn ids_are_those_of_what_is_said() {
    let ids = |spec: &str, batch: &RowBatch| -> Vec<String> {
        let (pairs, _) = encode(&mut encoder(spec, ""), batch);
        pairs.iter().map(|(action, ..)| action["create"]["_id"].to_string()).collect()
    };
    let first = ids("elasticsearch", &batch(3.0));
    assert_eq!(first, ids("elasticsearch", &batch(4.0)));
    let mut other = batch(3.0);
    other.cluster = "other".into();
    let other = ids("elasticsearch", &other);
    assert!(first[0] != first[1] && first[0] != other[0], "{first:?} {other:?}");
}

#[test]
fn infinite_values_are_left_out_and_counted() {
    let (pairs, infinite) = encode(&mut encoder("elasticsearch", ""), &batch(f64::INFINITY));
    assert_eq!(pairs[0].1["metrics"], json!({"memory/usage": 5}));
    assert_eq!((pairs[0].2, infinite), (1, 1));
}

#[test]
fn an_index_a_day_as_the_ancestor_had() {
    let spec = "elasticsearch?index=k8s&cluster_name=mine";
    let mut encoder = encoder(spec, "nodename:node.name");
    let event = Event { uid: "u1".into(), last_unix_ms: TIME_MS, count: 2, ..Event::default() };
    let events = EventBatch { cluster: "lab".into(), events: vec![event.clone(), event] };
    encoder.push_rows(&batch(3.0));
    encoder.push_events(&events);
    let pairs = pairs(&encoder.finish());
    assert_eq!(pairs[0].0["create"]["_index"], "k8s-2026.11.22");
    assert_eq!(pairs[0].1["labels"]["node_name"], "node-a");
    let (action, document, _) = &pairs[2];
    assert_eq!(action["create"]["_index"], "k8s-events-2026.11.22");
    assert_eq!(document["labels"]["cluster_name"], "mine");
    assert_eq!(
        (&document["event"]["count"], &document["@timestamp"]),
        (&2.into(), &TIME_MS.into())
    );
    assert_eq!(action, &pairs[3].0, "an event that is told twice has one id");
}

#[test]
fn bodies_are_of_limited_size() {
    let mut encoder = encoder("elasticsearch?body_bytes=1KiB", "");
    (0..10).for_each(|_| encoder.push_rows(&batch(3.0)));
    let encoded = encoder.finish();
    assert!(encoded.bodies.len() > 4);
    assert!(encoded.bodies.iter().all(|body| body.text.len() < 2048));
}
