//! The nats sink and a real server, read back by its authors' client.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_shared::event::Event;
use heapster_testkit::{
    peer::{Nats, NatsMessage},
    real_peer,
};
use serde_json::Value;

use crate::support::{entities, offer, rows, samples, settled, start, status, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=20ms&retry_longest=200ms";

fn body(message: &NatsMessage) -> Value {
    serde_json::from_slice(&BASE64_STANDARD.decode(&message.body).unwrap()).unwrap()
}

/// Metric, time and labels of a sample, and its value as text.
type Samples = BTreeMap<(String, String, BTreeMap<String, String>), String>;

fn found(messages: &[NatsMessage]) -> Samples {
    let mut samples = BTreeMap::new();
    for message in messages {
        let row = body(message);
        for sample in row["samples"].as_array().unwrap() {
            let of = |value: &Value| -> BTreeMap<String, String> {
                serde_json::from_value(value.clone()).unwrap_or_default()
            };
            let mut labels = of(&row["labels"]);
            labels.extend(of(&sample["labels"]));
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let key = (text(&sample["metric"]), text(&row["time"]), labels);
            assert!(samples.insert(key, sample["value"].to_string()).is_none());
        }
    }
    samples
}

fn expected(payloads: &[Payload]) -> Samples {
    let mut samples = BTreeMap::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(|block| block.rows()) {
            for (field, cell) in row.samples() {
                let mut labels = BTreeMap::new();
                heapster_shared::tag::visit(&row.head.entity, |name, value| {
                    labels.insert(name.to_owned(), value.to_owned());
                });
                let fields = field.labels.iter().flat_map(|labels| labels.iter());
                labels.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
                let time = heapster_shared::tick::rfc3339(row.head.time_ms);
                let key = (field.metric.name().to_owned(), time, labels);
                samples.insert(key, cell.to_json(field.metric.value_type()).to_string());
            }
        }
    }
    samples
}

/// Written twice by two sinks, every sample is there once, under its subject, and counts as delivered
/// both times.
#[actix::test]
async fn what_is_written_is_read_back_once() {
    let nats = real_peer!(Nats::start());
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities(), number)).collect();
    for _ in 0..2 {
        let sink = start(&format!("nats:{}?{FAST}", nats.address()));
        for payload in &payloads {
            let outcome = settled(offer(&sink, payload.clone()).await).await;
            assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
        }
        let wanted: u64 = payloads.iter().map(samples).sum();
        assert_eq!(status(&sink).await.delivered, wanted);
    }
    let messages = real_peer!(nats.read("HEAPSTER"));
    assert_eq!(found(&messages), expected(&payloads));
    let subjects: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
    assert_eq!(subjects[..2], ["heapster.lab.node", "heapster.lab.pod_container"]);
    assert!(messages.iter().all(|message| body(message)["cluster"] == "lab"));
}

#[actix::test]
async fn events_have_a_subject_of_their_own() {
    let nats = real_peer!(Nats::start());
    let sink =
        start(&format!("nats:{}?events_subject=happened.{{cluster}}&{FAST}", nats.address()));
    let event =
        |uid: &str| Event { uid: uid.into(), message: "größe".into(), ..Event::default() };
    let events = vec![event("u1"), event("u2"), event("u1")];
    let batch = EventBatch { cluster: "lab.1".into(), events };
    let outcome = settled(offer(&sink, Payload::Events(Arc::new(batch))).await).await;
    assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    let messages = real_peer!(nats.read("HEAPSTER"));
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].subject, "happened.lab_1");
    assert_eq!(body(&messages[0])["event"]["message"], "größe");
}

/// A server that is killed keeps what it has said to have, and gets what came in between.
#[actix::test]
async fn a_restarted_server_gets_what_came_in_between() {
    let mut nats = real_peer!(Nats::start());
    let sink = start(&format!("nats:{}?{FAST}", nats.address()));
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities(), number)).collect();
    assert_eq!(settled(offer(&sink, payloads[0].clone()).await).await, Outcome::Delivered);
    nats.kill().unwrap();
    let during = offer(&sink, payloads[1].clone()).await;
    until(&sink, |status| status.retries >= 2).await;
    nats.start().await.unwrap();
    assert_eq!(settled(during).await, Outcome::Delivered, "{:?}", status(&sink).await);
    assert_eq!(settled(offer(&sink, payloads[2].clone()).await).await, Outcome::Delivered);
    assert_eq!(found(&real_peer!(nats.read("HEAPSTER"))), expected(&payloads));
}

/// With a password or the signature of a key the server lets the sink in; without, samples wait and the
/// error says what to check.
#[actix::test]
async fn who_may_write_is_let_in() {
    let key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    let users =
        format!("authorization {{ users: [ {{ user: u, password: p }}, {{ nkey: {key} }} ] }}");
    let nats = real_peer!(Nats::start_with(&users));
    let seed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&seed, "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n").unwrap();
    for account in ["user=u&password=p".to_owned(), format!("creds={}", seed.path().display())] {
        let sink = start(&format!("nats:{}?{account}&{FAST}", nats.address()));
        let outcome = settled(offer(&sink, rows(&entities(), 0)).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    }
    let sink = start(&format!("nats:{}?user=u&password=hunter2&{FAST}", nats.address()));
    let _waits = offer(&sink, rows(&entities(), 1)).await;
    let status = until(&sink, |status| status.retries >= 1).await;
    assert!(status.last_error.contains("Authorization Violation"), "{status:?}");
    assert!(!status.last_error.contains("hunter2"), "{status:?}");
}
