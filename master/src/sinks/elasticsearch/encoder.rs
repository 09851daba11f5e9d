//! Rows as pairs of lines of a bulk request: what to do, and the document.
//!
//! ```text
//! {"create":{"_index":"heapster-metrics","_id":"..."}}
//! {"@timestamp":1795345200000,"labels":{"type":"node",...},"metrics":{"cpu/usage":9,...}}
//! ```
//!
//! All but the numbers is the same from row to row, and worked out once for each entity or layout: the
//! id too, which is that of the entity's labels, that of the metrics, and the time.

mod day;
mod events;

use std::{borrow::Cow, sync::Arc};

use heapster_shared::{
    entity::Entity,
    row::{Row, RowBatch},
    schema::{Layout, ValueType},
};

use self::day::Day;
use super::options::{Place, Settings};
use crate::sinks::{LabelRules, json, json_text, lines::Body, weak_cache::WeakCache};

/// The most documents of one request, so that its answer stays short.
const MOST_DOCUMENTS: usize = 5_000;

/// Rows and events to lines; keeps what it has worked out for what is still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    settings: Settings,
    rules: Arc<LabelRules>,
    entities: WeakCache<Entity, EntityText>,
    plans: WeakCache<Layout, Arc<[Document]>>,
    day: Day,
    body: Body,
    done: Encoded,
    room: usize,
}

/// What became of some rows and events.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The lines, in bodies of limited size.
    pub(super) bodies: Vec<Body>,
    /// Samples that no document can carry, because they are infinite.
    pub(super) infinite: u64,
}

/// What is the same in all documents of an entity.
#[derive(Debug)]
struct EntityText {
    id: String,
    labels: Vec<u8>,
}

/// What is the same in all documents of a layout that have the same labels.
#[derive(Debug)]
struct Document {
    labels: Vec<u8>,
    id: String,
    metrics: Vec<MetricPlan>,
}

#[derive(Debug)]
struct MetricPlan {
    index: usize,
    value_type: ValueType,
    /// The name with its quotes and colon.
    key: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(settings: Settings, rules: Arc<LabelRules>) -> Self {
        Self {
            settings,
            rules,
            entities: WeakCache::default(),
            plans: WeakCache::default(),
            day: Day::default(),
            body: Body::default(),
            done: Encoded::default(),
            room: 0,
        }
    }

    /// Appends the documents of a batch.
    pub(super) fn push_rows(&mut self, batch: &RowBatch) {
        for block in &batch.blocks {
            let rules = &self.rules;
            let plan = self.plans.get(block.layout(), |layout| documents(layout, rules));
            let plan = Arc::clone(plan);
            for row in block.rows() {
                for document in plan.iter() {
                    self.push_document(&batch.cluster, &row, document);
                }
            }
        }
    }

    fn push_document(&mut self, cluster: &str, row: &Row<'_>, document: &Document) {
        let Self { settings, rules, entities, day, body, done, .. } = self;
        let cluster = settings.cluster_name.as_deref().unwrap_or(cluster);
        let entity =
            entities.get(&row.head.entity, |entity| EntityText::new(cluster, entity, rules));
        let (begin, out) = (body.text.len(), &mut body.text);
        action(&settings.place, false, day, row.head.time_ms, out);
        out.extend_from_slice(entity.id.as_bytes());
        out.extend_from_slice(document.id.as_bytes());
        json::integer(row.head.time_ms, out);
        out.extend_from_slice(b"\"}}\n{\"@timestamp\":");
        json::integer(row.head.time_ms, out);
        out.extend_from_slice(b",\"labels\":{");
        json_text::join(&entity.labels, &document.labels, out);
        out.extend_from_slice(b"},\"metrics\":{");
        let (samples, infinite) = metrics(row, &document.metrics, out);
        done.infinite += infinite;
        if samples == 0 {
            out.truncate(begin);
            return;
        }
        out.extend_from_slice(b"}}\n");
        self.end_document(samples);
    }

    fn end_document(&mut self, samples: u32) {
        self.body.end_line(samples);
        let full = self.body.text.len() >= self.settings.body_bytes;
        if full || self.body.lines.len() >= MOST_DOCUMENTS {
            self.end_body();
        }
    }

    fn end_body(&mut self) {
        self.room = self.room.max(self.body.text.len());
        let next = Body::with_room(self.room);
        self.done.bodies.push(std::mem::replace(&mut self.body, next));
    }

    /// What was appended since the last call.
    pub(super) fn finish(&mut self) -> Encoded {
        if !self.body.lines.is_empty() {
            self.end_body();
        }
        std::mem::take(&mut self.done)
    }
}

impl EntityText {
    fn new(cluster: &str, entity: &Entity, rules: &LabelRules) -> Self {
        let labels = json_text::labels(cluster, entity, rules, without_dots);
        // Of all labels, those that are not written included: they tell what is measured apart.
        let whole =
            json_text::labels(cluster, entity, &LabelRules::default(), json_text::unchanged);
        Self { id: json_text::digest([whole.as_slice()]), labels }
    }
}

/// The documents that a row of a layout becomes, one a set of labels.
fn documents(layout: &Layout, rules: &LabelRules) -> Arc<[Document]> {
    let mut documents: Vec<(Vec<u8>, Document)> = Vec::new();
    for (index, field) in layout.fields().iter().enumerate() {
        let whole = json_text::field_labels(field, &LabelRules::default(), json_text::unchanged);
        let mut key = Vec::new();
        json::text(&without_dots(field.metric.name()), &mut key);
        key.push(b':');
        let metric = MetricPlan { index, value_type: field.metric.value_type(), key };
        let same = |(labels, document): &&mut (Vec<u8>, Document)| {
            *labels == whole && document.metrics.iter().all(|other| other.key != metric.key)
        };
        if let Some((_, document)) = documents.iter_mut().find(same) {
            document.metrics.push(metric);
        } else {
            let labels = json_text::field_labels(field, rules, without_dots);
            let document = Document { labels, id: String::new(), metrics: vec![metric] };
            documents.push((whole, document));
        }
    }
    let named = documents.into_iter().map(|(labels, document)| {
        let keys = document.metrics.iter().map(|metric| metric.key.as_slice());
        let id = json_text::digest(std::iter::once(labels.as_slice()).chain(keys));
        Document { id, ..document }
    });
    named.collect()
}

/// Appends the first line of a pair, up to the id.
fn action(place: &Place, events: bool, day: &mut Day, time_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"create\":{\"_index\":\"");
    match place {
        Place::Streams(name) => {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if events { b"-events" } else { b"-metrics" });
        }
        Place::Daily(name) => {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if events { b"-events-" } else { b"-" });
            out.extend_from_slice(day.of(time_ms).as_bytes());
        }
    }
    out.extend_from_slice(b"\",\"_id\":\"");
}

/// Appends what a row says of some metrics; gives how many it says, and how many are infinite.
fn metrics(row: &Row<'_>, plans: &[MetricPlan], out: &mut Vec<u8>) -> (u32, u64) {
    let (mut samples, mut infinite) = (0, 0);
    for plan in plans {
        let cell = row.cells[plan.index];
        if cell.is_absent() {
            continue;
        }
        let begin = out.len();
        if samples > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&plan.key);
        if json::number(cell, plan.value_type, out) {
            samples += 1;
        } else {
            out.truncate(begin);
            infinite += 1;
        }
    }
    (samples, infinite)
}

/// A name without dots: with one, `app` and `app.kubernetes.io/name` would be a text and an object of
/// one name, of which a peer takes only the first that comes.
fn without_dots(name: &str) -> Cow<'_, str> {
    if name.contains('.') { Cow::Owned(name.replace('.', "_")) } else { Cow::Borrowed(name) }
}

#[cfg(test)]
mod tests;
