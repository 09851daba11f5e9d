//! Events as the ancestor's messages, whatever the form of rows:
//!
//! ```json
//! {"EventValue":"{...}","EventTimestamp":"2026-11-22T11:00:00Z","EventTags":{"eventID":"u1","hostname":"node-a"}}
//! ```

use heapster_shared::{event::Event, tag, tick::rfc3339};
use serde_json::{Map, Value, json};

use super::{EVENTS, Encoder, Limits};
use crate::{
    delivery::EventBatch,
    sinks::{LabelRules, event_json::as_in_kubernetes, kafka::partition, labels::CLUSTER_NAME},
};

impl Encoder {
    /// Appends the records of a batch of events. Those of one object have one key.
    pub(in super::super) fn push_events(&mut self, batch: &EventBatch, limits: Limits) {
        let cluster = self.cluster_name.as_deref().unwrap_or(&batch.cluster).to_owned();
        for event in &batch.events {
            let key = [&*cluster, &event.object_kind, &event.object_namespace, &event.object_name]
                .join("/");
            let place =
                partition::place(partition::hash(key.as_bytes()), limits.partitions[EVENTS]);
            let message = message(&cluster, event, &self.rules).to_string();
            let records = self.open.entry((EVENTS, place)).or_default();
            records.push(key.as_bytes(), message.as_bytes(), event.last_unix_ms, 1);
            if records.bytes() >= limits.batch_bytes {
                self.end_batch(EVENTS, place);
            }
        }
    }
}

fn message(cluster: &str, event: &Event, rules: &LabelRules) -> Value {
    let mut tags = Map::new();
    let of_pod = event.object_kind == "Pod";
    let pod = |text: &str| if of_pod { text.to_owned() } else { String::new() };
    for (name, value) in [
        ("eventID", event.uid.clone()),
        (CLUSTER_NAME, cluster.to_owned()),
        (tag::HOSTNAME, event.host.clone()),
        (tag::POD_NAME, pod(&event.object_name)),
        (tag::POD_ID, pod(&event.object_uid)),
    ] {
        if let Some(name) = rules.name(name).filter(|_| !value.is_empty()) {
            tags.insert(name.to_owned(), value.into());
        }
    }
    json!({
        "EventValue": as_in_kubernetes(event).to_string(),
        "EventTimestamp": rfc3339(event.last_unix_ms),
        "EventTags": tags,
    })
}
