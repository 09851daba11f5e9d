//! Events as far as they are read.
//!
//! Those of `events.k8s.io` are the same objects as those of the core API, which shows both the old
//! way to count (`count`, `lastTimestamp`) and the new one (`series`, `eventTime`).

use heapster_shared::event::Event;
use serde::Deserialize;

use super::{Metadata, Object, UnixMs, or_default};

/// An event.
#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kubernetes) struct EventObject {
    metadata: Metadata,
    involved_object: Reference,
    reason: String,
    message: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    source: Source,
    #[serde(deserialize_with = "or_default")]
    count: u32,
    first_timestamp: UnixMs,
    last_timestamp: UnixMs,
    event_time: UnixMs,
    #[serde(deserialize_with = "or_default")]
    series: Series,
    reporting_component: String,
    reporting_instance: String,
}

impl Object for EventObject {
    const PATH: &'static str = "/api/v1/events";
    const RESOURCE: &'static str = "events";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Reference {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Source {
    component: String,
    host: String,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Series {
    count: u32,
    last_observed_time: UnixMs,
}

impl From<EventObject> for Event {
    fn from(event: EventObject) -> Self {
        let created = event.metadata.creation_timestamp.0;
        let or = |time: i64, other: i64| if time == 0 { other } else { time };
        let first = or(event.first_timestamp.0, or(event.event_time.0, created));
        let last = event.last_timestamp.0.max(event.series.last_observed_time.0).max(first);
        let or_text = |text: String, other| if text.is_empty() { other } else { text };
        Self {
            uid: event.metadata.uid.into(),
            first_unix_ms: first,
            last_unix_ms: last,
            count: event.count.max(event.series.count).max(1),
            kind: event.kind,
            reason: event.reason,
            message: event.message,
            object_kind: event.involved_object.kind,
            object_namespace: event.involved_object.namespace,
            object_name: event.involved_object.name,
            object_uid: event.involved_object.uid,
            component: or_text(event.source.component, event.reporting_component),
            host: or_text(event.source.host, event.reporting_instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::wire::Page;

    /// Events of both generations from a real API server.
    #[test]
    fn recorded_events_are_read() {
        let text = include_str!("../../../testdata/kubernetes/events.json");
        let page: Page<EventObject> = serde_json::from_str(text).unwrap();
        let events: Vec<Event> = page.items.into_iter().map(Event::from).collect();
        assert!(events.iter().all(|event| !event.uid.is_empty() && event.count >= 1));
        assert!(events.iter().all(|event| event.first_unix_ms > 1_700_000_000_000));
        assert!(events.iter().all(|event| event.last_unix_ms >= event.first_unix_ms));
        let scheduled = events.iter().find(|event| event.reason == "Scheduled").unwrap();
        assert_eq!(scheduled.component, "default-scheduler");
        assert_eq!((scheduled.object_kind.as_str(), scheduled.kind.as_str()), ("Pod", "Normal"));
        let kubelet = events.iter().find(|event| event.component == "kubelet").unwrap();
        assert_eq!(kubelet.host, "node-a");
    }
}
