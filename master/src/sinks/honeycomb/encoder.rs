//! Rows and events as events of the batch API, a comma behind each:
//!
//! ```text
//! {"data":{"cluster_name":"lab","type":"node",..,"cpu/usage":5,..},"time":"2026-11-22T11:00:01Z"},
//! {"data":{"cluster_name":"lab",..,"resource_id":"/","filesystem/usage":7},"time":".."},
//! ```
//!
//! Labels are written once for each entity and names once for each layout; a sample then costs a copy
//! and a number.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    event::Event,
    row::{Cell, Row, RowBatch},
    schema::{Field, FieldLabels, Layout, ValueType, table::METRICS},
    tag,
    tick::rfc3339,
};
use serde_json::json;

use crate::{
    delivery::EventBatch,
    sinks::{LabelRules, json, labels::CLUSTER_NAME, lines::Body, weak_cache::WeakCache},
};

/// Keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    rules: Arc<LabelRules>,
    body_bytes: usize,
    heads: WeakCache<Entity, Box<[u8]>>,
    plans: WeakCache<Layout, Arc<[EventPlan]>>,
}

/// One event of a row: the fields that have the same labels.
#[derive(Debug, Default)]
struct EventPlan {
    /// The labels, each with a comma in front.
    labels: Vec<u8>,
    fields: Vec<FieldPlan>,
}

#[derive(Debug)]
struct FieldPlan {
    /// Where its cell is.
    index: usize,
    /// Its name, with a comma in front and a colon behind.
    key: Vec<u8>,
    value_type: ValueType,
}

impl Encoder {
    pub(super) fn new(rules: Arc<LabelRules>, body_bytes: usize) -> Self {
        Self { rules, body_bytes, heads: WeakCache::default(), plans: WeakCache::default() }
    }

    /// The events of rows and of clusters, in bodies of limited size, and how many infinite values,
    /// which JSON does not have, were left out.
    pub(super) fn encode(
        &mut self,
        rows: &[Arc<RowBatch>],
        events: &[Arc<EventBatch>],
    ) -> (Vec<Body>, u64) {
        let (mut bodies, infinite) = self.rows(rows.iter().map(Arc::as_ref));
        let mut body = Body::default();
        for batch in events {
            for event in &batch.events {
                cluster_event(&batch.cluster, event, &self.rules, &mut body);
                self.part(&mut body, &mut bodies);
            }
        }
        bodies.extend(Some(body).filter(|body| !body.lines.is_empty()));
        (bodies, infinite)
    }

    /// The same of rows alone.
    pub(super) fn rows<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a RowBatch>,
    ) -> (Vec<Body>, u64) {
        let (mut bodies, mut body, mut infinite) = (Vec::new(), Body::default(), 0);
        for batch in batches {
            for block in &batch.blocks {
                let rules = &self.rules;
                let plans =
                    Arc::clone(self.plans.get(block.layout(), |layout| plans(layout, rules)));
                for row in block.rows() {
                    let (rules, cluster) = (&self.rules, &batch.cluster);
                    let head =
                        self.heads.get(&row.head.entity, |entity| head(cluster, entity, rules));
                    infinite += row_events(&row, head, &plans, &mut body);
                    self.part(&mut body, &mut bodies);
                }
            }
        }
        bodies.extend(Some(body).filter(|body| !body.lines.is_empty()));
        (bodies, infinite)
    }

    fn part(&self, body: &mut Body, bodies: &mut Vec<Body>) {
        if body.text.len() >= self.body_bytes {
            let next = Body::with_room(body.text.len());
            bodies.push(std::mem::replace(body, next));
        }
    }
}

/// How an event of this entity begins.
fn head(cluster: &str, entity: &Entity, rules: &LabelRules) -> Box<[u8]> {
    let mut names: Vec<&str> = Vec::new();
    let mut out = b"{\"data\":{".to_vec();
    rules.visit(cluster, entity, |name, value| {
        // A name that comes twice means its first value, as everywhere.
        if !is_taken(name) && !names.contains(&name) {
            if !names.is_empty() {
                out.push(b',');
            }
            json::pair(name, value, &mut out);
            names.push(name);
        }
    });
    out.into()
}

/// Whether a metric, or a label of its own, has this name.
fn is_taken(name: &str) -> bool {
    let of_fields = [FieldLabels::Resource, FieldLabels::Accelerator];
    METRICS.iter().any(|def| def.name == name)
        || of_fields.iter().any(|labels| labels.names().contains(&name))
}

fn plans(layout: &Layout, rules: &LabelRules) -> Arc<[EventPlan]> {
    let mut plans: Vec<EventPlan> = Vec::new();
    for (index, field) in layout.fields().iter().enumerate() {
        let (labels, mut key) = (labels(field, rules), vec![b',']);
        json::key(field.metric.name(), &mut key);
        let field = FieldPlan { index, key, value_type: field.metric.value_type() };
        match plans.iter_mut().find(|plan| plan.has_room_for(&labels, &field)) {
            Some(plan) => plan.fields.push(field),
            None => plans.push(EventPlan { labels, fields: vec![field] }),
        }
    }
    plans.into()
}

impl EventPlan {
    fn has_room_for(&self, labels: &[u8], field: &FieldPlan) -> bool {
        self.labels == labels && self.fields.iter().all(|other| other.key != field.key)
    }
}

fn labels(field: &Field, rules: &LabelRules) -> Vec<u8> {
    let mut out = Vec::new();
    for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if let Some(name) = rules.name(label) {
            out.push(b',');
            json::pair(name, value, &mut out);
        }
    }
    out
}

/// Appends the events of a row; says how many infinite values it left out.
fn row_events(row: &Row<'_>, head: &[u8], plans: &[EventPlan], body: &mut Body) -> u64 {
    let mut infinite = 0;
    let mut tail = b"},".to_vec();
    json::pair("time", &rfc3339(row.head.time_ms), &mut tail);
    tail.extend_from_slice(b"},");
    for plan in plans {
        let start = body.text.len();
        body.text.extend_from_slice(head);
        // Where all labels are dropped there is nothing for the first comma to part.
        let bare = usize::from(head.ends_with(b"{"));
        let first = body.text.len();
        body.text.extend_from_slice(&plan.labels);
        let samples = fields(row.cells, &plan.fields, &mut body.text, &mut infinite);
        if samples == 0 {
            body.text.truncate(start);
            continue;
        }
        body.text.drain(first..first + bare);
        body.text.extend_from_slice(&tail);
        body.end_line(samples);
    }
    infinite
}

fn fields(cells: &[Cell], fields: &[FieldPlan], out: &mut Vec<u8>, infinite: &mut u64) -> u32 {
    let mut samples = 0;
    for field in fields {
        let cell = cells[field.index];
        if cell.is_absent() {
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&field.key);
        if json::number(cell, field.value_type, out) {
            samples += 1;
        } else {
            out.truncate(start);
            *infinite += 1;
        }
    }
    samples
}

fn cluster_event(cluster: &str, event: &Event, rules: &LabelRules, body: &mut Body) {
    let mut data = json!({
        "reason": event.reason,
        "message": event.message,
        "type": event.kind,
        "count": event.count,
        "kind": event.object_kind,
        "name": event.object_name,
        "uid": event.object_uid,
        "component": event.component,
        "host": event.host,
    });
    for (label, value) in [(CLUSTER_NAME, cluster), (tag::NAMESPACE_NAME, &event.object_namespace)]
    {
        if let Some(name) = rules.name(label).filter(|_| !value.is_empty()) {
            data[name] = value.into();
        }
    }
    let event = json!({"time": rfc3339(event.last_unix_ms), "data": data});
    // Neither values nor memory make it fail.
    let _ = serde_json::to_writer(&mut body.text, &event);
    body.text.push(b',');
    body.end_line(1);
}

#[cfg(test)]
mod tests;
