//! Lists as tables, which is how `kubectl get` asks for them.

use hyper::header::{ACCEPT, HeaderMap};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::resources::Resource;

/// How much of each object a table is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TableRequest {
    Metadata,
    Object,
    None,
}

impl TableRequest {
    /// Whether a table is wanted, by the headers and the parameter `includeObject`.
    pub(super) fn of(headers: &HeaderMap, include: &str) -> Option<Self> {
        let accept = headers.get(ACCEPT)?.to_str().ok()?;
        if !accept.contains("as=Table") {
            return None;
        }
        Some(match include {
            "Object" => Self::Object,
            "None" => Self::None,
            _ => Self::Metadata,
        })
    }
}

/// A column: its name, the lowest priority at which it is shown, and its cells.
type Column = (&'static str, u8, fn(&Value) -> Value);

const NAME: Column = ("Name", 0, |object| text(object, "/metadata/name"));
const AGE: Column = ("Age", 0, |object| age(object, "/metadata/creationTimestamp"));
const STATUS: Column = ("Status", 0, |object| text(object, "/status/phase"));

const PODS: &[Column] = &[
    NAME,
    ("Ready", 0, ready_containers),
    STATUS,
    ("Restarts", 0, restarts),
    AGE,
    ("IP", 1, |object| text(object, "/status/podIP")),
    ("Node", 1, |object| text(object, "/spec/nodeName")),
];
const NODES: &[Column] = &[
    NAME,
    ("Status", 0, node_status),
    ("Roles", 0, |_| "<none>".into()),
    AGE,
    ("Version", 0, |object| text(object, "/status/nodeInfo/kubeletVersion")),
    ("Internal-IP", 1, |object| text(object, "/status/addresses/0/address")),
];
const NAMESPACES: &[Column] = &[NAME, STATUS, AGE];
const EVENTS: &[Column] = &[
    ("Last Seen", 0, |object| age(object, "/lastTimestamp")),
    ("Type", 0, |object| text(object, "/type")),
    ("Reason", 0, |object| text(object, "/reason")),
    ("Object", 0, involved),
    ("Message", 0, |object| text(object, "/message")),
    ("Name", 1, |object| text(object, "/metadata/name")),
];
const OTHERS: &[Column] = &[NAME, AGE];

/// A table of objects.
pub(super) fn table(of: &Resource, objects: &[Value], request: TableRequest) -> Value {
    let columns = match of.plural {
        "pods" => PODS,
        "nodes" => NODES,
        "namespaces" => NAMESPACES,
        "events" => EVENTS,
        _ => OTHERS,
    };
    let definition = |(name, priority, _): &Column| {
        let format = if *name == "Name" { "name" } else { "" };
        let kind = if *name == "Restarts" { "integer" } else { "string" };
        json!({
            "name": name, "type": kind, "format": format, "description": "", "priority": priority,
        })
    };
    let row = |object: &Value| {
        let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| cell(object)).collect();
        let mut row = json!({ "cells": cells });
        match request {
            TableRequest::None => {}
            TableRequest::Metadata => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object["metadata"],
                });
            }
            TableRequest::Object => {
                row["object"] = object.clone();
                row["object"]["kind"] = of.kind.into();
                row["object"]["apiVersion"] = of.api_version().into();
            }
        }
        row
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": objects.iter().map(row).collect::<Vec<_>>(),
    })
}

fn text(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("<none>").into()
}

/// How long ago it was, as kubectl says it.
fn age(object: &Value, pointer: &str) -> Value {
    let time = object.pointer(pointer).and_then(Value::as_str);
    let Some(time) = time.and_then(|time| time.parse::<Timestamp>().ok()) else {
        return "<unknown>".into();
    };
    let seconds = Timestamp::now().duration_since(time).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
    .into()
}

fn statuses(object: &Value) -> &[Value] {
    object.pointer("/status/containerStatuses").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn ready_containers(object: &Value) -> Value {
    let all = object.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let ready = statuses(object).iter().filter(|status| status["ready"] == true).count();
    format!("{ready}/{all}").into()
}

fn restarts(object: &Value) -> Value {
    statuses(object).iter().filter_map(|status| status["restartCount"].as_u64()).sum::<u64>().into()
}

fn node_status(object: &Value) -> Value {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    match ready {
        Some(ready) if ready["status"] == "True" => "Ready".into(),
        Some(_) => "NotReady".into(),
        None => "Unknown".into(),
    }
}

fn involved(object: &Value) -> Value {
    let kind = object.pointer("/involvedObject/kind").and_then(Value::as_str).unwrap_or_default();
    let name = object.pointer("/involvedObject/name").and_then(Value::as_str).unwrap_or_default();
    format!("{}/{name}", kind.to_lowercase()).into()
}
