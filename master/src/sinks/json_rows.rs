//! Rows, events and ends of rounds as JSON objects:
//!
//! ```text
//! {"cluster":"lab","labels":{..},"samples":[{"metric":"cpu/usage","value":5},
//!  {"metric":"filesystem/usage","labels":{"resource_id":"/"},"value":7}],"tick":"..","time":".."}
//! {"cluster":"lab","event":{..}}
//! {"cluster":"lab","end_of_round":"2026-11-22T11:00:00Z"}
//! ```
//!
//! Labels are written once for each entity and names once for each layout; a sample then costs a copy
//! and a number.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Row, RowBatch},
    schema::{Field, Layout, ValueType},
    tick::rfc3339,
};
use serde_json::{Map, Value, json};

use super::{LabelRules, json, lines::Body, weak_cache::WeakCache};
use crate::delivery::Payload;

/// Writes rows; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct JsonRows {
    rules: Arc<LabelRules>,
    labels: WeakCache<Entity, Box<[u8]>>,
    fields: WeakCache<Layout, Arc<[FieldText]>>,
}

/// A field's sample up to its value.
#[derive(Debug)]
struct FieldText {
    before: Box<[u8]>,
    value_type: ValueType,
}

impl JsonRows {
    pub(super) fn new(rules: Arc<LabelRules>) -> Self {
        Self { rules, labels: WeakCache::default(), fields: WeakCache::default() }
    }

    /// Appends an object for each row, each with this behind it; says how many infinite values,
    /// which JSON does not have, it left out.
    pub(super) fn rows(&mut self, batch: &RowBatch, behind: &[u8], body: &mut Body) -> u64 {
        let Self { rules, labels, fields } = self;
        let mut head = b"{".to_vec();
        json::pair("cluster", &batch.cluster, &mut head);
        let mut foot = b"],".to_vec();
        json::pair("tick", &rfc3339(batch.tick.0), &mut foot);
        let mut infinite = 0;
        for block in &batch.blocks {
            let fields = fields.get(block.layout(), |layout| field_texts(layout, rules));
            for row in block.rows() {
                let start = body.text.len();
                body.text.extend_from_slice(&head);
                let labels = labels.get(&row.head.entity, |entity| labels_text(entity, rules));
                body.text.extend_from_slice(labels);
                let samples = samples(&row, fields, &mut body.text, &mut infinite);
                if samples == 0 {
                    body.text.truncate(start);
                    continue;
                }
                body.text.extend_from_slice(&foot);
                body.text.push(b',');
                json::pair("time", &rfc3339(row.head.time_ms), &mut body.text);
                body.text.push(b'}');
                body.text.extend_from_slice(behind);
                body.end_line(samples);
            }
        }
        infinite
    }

    /// Appends a line for each row or event, or for the end of a round; says how many infinite values
    /// it left out.
    pub(super) fn lines(&mut self, payload: &Payload, body: &mut Body) -> u64 {
        match payload {
            Payload::Rows(batch) => return self.rows(batch, b"\n", body),
            Payload::Events(batch) => {
                for event in &batch.events {
                    line(&json!({"cluster": &*batch.cluster, "event": event}), 1, body);
                }
            }
            Payload::RoundEnd { cluster, tick } => {
                let end = json!({"cluster": &**cluster, "end_of_round": rfc3339(tick.0)});
                line(&end, 0, body);
            }
        }
        0
    }
}

fn line(value: &Value, samples: u32, body: &mut Body) {
    // Neither values nor memory make it fail.
    let _ = serde_json::to_writer(&mut body.text, value);
    body.text.push(b'\n');
    body.end_line(samples);
}

fn labels_text(entity: &Entity, rules: &LabelRules) -> Box<[u8]> {
    let mut labels = Map::new();
    rules.visit("", entity, |name, value| {
        // A name that comes twice means its first value, as everywhere.
        labels.entry(name).or_insert_with(|| value.into());
    });
    format!(",\"labels\":{},\"samples\":[", Value::from(labels)).into_bytes().into()
}

fn field_texts(layout: &Layout, rules: &LabelRules) -> Arc<[FieldText]> {
    layout.fields().iter().map(|field| field_text(field, rules)).collect()
}

fn field_text(field: &Field, rules: &LabelRules) -> FieldText {
    let mut before = b",{".to_vec();
    json::pair("metric", field.metric.name(), &mut before);
    if let Some(labels) = field.labels.as_deref() {
        let named = labels.iter().filter_map(|(label, value)| {
            rules.name(label).map(|name| (name.to_owned(), Value::from(value)))
        });
        let named: Map<_, _> = named.collect();
        before.extend_from_slice(format!(",\"labels\":{}", Value::from(named)).as_bytes());
    }
    before.extend_from_slice(b",\"value\":");
    FieldText { before: before.into(), value_type: field.metric.value_type() }
}

fn samples(row: &Row<'_>, fields: &[FieldText], out: &mut Vec<u8>, infinite: &mut u64) -> u32 {
    let mut samples = 0;
    for (field, cell) in fields.iter().zip(row.cells) {
        if cell.is_absent() {
            continue;
        }
        let start = out.len();
        // The first has no comma in front.
        out.extend_from_slice(&field.before[usize::from(samples == 0)..]);
        if json::number(*cell, field.value_type, out) {
            out.push(b'}');
            samples += 1;
        } else {
            out.truncate(start);
            *infinite += 1;
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use heapster_shared::{
        entity::{Definition, EntityTable, Labels, Level},
        event::Event,
        row::{Block, Cell, RowHead},
        schema::table,
        tick::Tick,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::EventBatch;

    fn rows(name: &str, resource: &str, real: f64) -> Payload {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        let mut block = Block::new(Arc::new(Layout::new(vec![
            Field::plain(table::MEMORY_USAGE.def()),
            Field::resource(table::FILESYSTEM_USAGE.def(), resource),
            Field::plain(table::NETWORK_RX_RATE.def()),
            Field::plain(table::MEMORY_RSS.def()),
        ])));
        let head = RowHead { entity, time_ms: 1_795_345_201_000, interval_ms: 0 };
        block.push(head, &[Cell::int(5), Cell::int(7), Cell::real(real), Cell::ABSENT], &[]);
        let tick = Tick(1_795_345_200_000);
        Payload::Rows(Arc::new(RowBatch { cluster: "lab".into(), tick, blocks: vec![block] }))
    }

    /// The objects, as a parser that is not ours reads them, and how many values were left out.
    fn read(payload: &Payload, rules: LabelRules) -> (Vec<Value>, u64) {
        let mut body = Body::default();
        let infinite = JsonRows::new(Arc::new(rules)).lines(payload, &mut body);
        let lines = body.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), infinite)
    }

    #[test]
    fn a_row_is_an_object() {
        let (objects, infinite) = read(&rows("node a", "/", 0.5), LabelRules::default());
        let expected = json!({
            "cluster": "lab",
            "labels": {"type": "node", "nodename": "node a", "hostname": "node a"},
            "samples": [
                {"metric": "memory/usage", "value": 5},
                {"metric": "filesystem/usage", "labels": {"resource_id": "/"}, "value": 7},
                {"metric": "network/rx_rate", "value": 0.5},
            ],
            "tick": "2026-11-22T11:00:00Z",
            "time": "2026-11-22T11:00:01Z",
        });
        assert_eq!((objects, infinite), (vec![expected], 0));
    }

    #[test]
    fn labels_are_named_as_asked() {
        let rules = LabelRules::new("hostname", "nodename:node,resource_id:volume").unwrap();
        let (objects, _) = read(&rows("a", "/", 1.0), rules);
        assert_eq!(objects[0]["labels"], json!({"type": "node", "node": "a"}));
        assert_eq!(objects[0]["samples"][1]["labels"], json!({"volume": "/"}));
    }

    #[test]
    fn infinite_values_are_left_out_and_counted() {
        let (objects, infinite) = read(&rows("a", "/", f64::INFINITY), LabelRules::default());
        assert_eq!((objects[0]["samples"].as_array().unwrap().len(), infinite), (2, 1));
    }

    #[test]
    fn events_and_ends_of_rounds_are_lines_too() {
        let event = Event { message: "a\n  forged".into(), ..Event::default() };
        let events = EventBatch { cluster: "lab".into(), events: vec![event.clone(), event] };
        let (objects, _) = read(&Payload::Events(Arc::new(events)), LabelRules::default());
        assert_eq!((objects.len(), &objects[1]["event"]["message"]), (2, &json!("a\n  forged")));
        let end = Payload::RoundEnd { cluster: "lab".into(), tick: Tick(1_795_345_200_000) };
        let (objects, _) = read(&end, LabelRules::default());
        assert_eq!(objects, [json!({"cluster": "lab", "end_of_round": "2026-11-22T11:00:00Z"})]);
    }

    proptest! {
        /// Whatever a cluster calls its things, they come back as they were, each on its line.
        #[test]
        fn hostile_names_come_back(name in "\\PC*|[\\x00-\\x20\"\\\\]*", resource in ".*") {
            let (objects, _) = read(&rows(&name, &resource, 1.0), LabelRules::default());
            prop_assert_eq!(objects.len(), 1);
            if !name.is_empty() {
                prop_assert_eq!(&objects[0]["labels"]["nodename"], &json!(name));
            }
            prop_assert_eq!(&objects[0]["samples"][1]["labels"]["resource_id"], &json!(resource));
        }
    }
}
