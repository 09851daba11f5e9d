//! Rows and events as frames of the protocol, each with an id by which a stream tells one that comes
//! again:
//!
//! ```text
//! HPUB heapster.lab.node _INBOX.x.7 81 412
//! NATS/1.0
//! Nats-Msg-Id: ...
//!
//! {"cluster":"lab","time":"2026-11-22T11:00:00Z","labels":{...},"samples":[{"metric":"cpu/usage","value":9},...]}
//! ```

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Row, RowBatch},
    schema::{Layout, ValueType},
    tick::rfc3339,
};
use serde_json::json;

use super::options::Options;
use crate::{
    delivery::EventBatch,
    sinks::{LabelRules, json, json_text, weak_cache::WeakCache},
};

/// Rows and events to frames; keeps what it has worked out for what is still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    subject: String,
    events_subject: String,
    cluster_name: Option<String>,
    rules: Arc<LabelRules>,
    entities: WeakCache<Entity, EntityText>,
    plans: WeakCache<Layout, Arc<LayoutPlan>>,
    inbox: String,
    longest: usize,
    /// The body of a message, before its length is known.
    body: Vec<u8>,
    done: Encoded,
}

/// What became of some rows and events.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The frames.
    pub(super) text: Vec<u8>,
    pub(super) messages: Vec<Message>,
    /// Samples that no message can carry, because they are infinite.
    pub(super) infinite: u64,
    /// Samples of messages that are longer than the server takes.
    pub(super) too_long: u64,
}

/// Where a frame lies, and the number that its answer has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) number: usize,
    pub(super) samples: u64,
}

#[derive(Debug)]
struct EntityText {
    id: String,
    subject: String,
    /// The cluster and the labels, up to the time.
    begin: Vec<u8>,
    labels: Vec<u8>,
}

#[derive(Debug)]
struct LayoutPlan {
    id: String,
    samples: Vec<SamplePlan>,
}

#[derive(Debug)]
struct SamplePlan {
    value_type: ValueType,
    /// Up to the value.
    begin: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(options: &Options, rules: Arc<LabelRules>) -> Self {
        Self {
            subject: options.subject.clone(),
            events_subject: options.events_subject.clone(),
            cluster_name: options.cluster_name.clone(),
            rules,
            entities: WeakCache::default(),
            plans: WeakCache::default(),
            inbox: String::new(),
            longest: usize::MAX,
            body: Vec::new(),
            done: Encoded::default(),
        }
    }

    /// Begins messages that are answered to this inbox, and are no longer than that.
    pub(super) fn begin(&mut self, inbox: &str, longest: usize) {
        inbox.clone_into(&mut self.inbox);
        self.longest = longest;
        self.done = Encoded::default();
    }

    /// Appends the messages of a batch, one a row.
    pub(super) fn push_rows(&mut self, batch: &RowBatch) {
        let cluster = self.cluster_name.as_deref().unwrap_or(&batch.cluster).to_owned();
        for block in &batch.blocks {
            let rules = &self.rules;
            let plan =
                self.plans.get(block.layout(), |layout| Arc::new(LayoutPlan::new(layout, rules)));
            let plan = Arc::clone(plan);
            for row in block.rows() {
                self.push_row(&cluster, &row, &plan);
            }
        }
    }

    fn push_row(&mut self, cluster: &str, row: &Row<'_>, plan: &LayoutPlan) {
        let Self { entities, rules, subject, body, done, inbox, longest, .. } = self;
        let entity = entities
            .get(&row.head.entity, |entity| EntityText::new(cluster, entity, subject, rules));
        body.clear();
        body.extend_from_slice(&entity.begin);
        body.extend_from_slice(rfc3339(row.head.time_ms).as_bytes());
        body.extend_from_slice(b"\",\"labels\":{");
        body.extend_from_slice(&entity.labels);
        body.extend_from_slice(b"},\"samples\":[");
        let (samples, infinite) = samples(row, &plan.samples, body);
        done.infinite += infinite;
        body.extend_from_slice(b"]}");
        if samples > 0 {
            let mut time = itoa::Buffer::new();
            let id = [&*entity.id, &*plan.id, time.format(row.head.time_ms)];
            done.push(&entity.subject, id, body, samples, (inbox, *longest));
        }
    }

    /// Appends the messages of a batch of events.
    pub(super) fn push_events(&mut self, batch: &EventBatch) {
        let cluster = self.cluster_name.as_deref().unwrap_or(&batch.cluster);
        let subject = fill(&self.events_subject, cluster, "events", "");
        for event in &batch.events {
            let body = json!({"cluster": cluster, "event": event}).to_string();
            let id = json_text::digest([body.as_bytes()]);
            let to = (self.inbox.as_str(), self.longest);
            self.done.push(&subject, ["event-", &id, ""], body.as_bytes(), 1, to);
        }
    }

    /// What was appended since the beginning.
    pub(super) fn finish(&mut self) -> Encoded {
        std::mem::take(&mut self.done)
    }
}

const HEAD: &[u8] = b"NATS/1.0\r\nNats-Msg-Id: ";

impl Encoded {
    fn push(
        &mut self,
        subject: &str,
        id: [&str; 3],
        body: &[u8],
        samples: u64,
        (inbox, longest): (&str, usize),
    ) {
        let head = HEAD.len() + id.iter().map(|part| part.len()).sum::<usize>() + 4;
        if head + body.len() > longest {
            self.too_long += samples;
            return;
        }
        let (begin, number) = (self.text.len(), self.messages.len());
        let out = &mut self.text;
        out.extend_from_slice(b"HPUB ");
        out.extend_from_slice(subject.as_bytes());
        out.push(b' ');
        out.extend_from_slice(inbox.as_bytes());
        out.push(b'.');
        count(number, out);
        out.push(b' ');
        count(head, out);
        out.push(b' ');
        count(head + body.len(), out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(HEAD);
        id.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
        self.messages.push(Message { begin, end: out.len(), number, samples });
    }
}

fn count(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

impl EntityText {
    fn new(cluster: &str, entity: &Entity, subject: &str, rules: &LabelRules) -> Self {
        let whole =
            json_text::labels(cluster, entity, &LabelRules::default(), json_text::unchanged);
        let mut begin = b"{\"cluster\":".to_vec();
        json::text(cluster, &mut begin);
        begin.extend_from_slice(b",\"time\":\"");
        let namespace = entity.namespace().unwrap_or_default();
        Self {
            id: json_text::digest([whole.as_slice()]),
            subject: fill(subject, cluster, entity.level.label(), namespace),
            begin,
            labels: json_text::labels("", entity, rules, json_text::unchanged),
        }
    }
}

impl LayoutPlan {
    fn new(layout: &Layout, rules: &LabelRules) -> Self {
        let samples = layout.fields().iter().map(|field| {
            let mut begin = b"{\"metric\":".to_vec();
            json::text(field.metric.name(), &mut begin);
            let labels = json_text::field_labels(field, rules, json_text::unchanged);
            if !labels.is_empty() {
                begin.extend_from_slice(b",\"labels\":{");
                begin.extend_from_slice(&labels);
                begin.push(b'}');
            }
            begin.extend_from_slice(b",\"value\":");
            SamplePlan { value_type: field.metric.value_type(), begin }
        });
        let samples: Vec<SamplePlan> = samples.collect();
        let id = json_text::digest(samples.iter().map(|sample| sample.begin.as_slice()));
        Self { id, samples }
    }
}

/// Appends the samples of a row; gives how many there are, and how many are infinite.
fn samples(row: &Row<'_>, plans: &[SamplePlan], out: &mut Vec<u8>) -> (u64, u64) {
    let (mut samples, mut infinite) = (0, 0);
    for (plan, cell) in plans.iter().zip(row.cells) {
        if cell.is_absent() {
            continue;
        }
        let begin = out.len();
        if samples > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&plan.begin);
        if json::number(*cell, plan.value_type, out) {
            out.push(b'}');
            samples += 1;
        } else {
            out.truncate(begin);
            infinite += 1;
        }
    }
    (samples, infinite)
}

/// A subject of a template. What stands for a name is one token, whatever the name has.
fn fill(template: &str, cluster: &str, level: &str, namespace: &str) -> String {
    let token = |name: &str| match name {
        "" => "_".to_owned(),
        name => {
            let illegal = |c: char| c.is_whitespace() || c.is_control() || ".*>".contains(c);
            name.chars().map(|c| if illegal(c) { '_' } else { c }).collect()
        }
    };
    // One after the other, so that a name with braces in it is left alone.
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [("{cluster}", cluster), ("{level}", level), ("{namespace}", namespace)];
        match known.iter().find_map(|(word, name)| Some((rest.strip_prefix(word)?, name))) {
            Some((behind, name)) => {
                out.push_str(&token(name));
                rest = behind;
            }
            None => {
                out.push('_');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name cannot lead a message to another subject, or end the line that it is in.
    #[test]
    fn names_are_one_token() {
        let template = "a.{cluster}.{namespace}.{level}";
        assert_eq!(fill(template, "lab.1", "", "node"), "a.lab_1.node._");
        assert_eq!(fill(template, "x\r\nPUB > 1", "l", "{level}"), "a.x__PUB___1.{level}.l");
        assert_eq!(fill("a.{nobody}", "", "", ""), "a._nobody}");
    }

    #[test]
    fn a_message_that_is_too_long_is_counted() {
        let mut encoded = Encoded::default();
        encoded.push("s", ["i", "d", ""], &[b'x'; 100], 3, ("_INBOX.a", 100));
        assert_eq!((encoded.too_long, encoded.messages.len()), (3, 0));
        encoded.push("s", ["i", "d", ""], b"{}", 3, ("_INBOX.a", 100));
        let text = "HPUB s _INBOX.a.0 29 31\r\nNATS/1.0\r\nNats-Msg-Id: id\r\n\r\n{}\r\n";
        assert_eq!(String::from_utf8(encoded.text).unwrap(), text);
    }
}
