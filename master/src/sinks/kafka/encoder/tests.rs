//! Messages, read by readers of JSON and of Protocol Buffers.

use heapster_proto::export::v1 as export;
use heapster_shared::{
    entity::{Definition, EntityTable, Labels},
    row::{Block, Cell, RowHead},
    schema::{Field, table},
    tag,
    tick::Tick,
};
use prost::Message;
use serde_json::{Value, json};

use super::*;

const TIME_MS: i64 = 1_795_345_200_000;
const LIMITS: Limits = Limits { partitions: [4, 1], batch_bytes: 1 << 20 };

fn pod() -> Arc<Entity> {
    EntityTable::default().intern(Definition {
        parent: None,
        level: Level::Pod,
        name: "web-1".into(),
        uid: "u1".into(),
        start_time_ms: TIME_MS - 60_000,
        labels: [(tag::NAMESPACE_NAME, "shop")].iter().copied().collect::<Labels>(),
    })
}

fn batch(rate: f64) -> RowBatch {
    let layout = Layout::new(vec![
        Field::plain(table::MEMORY_USAGE.def()),
        Field::plain(table::NETWORK_RX_RATE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:\"a\""),
    ]);
    let mut block = Block::new(Arc::new(layout));
    let head = RowHead { entity: pod(), time_ms: TIME_MS, interval_ms: 0 };
    block.push(head, &[Cell::int(-5), Cell::real(rate), Cell::int(7)], &[]);
    RowBatch { cluster: "lab".into(), tick: Tick(TIME_MS), blocks: vec![block] }
}

fn encoder(spec: &str) -> Encoder {
    let (_, options) = Options::take(&mut spec.parse().unwrap()).unwrap();
    Encoder::new(&options, Arc::default())
}

/// The keys and messages of batches that are not compressed.
fn messages(batch: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        usize::try_from(value >> 1).unwrap()
    }
    fn text(bytes: &mut &[u8]) -> Vec<u8> {
        let length = varint(bytes);
        let (text, rest) = bytes.split_at(length);
        *bytes = rest;
        text.to_vec()
    }
    let mut bytes = &batch[61..];
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        varint(&mut bytes);
        bytes = &bytes[1..];
        varint(&mut bytes);
        varint(&mut bytes);
        messages.push((text(&mut bytes), text(&mut bytes)));
        varint(&mut bytes);
    }
    messages
}

#[test]
fn a_sample_is_the_ancestors_message() {
    let mut encoder = encoder("kafka?compression=none");
    encoder.push_rows(&batch(3.0), LIMITS);
    let encoded = encoder.finish();
    let [one] = encoded.batches.as_slice() else { panic!("one partition") };
    let key = b"lab/pod/shop/web-1";
    let place = partition::place(partition::hash(key), 4);
    assert_eq!((one.topic.as_str(), one.partition as usize), ("heapster-metrics", place));
    let messages = messages(&one.batch.bytes);
    // Three that were measured, and the uptime.
    assert_eq!((messages.len(), one.batch.samples, encoded.infinite), (4, 4, 0));
    assert!(messages.iter().all(|(found, _)| found == key));
    let values: Vec<Value> =
        messages.iter().map(|(_, text)| serde_json::from_slice(text).unwrap()).collect();
    let mut tags = json!({"cluster_name": "lab", "type": "pod", "pod_name": "web-1",
        "pod_id": "u1", "namespace_name": "shop"});
    let expected = json!({"MetricsName": "memory/usage", "MetricsValue": {"value": -5},
        "MetricsTimestamp": "2026-11-22T11:00:00Z", "MetricsTags": tags});
    assert_eq!(values[0], expected);
    assert_eq!(values[1]["MetricsValue"]["value"], 3.0);
    tags["resource_id"] = "Volume:\"a\"".into();
    assert_eq!(values[2]["MetricsTags"], tags);
}

#[test]
fn a_row_is_a_message_that_protobuf_reads() {
    let mut encoder = encoder("kafka?compression=none&format=protobuf&cluster_name=mine");
    encoder.push_rows(&batch(f64::INFINITY), LIMITS);
    let encoded = encoder.finish();
    let messages = messages(&encoded.batches[0].batch.bytes);
    let row = export::Row::decode(messages[0].1.as_slice()).unwrap();
    assert_eq!((row.cluster.as_str(), row.time_unix_ms), ("mine", TIME_MS));
    assert_eq!((row.start_unix_ms, row.labels["pod_name"].as_str()), (TIME_MS - 60_000, "web-1"));
    let value = |at: usize| row.samples[at].value.unwrap();
    assert_eq!(row.samples[0].metric, "memory/usage");
    assert_eq!(value(0), export::sample::Value::Whole(-5));
    assert_eq!(value(1), export::sample::Value::Real(f64::INFINITY));
    assert_eq!(row.samples[2].labels["resource_id"], "Volume:\"a\"");
    assert_eq!((row.samples.len(), encoded.batches[0].batch.samples), (4, 4));
}

#[test]
fn infinite_values_have_no_json() {
    let mut encoder = encoder("kafka");
    encoder.push_rows(&batch(f64::INFINITY), LIMITS);
    let encoded = encoder.finish();
    assert_eq!((encoded.batches[0].batch.samples, encoded.infinite), (3, 1));
}

#[test]
fn batches_are_of_limited_size_and_keep_their_order() {
    let mut encoder = encoder("kafka?compression=none");
    let limits = Limits { batch_bytes: 2_000, ..LIMITS };
    (0..20).for_each(|_| encoder.push_rows(&batch(1.0), limits));
    let encoded = encoder.finish();
    assert!(encoded.batches.len() > 5);
    assert!(encoded.batches.iter().all(|one| one.batch.bytes.len() < 4_000));
    let samples: u64 = encoded.batches.iter().map(|one| one.batch.samples).sum();
    assert_eq!(samples, 80);
}
