//! The elasticsearch sink and a fake that checks each request as the published API has it.

use std::{collections::BTreeMap, sync::Arc};

use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_shared::event::Event;
use heapster_testkit::peer::{ElasticsearchMode, FakeElasticsearch};
use serde_json::Value;

use crate::support::{START_MS, entities, offer, rows, samples, settled, start, status};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";

/// What tells a sample from all others: metric, time, and labels as text.
type Key = (String, i64, BTreeMap<String, String>);

fn read_back(peer: &FakeElasticsearch) -> BTreeMap<Key, Value> {
    let mut samples = BTreeMap::new();
    for document in peer.documents().values() {
        let Some(metrics) = document["metrics"].as_object() else { continue };
        let labels = document["labels"].as_object().into_iter().flatten();
        let labels: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect();
        for (metric, value) in metrics {
            let key = (metric.clone(), document["@timestamp"].as_i64().unwrap(), labels.clone());
            assert!(samples.insert(key, value.clone()).is_none());
        }
    }
    samples
}

/// The same, worked out without the encoder.
fn expected(payloads: &[Payload]) -> BTreeMap<Key, Value> {
    let mut samples = BTreeMap::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(|block| block.rows()) {
            for (field, cell) in row.samples() {
                let mut labels =
                    BTreeMap::from([("cluster_name".into(), batch.cluster.to_string())]);
                heapster_shared::tag::visit(&row.head.entity, |name, value| {
                    labels.insert(name.into(), value.into());
                });
                for (name, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
                    labels.insert(name.into(), value.into());
                }
                let key = (field.metric.name().into(), row.head.time_ms, labels);
                samples.insert(key, cell.to_json(field.metric.value_type()));
            }
        }
    }
    samples
}

fn event(uid: &str) -> Event {
    Event { uid: uid.into(), last_unix_ms: START_MS, count: 1, ..Event::default() }
}

/// Every value, label and time, written twice to either family: no document is there twice, and the
/// second time counts as delivered. Templates are made in the family's own words, once.
#[actix::test]
async fn what_is_written_is_read_back() {
    for opensearch in [false, true] {
        let peer = match opensearch {
            false => FakeElasticsearch::start().await.unwrap(),
            true => FakeElasticsearch::start_opensearch().await.unwrap(),
        };
        let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities(), number)).collect();
        for _ in 0..2 {
            let sink = start(&format!("elasticsearch:{}?retention=30d&{FAST}", peer.url()));
            for payload in &payloads {
                let outcome = settled(offer(&sink, payload.clone()).await).await;
                assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
            }
            let wanted: u64 = payloads.iter().map(samples).sum();
            assert_eq!(status(&sink).await.delivered, wanted);
            assert_eq!(read_back(&peer), expected(&payloads));
        }
        assert_eq!(peer.repeated(), peer.documents().len());
        let puts = peer.requests().iter().filter(|request| request.method == "PUT").count();
        assert_eq!((puts, peer.put().len()), (3, 3), "{:?}", peer.put().keys());
    }
}

#[actix::test]
async fn events_go_to_a_stream_of_their_own() {
    let peer = FakeElasticsearch::start().await.unwrap();
    let sink = start(&format!("elasticsearch:{}?{FAST}", peer.url()));
    let events = vec![event("u1"), event("u2"), event("u1")];
    let batch = EventBatch { cluster: "lab".into(), events };
    let outcome = settled(offer(&sink, Payload::Events(Arc::new(batch))).await).await;
    assert_eq!(outcome, Outcome::Delivered);
    let documents = peer.documents();
    assert_eq!(documents.len(), 2);
    for ((stream, _), document) in &documents {
        assert_eq!(
            (stream.as_str(), &document["labels"]["cluster_name"]),
            ("heapster-events", &"lab".into())
        );
        assert_eq!(document["event"]["count"], 1);
    }
}

/// A value that does not fit what its field has been is refused, counted to the sample, and costs
/// nothing else.
#[actix::test]
async fn a_document_that_is_refused_costs_its_own_samples() {
    let peer = FakeElasticsearch::start().await.unwrap();
    let bad = r#"{"create":{"_index":"heapster-metrics","_id":"x"}}
{"@timestamp":1,"metrics":{"memory/usage":"text"}}
"#;
    let client = heapster_testkit::peer::http_client().unwrap();
    let request = client.post(format!("{}/_bulk", peer.url())).body(bad);
    let sent = request.header("content-type", "application/x-ndjson").send().await.unwrap();
    assert!(sent.status().is_success());

    let sink = start(&format!("elasticsearch:{}?{FAST}", peer.url()));
    let payload = rows(&entities(), 0);
    let outcome = settled(offer(&sink, payload.clone()).await).await;
    let status = status(&sink).await;
    // Of each row, the document without labels is refused; those of its volumes are not.
    let taken = read_back(&peer).len() as u64 - 1;
    assert_eq!((status.delivered, status.rejected), (taken, samples(&payload) - taken));
    assert!(taken > 0 && status.rejected > 0, "{outcome:?} {status:?}");
    assert!(status.last_error.contains("memory/usage"), "{status:?}");
}

/// The next node is asked at once when one is away, and at the next attempt when one hangs.
#[actix::test]
async fn another_node_takes_over() {
    let first = FakeElasticsearch::start().await.unwrap();
    let mut second = FakeElasticsearch::start().await.unwrap();
    let spec = format!("elasticsearch:{}?nodes={}&timeout=200ms&{FAST}", first.url(), second.url());
    let sink = start(&spec);
    second.stop();
    assert_eq!(settled(offer(&sink, rows(&entities(), 0)).await).await, Outcome::Delivered);
    assert!(!first.documents().is_empty());
    second.restart().await.unwrap();
    first.set(ElasticsearchMode::Hang);
    assert_eq!(settled(offer(&sink, rows(&entities(), 1)).await).await, Outcome::Delivered);
    assert!(!second.documents().is_empty());
}
