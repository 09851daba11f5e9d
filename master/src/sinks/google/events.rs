//! Events as entries of the log `kubernetes.io/events`.
//!
//! An entry is known by its time and its `insertId`, the event's uid and count: written again, it is
//! the same one, and a later count is another.

use heapster_shared::{event::Event, tick::rfc3339};
use serde_json::{Map, Value, json};

use super::{Place, resource, text};
use crate::{delivery::EventBatch, sinks::event_json::as_in_kubernetes};

/// A request for some events.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) body: Vec<u8>,
    pub(super) entries: u64,
}

/// The most entries and bytes of a request; Google takes 10 MB.
const MOST_ENTRIES: u64 = 500;
const MOST_BYTES: usize = 4 << 20;
/// The longest message; Google takes entries of 256 KiB.
const MESSAGE_BYTES: usize = 64 << 10;
/// The longest insertId.
const ID_BYTES: usize = 512;

/// The requests that some batches become.
pub(super) fn requests<'a>(
    batches: impl IntoIterator<Item = &'a EventBatch>,
    place: &Place,
    cluster_name: Option<&str>,
) -> Vec<Entries> {
    let mut requests = Vec::new();
    let mut current = Entries { body: Vec::new(), entries: 0 };
    for batch in batches {
        let cluster = cluster_name.unwrap_or(&batch.cluster);
        for event in &batch.events {
            let entry = entry(event, cluster, place).to_string();
            current.begin(place);
            current.body.extend_from_slice(entry.as_bytes());
            if current.entries >= MOST_ENTRIES || current.body.len() >= MOST_BYTES {
                requests.push(current.end());
            }
        }
    }
    if current.entries > 0 {
        requests.push(current.end());
    }
    requests
}

impl Entries {
    fn begin(&mut self, place: &Place) {
        if self.entries == 0 {
            let log = format!("projects/{}/logs/kubernetes.io%2Fevents", place.project);
            let log = Value::from(log);
            let head = format!("{{\"logName\":{log},\"partialSuccess\":true,\"entries\":[");
            self.body.extend_from_slice(head.as_bytes());
        } else {
            self.body.push(b',');
        }
        self.entries += 1;
    }

    fn end(&mut self) -> Self {
        self.body.extend_from_slice(b"]}");
        std::mem::replace(self, Self { body: Vec::new(), entries: 0 })
    }
}

fn entry(event: &Event, cluster: &str, place: &Place) -> Value {
    let mut payload = as_in_kubernetes(event);
    payload["message"] = text::cut(&event.message, MESSAGE_BYTES).into();
    json!({
        "insertId": insert_id(event),
        "timestamp": rfc3339(event.last_unix_ms),
        "severity": if event.kind == "Warning" { "WARNING" } else { "INFO" },
        "resource": resource_of(event, cluster, place),
        "jsonPayload": payload,
    })
}

fn resource_of(event: &Event, cluster: &str, place: &Place) -> Value {
    let mut labels = resource::cluster_labels(cluster, place);
    let kind = match event.object_kind.as_str() {
        "Pod" => {
            labels.push(("namespace_name", &event.object_namespace));
            labels.push(("pod_name", &event.object_name));
            "k8s_pod"
        }
        "Node" => {
            labels.push(("node_name", &event.object_name));
            "k8s_node"
        }
        _ => "k8s_cluster",
    };
    let labels: Map<String, Value> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    json!({"type": kind, "labels": labels})
}

/// What tells an event from others of its time: uid and count, or where it has no uid what it is about.
fn insert_id(event: &Event) -> String {
    let Event { uid, object_kind, object_namespace, object_name, reason, count, .. } = event;
    let id = if uid.is_empty() {
        format!("{count}.{object_kind}.{object_namespace}.{object_name}.{reason}")
    } else {
        format!("{count}.{uid}")
    };
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    id.chars().map(legal).take(ID_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32) -> Event {
        Event {
            uid: format!("u{number}"),
            last_unix_ms: 1_795_345_201_000,
            count: 3,
            kind: "Warning".into(),
            reason: "BackOff".into(),
            message: "ö".repeat(MESSAGE_BYTES),
            object_kind: "Pod".into(),
            object_namespace: "shop".into(),
            object_name: "web-1".into(),
            ..Event::default()
        }
    }

    fn written(events: Vec<Event>) -> Vec<Value> {
        let batch = EventBatch { cluster: "lab".into(), events };
        let place = Place { project: "p".into(), location: "europe-west1".into() };
        let requests = requests([&batch], &place, None);
        let parsed = requests.iter().map(|entries| {
            let body: Value = serde_json::from_slice(&entries.body).unwrap();
            assert_eq!(body["entries"].as_array().unwrap().len() as u64, entries.entries);
            assert!(entries.body.len() < 10_000_000);
            body
        });
        parsed.collect()
    }

    #[test]
    fn an_entry_is_the_event_of_its_pod() {
        let body = &written(vec![event(1)])[0];
        assert_eq!(body["logName"], "projects/p/logs/kubernetes.io%2Fevents");
        let entry = &body["entries"][0];
        assert_eq!((&entry["insertId"], &entry["severity"]), (&"3.u1".into(), &"WARNING".into()));
        assert_eq!(entry["timestamp"], "2026-11-22T11:00:01Z");
        assert_eq!(entry["resource"]["type"], "k8s_pod");
        assert_eq!(entry["resource"]["labels"]["pod_name"], "web-1");
        assert_eq!(entry["jsonPayload"]["message"].as_str().unwrap().len(), MESSAGE_BYTES);
        let nameless = Event { uid: String::new(), object_kind: "Größe".into(), ..event(1) };
        assert_eq!(insert_id(&nameless), "3.Gr__e.shop.web-1.BackOff");
    }

    #[test]
    fn many_events_are_several_requests() {
        let requests = written((0..1200).map(event).collect());
        let count: usize =
            requests.iter().map(|body| body["entries"].as_array().unwrap().len()).sum();
        assert_eq!(count, 1200);
        assert!(requests.len() > 10, "their messages are long");
    }
}
