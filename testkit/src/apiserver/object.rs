//! An object of the store, and how it is written.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use super::{resources::Resource, selector::Selected};
use crate::sim::{NodeVersion, PodVersion, World};

/// An object, or what it can be worked out from.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// As JSON, without kind and API version.
    Json(Arc<Value>),
    Pod(PodVersion),
    Node(NodeVersion),
}

/// An object and its resource version.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) object: Object,
}

impl Entry {
    /// The object as JSON; with kind and API version, as it stands alone, or without, as in a list.
    pub(super) fn json(&self, of: &Resource, world: Option<&World>, alone: bool) -> Vec<u8> {
        let mut bytes = match (&self.object, world) {
            (Object::Json(value), _) => serde_json::to_vec(value).unwrap_or_default(),
            (Object::Pod(pod), Some(world)) => world.pod_json(*pod, self.version),
            (Object::Node(node), Some(world)) => world.node_json(*node, self.version),
            // Simulated objects come from a world.
            (_, None) => b"{}".to_vec(),
        };
        if alone {
            let head = format!(r#"{{"kind":"{}","apiVersion":"{}","#, of.kind, of.api_version());
            bytes.splice(..1, head.into_bytes());
        }
        bytes
    }

    /// The object as a value, without kind and API version.
    pub(super) fn value(&self, of: &Resource, world: Option<&World>) -> Value {
        match &self.object {
            Object::Json(value) => Value::clone(value),
            _ => serde_json::from_slice(&self.json(of, world, false)).unwrap_or_default(),
        }
    }

    /// The same object as it is told of when it is deleted, at this version.
    pub(super) fn deleted_at(&self, version: u64) -> Self {
        let object = match &self.object {
            Object::Json(value) => {
                Object::Json(Arc::new(with_version(Value::clone(value), version)))
            }
            other => other.clone(),
        };
        Self { version, object }
    }
}

/// The object with this resource version in its metadata.
pub(super) fn with_version(mut value: Value, version: u64) -> Value {
    value["metadata"]["resourceVersion"] = version.to_string().into();
    value
}

/// An object for a selector to look at.
pub(super) struct Candidate<'a> {
    pub(super) key: &'a str,
    pub(super) entry: &'a Entry,
    pub(super) of: &'a Resource,
    pub(super) world: Option<&'a World>,
}

impl Selected for Candidate<'_> {
    fn labels(&self) -> Vec<(Cow<'static, str>, String)> {
        match (&self.entry.object, self.world) {
            (Object::Pod(pod), Some(world)) => world.pod_labels(*pod),
            (Object::Node(node), Some(world)) => world.node_labels(*node),
            (Object::Json(value), _) => {
                let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
                let pair = |(name, value): (&String, &Value)| {
                    (name.clone().into(), value.as_str().unwrap_or_default().to_owned())
                };
                labels.into_iter().flatten().map(pair).collect()
            }
            _ => Vec::new(),
        }
    }

    fn field(&self, path: &str) -> String {
        let (namespace, name) = self.key.rsplit_once('/').unwrap_or(("", self.key));
        match path {
            "metadata.name" => return name.to_owned(),
            "metadata.namespace" => return namespace.to_owned(),
            _ => {}
        }
        if let (Object::Pod(pod), Some(world)) = (&self.entry.object, self.world)
            && let Some(value) = world.pod_field(*pod, path)
        {
            return value;
        }
        // The source of an event is the component.
        let path = if path == "source" { "source.component" } else { path };
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = self.entry.value(self.of, self.world);
        value.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
