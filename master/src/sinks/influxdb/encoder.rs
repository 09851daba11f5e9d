//! Rows as lines. Tags are written once for each entity and names once for each layout; a sample
//! then costs a few copies and one number.

mod events;

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row, RowBatch},
    schema::{FieldLabels, Layout, ValueType},
    tag,
};

use super::{
    escape,
    plan::{FieldPlan, Plan, Schema},
};
use crate::sinks::{LabelRules, labels::CLUSTER_NAME, lines::Body, weak_cache::WeakCache};

/// Tags that the ancestor left out: each would start new series with each pod or machine.
const LEFT_OUT: [&str; 4] = [tag::NAMESPACE_ID, tag::POD_ID, tag::HOSTNAME, tag::HOST_ID];

/// Names that mean something else to the databases, or that this encoder writes itself; a label
/// that a cluster gives such a name is left out, where the whole line would be refused otherwise.
const TAKEN: [&str; 4] = [CLUSTER_NAME, "time", "_measurement", "_field"];

/// Rows to lines; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    schema: Schema,
    cluster_name: Option<String>,
    body_bytes: usize,
    /// Size of the newest body: the next one is likely to need as much.
    room: usize,
    tags: WeakCache<Entity, Box<[u8]>>,
    plans: WeakCache<Layout, Arc<Plan>>,
}

/// What became of some rows.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The lines, in bodies of limited size.
    pub(super) bodies: Vec<Body>,
    /// The lines of events, whose times are in nanoseconds.
    pub(super) events: Vec<Body>,
    /// Samples that no line can carry, because they are infinite.
    pub(super) infinite: u64,
}

impl Encoder {
    /// An encoder that starts a new body after `body_bytes`, and names each row's own cluster
    /// unless it is given another name.
    pub(super) fn new(schema: Schema, cluster_name: Option<String>, body_bytes: usize) -> Self {
        let (tags, plans) = (WeakCache::default(), WeakCache::default());
        Self { schema, cluster_name, body_bytes, room: 0, tags, plans }
    }

    /// The lines of some batches.
    pub(super) fn encode<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a RowBatch>,
    ) -> Encoded {
        let mut encoded = Encoded::default();
        let mut body = Body::with_room(self.room);
        for batch in batches {
            let cluster = self.cluster_name.as_deref().unwrap_or(&batch.cluster);
            for block in &batch.blocks {
                let schema = &self.schema;
                let plan =
                    self.plans.get(block.layout(), |layout| Arc::new(Plan::new(layout, schema)));
                for row in block.rows() {
                    let tags = self
                        .tags
                        .get(&row.head.entity, |entity| prefix(entity, cluster, &schema.labels));
                    encoded.infinite += encode_row(&row, plan, tags, &mut body);
                    if body.text.len() >= self.body_bytes {
                        self.room = body.text.len();
                        let next = Body::with_room(self.room);
                        encoded.bodies.push(std::mem::replace(&mut body, next));
                    }
                }
            }
        }
        if !body.lines.is_empty() {
            self.room = self.room.max(body.text.len());
            encoded.bodies.push(body);
        }
        encoded
    }
}

/// Appends the lines of a row; says how many infinite values it left out.
fn encode_row(row: &Row<'_>, plan: &Plan, tags: &[u8], body: &mut Body) -> u64 {
    let mut time = itoa::Buffer::new();
    let time = time.format(row.head.time_ms).as_bytes();
    let mut infinite = 0;
    for line in &plan.lines {
        let mut samples = 0;
        for field in &line.fields {
            let cell = row.cells[field.index];
            if cell.is_absent() {
                continue;
            }
            if is_infinite(cell, field.value_type) {
                infinite += 1;
                continue;
            }
            let out = &mut body.text;
            if samples == 0 {
                out.extend_from_slice(&line.measurement);
                out.extend_from_slice(tags);
                out.extend_from_slice(&line.labels);
                out.push(b' ');
            } else {
                out.push(b',');
            }
            encode_field(field, cell, out);
            samples += 1;
        }
        if samples > 0 {
            body.text.push(b' ');
            body.text.extend_from_slice(time);
            body.text.push(b'\n');
            body.end_line(samples);
        }
    }
    infinite
}

fn is_infinite(cell: Cell, value_type: ValueType) -> bool {
    value_type == ValueType::Double && cell.as_real().is_some_and(f64::is_infinite)
}

fn encode_field(field: &FieldPlan, cell: Cell, out: &mut Vec<u8>) {
    out.extend_from_slice(&field.key);
    match field.value_type {
        ValueType::Int64 => {
            let mut digits = itoa::Buffer::new();
            out.extend_from_slice(digits.format(cell.as_int().unwrap_or_default()).as_bytes());
            out.push(b'i');
        }
        ValueType::Double => {
            let mut digits = ryu::Buffer::new();
            let value = cell.as_real().unwrap_or_default();
            out.extend_from_slice(digits.format_finite(value).as_bytes());
        }
    }
}

/// The tags of an entity, sorted as the databases like them, each with a comma in front.
fn prefix(entity: &Entity, cluster: &str, rules: &LabelRules) -> Box<[u8]> {
    let mut tags = Vec::new();
    if let Some(name) = rules.name(CLUSTER_NAME) {
        tags.push((name, cluster));
    }
    tag::visit(entity, |label, value| {
        if LEFT_OUT.contains(&label) {
            return;
        }
        if let Some(name) = rules.name(label).filter(|name| !is_taken(name)) {
            tags.push((name, value));
        }
    });
    tags.sort_by_key(|(name, _)| *name);
    tags.dedup_by_key(|(name, _)| *name);
    let mut out = Vec::new();
    for (name, value) in tags {
        tag(name, value, &mut out);
    }
    out.into_boxed_slice()
}

fn is_taken(name: &str) -> bool {
    let of_fields = [FieldLabels::Resource, FieldLabels::Accelerator];
    TAKEN.contains(&name) || of_fields.iter().any(|labels| labels.names().contains(&name))
}

/// Appends a tag with a comma in front; nothing when its name or value cannot be written.
pub(super) fn tag(name: &str, value: &str, out: &mut Vec<u8>) {
    if escape::writable(name).is_empty() || escape::writable(value).is_empty() {
        return;
    }
    out.push(b',');
    escape::key(name, out);
    out.push(b'=');
    escape::key(value, out);
}

#[cfg(test)]
mod tests;
