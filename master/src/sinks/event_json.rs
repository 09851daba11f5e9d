//! Events as JSON, for the sinks that write them as such.

use heapster_shared::{event::Event, tick::rfc3339};
use serde_json::{Value, json};

/// The event as its object in Kubernetes, as far as it is known.
pub(super) fn as_in_kubernetes(event: &Event) -> Value {
    json!({
        "metadata": {"uid": event.uid, "namespace": event.object_namespace},
        "involvedObject": {
            "kind": event.object_kind,
            "namespace": event.object_namespace,
            "name": event.object_name,
            "uid": event.object_uid,
        },
        "reason": event.reason,
        "message": event.message,
        "source": {"component": event.component, "host": event.host},
        "firstTimestamp": rfc3339(event.first_unix_ms),
        "lastTimestamp": rfc3339(event.last_unix_ms),
        "count": event.count,
        "type": event.kind,
    })
}
