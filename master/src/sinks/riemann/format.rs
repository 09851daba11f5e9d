//! Samples and events of clusters as events of Riemann.

use std::sync::Arc;

use heapster_shared::{entity::Entity, event::Event, schema::Field, tag};

use super::wire::{self, Moment};
use crate::sinks::{
    LabelRules,
    hierarchy::Hierarchy,
    labels::CLUSTER_NAME,
    samples::{FieldText, Line, LineFormat, Number},
};

/// What the options say.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Seconds for which events count.
    pub(super) ttl: f32,
    /// State of each event of a sample.
    pub(super) state: String,
    /// Tags of each event.
    pub(super) tags: Vec<String>,
}

/// How samples become events.
#[derive(Clone, Debug)]
pub(super) struct States {
    choice: Choice,
    rules: Arc<LabelRules>,
}

impl States {
    /// Events by these options and rules.
    pub(super) const fn new(choice: Choice, rules: Arc<LabelRules>) -> Self {
        Self { choice, rules }
    }

    /// Appends what every event has.
    fn common(&self, state: &str, out: &mut Vec<u8>) {
        wire::text(2, state, out);
        for tag in &self.choice.tags {
            wire::text(7, tag, out);
        }
        wire::ttl(self.choice.ttl, out);
    }

    /// Appends an event of a cluster.
    pub(super) fn event(&self, cluster: &str, event: &Event, out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        self.common(if event.kind == "Warning" { "warning" } else { "ok" }, &mut fields);
        wire::text(3, &event.reason, &mut fields);
        wire::text(4, &event.host, &mut fields);
        wire::text(5, &event.message, &mut fields);
        for (label, value) in [
            (CLUSTER_NAME, cluster),
            ("uid", &event.uid),
            ("kind", &event.object_kind),
            (tag::NAMESPACE_NAME, &event.object_namespace),
            ("object_name", &event.object_name),
            ("object_uid", &event.object_uid),
            ("component", &event.component),
        ] {
            if let Some(name) = self.rules.name(label).filter(|_| !value.is_empty()) {
                wire::attribute(name, value, &mut fields);
            }
        }
        let value = Number::Int(event.count.into());
        wire::event(&[&fields], Moment { time_ms: event.last_unix_ms, value }, out);
    }
}

impl LineFormat for States {
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>> {
        let mut fields = Vec::new();
        self.common(&self.choice.state, &mut fields);
        wire::text(4, &Hierarchy::of(entity).host, &mut fields);
        let mut written: Vec<&str> = Vec::new();
        self.rules.visit(cluster, entity, |name, value| {
            if !written.contains(&name) {
                wire::attribute(name, value, &mut fields);
                written.push(name);
            }
        });
        Some(fields.into())
    }

    fn field(&self, field: &Field) -> Option<FieldText> {
        let mut name = Vec::new();
        wire::text(3, field.metric.name(), &mut name);
        let mut labels = Vec::new();
        for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
            if let Some(name) = self.rules.name(label) {
                wire::attribute(name, value, &mut labels);
            }
        }
        Some(FieldText { name: name.into(), labels: labels.into() })
    }

    fn time(&self, time_ms: i64) -> i64 {
        time_ms
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        let moment = Moment { time_ms: line.time.0, value: line.value };
        wire::event(&[line.entity, &line.field.name, &line.field.labels], moment, out);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
