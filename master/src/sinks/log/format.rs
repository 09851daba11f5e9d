//! Payloads as text for people.

use std::fmt::Write as _;

use heapster_shared::{
    event::Event,
    row::Row,
    schema::{Metric, ValueType},
    tick::rfc3339,
};

use crate::{delivery::Payload, sinks::LabelRules};

/// Appends rows as a block of text, and a line for each event; says how many samples or events
/// there are.
pub(super) fn text(payload: &Payload, rules: &LabelRules, out: &mut String) -> u64 {
    match payload {
        Payload::Rows(batch) => {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{} {}: {} rows, {} samples",
                rfc3339(batch.tick.0),
                batch.cluster,
                batch.row_count(),
                batch.sample_count()
            );
            batch
                .blocks
                .iter()
                .flat_map(|block| block.rows())
                .map(|row| row_text(&row, rules, out))
                .sum()
        }
        Payload::Events(batch) => {
            batch.events.iter().for_each(|event| event_text(&batch.cluster, event, out));
            batch.events.len() as u64
        }
        Payload::RoundEnd { cluster, tick } => {
            let _ = writeln!(out, "{} {cluster}: end of round", rfc3339(tick.0));
            0
        }
    }
}

fn row_text(row: &Row<'_>, rules: &LabelRules, out: &mut String) -> u64 {
    let _ = write!(out, "  {}", rfc3339(row.head.time_ms));
    rules.visit("", &row.head.entity, |name, value| {
        let _ = write!(out, " {name}={}", plain(value));
    });
    out.push('\n');
    let mut samples = 0;
    for (field, cell) in row.samples() {
        let _ = write!(out, "    {}", field.metric.name());
        for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
            if let Some(name) = rules.name(label) {
                let _ = write!(out, " {name}={}", plain(value));
            }
        }
        let _ = match field.metric.value_type() {
            ValueType::Int64 => write!(out, " {}", cell.as_int().unwrap_or_default()),
            ValueType::Double => write!(out, " {}", cell.as_real().unwrap_or_default()),
        };
        let unit = unit(&field.metric);
        let gap = if unit.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{gap}{unit}");
        samples += 1;
    }
    samples
}

fn event_text(cluster: &str, event: &Event, out: &mut String) {
    let object = match event.object_namespace.as_str() {
        "" => event.object_name.clone(),
        namespace => format!("{namespace}/{}", event.object_name),
    };
    let time = rfc3339(event.last_unix_ms);
    let _ = write!(out, "{time} {cluster}: event");
    for text in [&event.kind, &event.reason, &event.object_kind, &object, &event.message] {
        let _ = write!(out, " {}", plain(text));
    }
    let _ = write!(out, " count={}", event.count);
    for (name, value) in [("component", &event.component), ("host", &event.host)] {
        if !value.is_empty() {
            let _ = write!(out, " {name}={}", plain(value));
        }
    }
    out.push('\n');
}

/// Text from outside, quoted where it could be taken for something else.
fn plain(value: &str) -> String {
    if value.chars().any(|c| c.is_control() || c == '"') || value.contains(' ') {
        format!("{value:?}")
    } else {
        value.to_owned()
    }
}

fn unit(metric: &Metric) -> &str {
    match metric {
        Metric::Known(def) => def.unit.name(),
        Metric::Custom(custom) => &custom.unit,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heapster_shared::{
        entity::{Definition, EntityTable, Labels, Level},
        row::{Block, Cell, RowBatch, RowHead},
        schema::{Field, Layout, table},
        tick::Tick,
    };

    use super::*;
    use crate::delivery::EventBatch;

    fn rows() -> Payload {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: "node a".into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        let mut block = Block::new(Arc::new(Layout::new(vec![
            Field::plain(table::MEMORY_USAGE.def()),
            Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
            Field::plain(table::MEMORY_RSS.def()),
        ])));
        let head = RowHead { entity, time_ms: 1_795_345_201_000, interval_ms: 0 };
        block.push(head, &[Cell::int(5), Cell::int(7), Cell::ABSENT], &[]);
        let tick = Tick(1_795_345_200_000);
        Payload::Rows(Arc::new(RowBatch { cluster: "lab".into(), tick, blocks: vec![block] }))
    }

    #[test]
    fn a_batch_is_a_block_of_text() {
        let mut out = String::new();
        assert_eq!(text(&rows(), &LabelRules::default(), &mut out), 2);
        assert_eq!(
            out,
            "2026-11-22T11:00:00Z lab: 1 rows, 2 samples\n  2026-11-22T11:00:01Z type=node \
             nodename=\"node a\" hostname=\"node a\"\n    memory/usage 5 bytes\n    \
             filesystem/usage resource_id=/ 7 bytes\n"
        );
    }

    /// A message from a cluster cannot make a line that looks like another event.
    #[test]
    fn an_event_stays_on_its_line() {
        let event = Event {
            message: "a\n  forged".into(),
            kind: "Warning".into(),
            reason: "BackOff".into(),
            object_kind: "Pod".into(),
            object_namespace: "shop".into(),
            object_name: "web-1".into(),
            count: 3,
            last_unix_ms: 1_795_345_201_000,
            host: "node-a".into(),
            ..Event::default()
        };
        let batch = EventBatch { cluster: "lab".into(), events: vec![event.clone(), event] };
        let mut out = String::new();
        assert_eq!(text(&Payload::Events(Arc::new(batch)), &LabelRules::default(), &mut out), 2);
        let line = "2026-11-22T11:00:01Z lab: event Warning BackOff Pod shop/web-1 \
                    \"a\\n  forged\" count=3 host=node-a\n";
        assert_eq!(out, line.repeat(2));
    }
}
