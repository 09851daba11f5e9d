//! The kafka sink and a real broker, read back by a client of another author's.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_proto::export::v1 as export;
use heapster_shared::event::Event;
use heapster_testkit::{
    peer::{Kafka, KafkaRecord},
    real_peer,
};
use prost::Message;
use serde_json::Value;

use crate::support::{START_MS, entities, offer, rows, samples, settled, start, status, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=20ms&retry_longest=200ms";

fn value(record: &KafkaRecord) -> Vec<u8> {
    BASE64_STANDARD.decode(&record.value).unwrap()
}

/// Metric, time and labels of a sample, and its value as text.
type Samples = BTreeMap<(String, i64, BTreeMap<String, String>), String>;

fn expected(payloads: &[Payload]) -> Samples {
    let mut samples = BTreeMap::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(|block| block.rows()) {
            for (field, cell) in row.samples() {
                let mut labels =
                    BTreeMap::from([("cluster_name".into(), batch.cluster.to_string())]);
                let fields = field.labels.iter().flat_map(|labels| labels.iter());
                fields.for_each(|(name, value)| drop(labels.insert(name.into(), value.into())));
                heapster_shared::tag::visit(&row.head.entity, |name, value| {
                    labels.insert(name.into(), value.into());
                });
                let key = (field.metric.name().into(), row.head.time_ms, labels);
                samples.insert(key, cell.to_json(field.metric.value_type()).to_string());
            }
        }
    }
    samples
}

fn of_json(record: &KafkaRecord) -> Samples {
    let message: Value = serde_json::from_slice(&value(record)).unwrap();
    let time: jiff::Timestamp = message["MetricsTimestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(time.as_millisecond(), record.time_ms);
    let labels = serde_json::from_value(message["MetricsTags"].clone()).unwrap();
    let metric = message["MetricsName"].as_str().unwrap().to_owned();
    BTreeMap::from([(
        (metric, record.time_ms, labels),
        message["MetricsValue"]["value"].to_string(),
    )])
}

fn of_protobuf(record: &KafkaRecord) -> Samples {
    let row = export::Row::decode(value(record).as_slice()).unwrap();
    let samples = row.samples.into_iter().map(|sample| {
        let mut labels: BTreeMap<String, String> = sample.labels.into_iter().collect();
        labels.extend(row.labels.clone());
        labels.insert("cluster_name".into(), row.cluster.clone());
        let value: Value = match sample.value.unwrap() {
            export::sample::Value::Whole(value) => value.into(),
            export::sample::Value::Real(value) => value.into(),
        };
        ((sample.metric, row.time_unix_ms, labels), value.to_string())
    });
    samples.collect()
}

/// In each compression and form the reader finds every sample once, in a topic that the sink made.
#[actix::test]
async fn what_is_written_is_read_back() {
    let kafka = real_peer!(Kafka::start());
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities(), number)).collect();
    let wanted: u64 = payloads.iter().map(samples).sum();
    for (format, compression) in
        [("json", "none"), ("json", "gzip"), ("json", "snappy"), ("json", "lz4"), ("json", "zstd")]
    {
        let topic = format!("{format}-{compression}");
        let own = format!(
            "format={format}&compression={compression}&timeseriestopic={topic}&partitions=3"
        );
        let sink = start(&format!("kafka:{}?{own}&{FAST}", kafka.address()));
        for payload in &payloads {
            let outcome = settled(offer(&sink, payload.clone()).await).await;
            assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
        }
        assert_eq!(status(&sink).await.delivered, wanted);
        let records = kafka.read(&topic).await.unwrap();
        assert_eq!(records.len() as u64, wanted, "{topic}");
        let found: Samples = records.iter().flat_map(of_json).collect();
        assert_eq!(found, expected(&payloads), "{topic}");
    }
}

/// A row a message, in one partition for each entity, in the order of their times.
#[actix::test]
async fn rows_of_an_entity_keep_their_order() {
    let kafka = real_peer!(Kafka::start());
    let own = "format=protobuf&timeseriestopic=rows&partitions=4";
    let sink = start(&format!("kafka:{}?{own}&{FAST}", kafka.address()));
    let payloads: Vec<Payload> = (0..5).map(|number| rows(&entities(), number)).collect();
    for payload in &payloads {
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    }
    let records = kafka.read("rows").await.unwrap();
    let found: Samples = records.iter().flat_map(of_protobuf).collect();
    assert_eq!(found, expected(&payloads));
    let mut times: BTreeMap<&str, Vec<(i32, i64)>> = BTreeMap::new();
    for record in &records {
        times.entry(&record.key).or_default().push((record.partition, record.time_ms));
    }
    assert_eq!(times.len(), 3, "a key an entity");
    for times in times.values() {
        assert!(times.len() == 5 && times.is_sorted(), "{times:?}");
    }
}

#[actix::test]
async fn events_have_the_ancestors_form() {
    let kafka = real_peer!(Kafka::start());
    let sink = start(&format!("kafka:?brokers={}&eventstopic=e&{FAST}", kafka.address()));
    let event = Event {
        uid: "u1".into(),
        last_unix_ms: START_MS,
        object_kind: "Pod".into(),
        object_name: "web-1".into(),
        host: "node-a".into(),
        ..Event::default()
    };
    let events = EventBatch { cluster: "lab".into(), events: vec![event] };
    let outcome = settled(offer(&sink, Payload::Events(Arc::new(events))).await).await;
    assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    let records = kafka.read("e").await.unwrap();
    let message: Value = serde_json::from_slice(&value(&records[0])).unwrap();
    assert_eq!(message["EventTimestamp"], "2026-11-22T11:00:00Z");
    assert_eq!(message["EventTags"]["pod_name"], "web-1");
    let event: Value = serde_json::from_str(message["EventValue"].as_str().unwrap()).unwrap();
    assert_eq!(event["involvedObject"]["name"], "web-1");
}

/// The ancestor never recovered from this. The broker that comes back has forgotten its topics too.
#[actix::test]
async fn a_restarted_broker_gets_what_came_in_between() {
    let mut kafka = real_peer!(Kafka::start());
    let sink = start(&format!("kafka:{}?{FAST}", kafka.address()));
    let payload = |number| rows(&entities(), number);
    assert_eq!(settled(offer(&sink, payload(0)).await).await, Outcome::Delivered);
    kafka.kill().unwrap();
    let during = offer(&sink, payload(1)).await;
    until(&sink, |status| status.retries >= 2).await;
    kafka.start().await.unwrap();
    assert_eq!(settled(during).await, Outcome::Delivered, "{:?}", status(&sink).await);
    let records = kafka.read("heapster-metrics").await.unwrap();
    let found: Samples = records.iter().flat_map(of_json).collect();
    assert_eq!(found, expected(&[payload(1)]));
}
