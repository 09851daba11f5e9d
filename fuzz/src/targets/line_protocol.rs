//! Names and labels of any form on their way into line protocol and out of it.

use std::sync::Arc;

use heapster_master::sinks::influxdb_door;
use heapster_shared::{
    entity::{Definition, EntityId, EntityTable, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{CustomMetric, Field, Kind, Layout, Metric, MetricDef, MetricId, ValueType, table},
    tick::Tick,
};

use super::{Target, line_reader, text};

pub(super) const TARGETS: &[Target] = &[Target {
    name: "line-protocol",
    run: round_trip,
    recorded: &[],
    made: || {
        vec![
            b"prod\x1enode a\x1erack\x1er=1,2 \\\x1eC:\\dir\x1equeue/depth\x1e42".to_vec(),
            "größe\x1en\\\x1ea\nb\x1e\x1e\\\\\x1ex\x1e-9e99".as_bytes().to_vec(),
        ]
    },
}];

/// What is written is read by a reader of its own: each row once, under names that differ from the
/// given ones only as the protocol demands, and with the value to the last bit.
fn round_trip(input: &[u8]) {
    let parts: Vec<String> = input.split(|byte| *byte == 0x1e).map(text).collect();
    let part = |index: usize| parts.get(index).cloned().unwrap_or_default();
    let [cluster, node, label, value, device, metric] = [0, 1, 2, 3, 4, 5].map(part);
    let number: f64 = part(6).parse().unwrap_or(1.5);
    if node.is_empty() {
        return;
    }
    let batch = batch(&cluster, &node, (&label, &value), &device, &metric, number);
    for with_fields in [false, true] {
        let bodies = influxdb_door::lines(&batch, with_fields);
        let body: Vec<u8> = bodies.concat();
        let Ok(body) = String::from_utf8(body) else { panic!("no UTF-8") };
        let lines = match line_reader::lines(&body) {
            Ok(lines) => lines,
            Err(error) => panic!("{error}"),
        };
        check_tags(&lines, &cluster, &node);
        check_values(&lines, number);
    }
}

fn batch(
    cluster: &str,
    node: &str,
    (label, value): (&str, &str),
    device: &str,
    metric: &str,
    number: f64,
) -> RowBatch {
    let labels = [(label, value)].into_iter().filter(|(name, _)| !name.is_empty()).collect();
    let entity = EntityTable::starting_after(EntityId(0)).intern(Definition {
        parent: None,
        level: Level::Node,
        name: node.into(),
        uid: "u".into(),
        start_time_ms: 0,
        labels,
    });
    let name = if CustomMetric::is_legal_name(metric) { metric } else { "x" };
    let custom = CustomMetric {
        name: format!("custom/{name}").into(),
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: "".into(),
    };
    let fields = vec![
        Field::plain(known(table::MEMORY_USAGE)),
        Field::resource(known(table::FILESYSTEM_USAGE), device),
        Field { metric: Metric::Custom(Arc::new(custom)), labels: None },
    ];
    let mut block = Block::new(Arc::new(Layout::new(fields)));
    let head = RowHead { entity, time_ms: 1_800_000_000_123, interval_ms: 0 };
    block.push(head, &[Cell::int(7), Cell::int(8), Cell::real(number)], &[]);
    RowBatch { cluster: cluster.into(), tick: Tick(1_800_000_000_000), blocks: vec![block] }
}

fn known(id: MetricId) -> &'static MetricDef {
    let Some(metric) = table::by_id(id) else { panic!("the table has no metric {}", id.0) };
    metric
}

/// A text as the protocol can say it.
fn sayable(text: &str) -> String {
    let text = text.trim_end_matches('\\');
    text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect()
}

fn check_tags(lines: &[line_reader::Line], cluster: &str, node: &str) {
    for line in lines {
        assert_eq!(line.time, 1_800_000_000_123);
        let tag = |name: &str| {
            let mut found = line.tags.iter().filter(|(key, _)| key == name);
            let first = found.next().map(|(_, value)| value.clone());
            assert!(found.next().is_none(), "the tag {name} comes twice: {line:?}");
            first.unwrap_or_default()
        };
        assert_eq!(tag("nodename"), sayable(node));
        assert_eq!(tag("cluster_name"), sayable(cluster));
        let mut keys: Vec<&str> = line.tags.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count, "a tag comes twice: {line:?}");
    }
}

fn check_values(lines: &[line_reader::Line], number: f64) {
    let values: Vec<&str> =
        lines.iter().flat_map(|line| &line.fields).map(|(_, value)| value.as_str()).collect();
    let whole = values.iter().filter(|value| value.ends_with('i')).count();
    assert_eq!(whole, 2, "whole numbers of {lines:?}");
    let reals: Vec<f64> = values.iter().filter_map(|value| value.parse().ok()).collect();
    let expected = if number.is_finite() { vec![number + 0.0] } else { Vec::new() };
    assert_eq!(reals, expected, "doubles of {lines:?}");
}
