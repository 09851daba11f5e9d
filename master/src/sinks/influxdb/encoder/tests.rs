//! The encoder against a reader of the line protocol and against the encoder of another author.

use std::collections::BTreeMap;

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    row::{Block, RowHead},
    schema::{CustomMetric, Field, Kind, Metric, table},
    tick::Tick,
};
use influxdb2::models::{DataPoint, WriteDataPoint};
use proptest::prelude::*;

use super::*;

const TIME_MS: i64 = 1_795_345_201_234;

fn entity(labels: &[(&str, &str)]) -> Arc<Entity> {
    let mut table = EntityTable::default();
    let mut define = |parent, level, name: &str, uid: &str, labels: &[(&str, &str)]| {
        table.intern(Definition {
            parent,
            level,
            name: name.into(),
            uid: uid.into(),
            start_time_ms: TIME_MS - 1000,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    };
    let node = define(None, Level::Node, "node-a", "", &[(tag::HOST_ID, "m1")]);
    let pod = define(Some(node), Level::Pod, "web-1", "u1", &[(tag::NAMESPACE_NAME, "default")]);
    define(Some(pod), Level::PodContainer, "main", "", labels)
}

fn batch(entity: Arc<Entity>, fields: Vec<Field>, cells: &[Cell]) -> RowBatch {
    let layout = Layout::new(fields);
    let increases = vec![Cell::ABSENT; layout.counters().len()];
    let mut block = Block::new(Arc::new(layout));
    block.push(RowHead { entity, time_ms: TIME_MS, interval_ms: 0 }, cells, &increases);
    RowBatch { cluster: "lab".into(), tick: Tick(TIME_MS), blocks: vec![block] }
}

fn encode(schema: Schema, batch: &RowBatch) -> String {
    let encoded = Encoder::new(schema, None, 1 << 20).encode([batch]);
    let text: Vec<u8> = encoded.bodies.into_iter().flat_map(|body| body.text).collect();
    String::from_utf8(text).unwrap()
}

/// The tags, measurements, fields and types that the Go Heapster 1.5 wrote, as its database showed
/// them: no ids, integers as integers.
#[test]
fn lines_are_those_of_the_ancestor() {
    let fields = vec![
        Field::plain(table::CPU_USAGE_RATE.def()),
        Field::plain(table::MEMORY_PAGE_FAULTS_RATE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:a b"),
    ];
    let labels = [(tag::LABELS, "app:web,tier:a"), (tag::CONTAINER_BASE_IMAGE, "busybox")];
    let batch = batch(entity(&labels), fields, &[Cell::int(84), Cell::real(1.5), Cell::int(-3)]);
    let tags = "cluster_name=lab,container_base_image=busybox,container_name=main,\
                labels=app:web\\,tier:a,namespace_name=default,nodename=node-a,pod_name=web-1,\
                type=pod_container";
    assert_eq!(
        encode(Schema::default(), &batch),
        format!(
            "cpu/usage_rate,{tags} value=84i {TIME_MS}\n\
             memory/page_faults_rate,{tags} value=1.5 {TIME_MS}\n\
             filesystem/usage,{tags},resource_id=Volume:a\\ b value=-3i {TIME_MS}\n\
             uptime,{tags} value=1000i {TIME_MS}\n"
        )
    );
    let with_fields = Schema { with_fields: true, without_counters: true, ..Schema::default() };
    assert_eq!(
        encode(with_fields, &batch),
        format!(
            "cpu,{tags} usage_rate=84i {TIME_MS}\n\
             memory,{tags} page_faults_rate=1.5 {TIME_MS}\n\
             filesystem,{tags},resource_id=Volume:a\\ b usage=-3i {TIME_MS}\n"
        )
    );
}

/// One label with a name that the database keeps for itself must not cost the whole line.
#[test]
fn names_that_mean_something_else_are_left_out() {
    let labels = [("time", "x"), ("cluster_name", "y"), ("resource_id", "z"), ("team", "ops")];
    let usage = vec![Field::plain(table::MEMORY_USAGE.def())];
    let text = encode(Schema::default(), &batch(entity(&labels), usage, &[Cell::int(1)]));
    assert!(text.contains("team=ops") && text.contains("cluster_name=lab,"), "{text}");
    assert!(!text.contains("time=x") && !text.contains("=y") && !text.contains("=z"), "{text}");
}

#[test]
fn absent_cells_make_no_lines_and_infinite_ones_are_counted() {
    let rate = Field::plain(table::NETWORK_RX_RATE.def());
    let usage = Field::plain(table::MEMORY_USAGE.def());
    let cells = [Cell::real(f64::INFINITY), Cell::ABSENT];
    let batch = batch(entity(&[]), vec![rate, usage], &cells);
    let schema = Schema { with_fields: false, without_counters: true, ..Schema::default() };
    let encoded = Encoder::new(schema, None, 1 << 20).encode([&batch]);
    assert_eq!((encoded.bodies.len(), encoded.infinite), (0, 1));
}

/// A pod whose labels change gets a new entity, and so new tags.
#[test]
fn a_changed_entity_has_changed_tags() {
    let mut encoder = Encoder::new(Schema::default(), Some("mine".into()), 1);
    for image in ["v1", "v2"] {
        let entity = entity(&[(tag::CONTAINER_BASE_IMAGE, image)]);
        let usage = vec![Field::plain(table::MEMORY_USAGE.def())];
        let bodies = encoder.encode([&batch(entity, usage, &[Cell::int(1)])]).bodies;
        let text = String::from_utf8(bodies[0].text.clone()).unwrap();
        assert!(text.contains(&format!("cluster_name=mine,container_base_image={image},")));
    }
}

/// A point as read back from a line.
#[derive(PartialEq, Debug)]
struct Point {
    measurement: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
    time: String,
}

/// Reads a line as the protocol is documented.
fn read(line: &str) -> Point {
    let sections = split(line, ' ');
    let [series, fields, time] = &sections[..] else { panic!("{line:?}") };
    let pairs = |pairs: &[String]| -> BTreeMap<String, String> {
        let pair = |text: &String| {
            let pair = split(text, '=');
            assert_eq!(pair.len(), 2, "{text} of {line}");
            (plain(&pair[0]), plain(&pair[1]))
        };
        pairs.iter().map(pair).collect()
    };
    let series = split(series, ',');
    let (tags, fields) = (pairs(&series[1..]), pairs(&split(fields, ',')));
    // In a measurement an equals sign is nothing special.
    let measurement = series[0].replace("\\,", ",").replace("\\ ", " ");
    Point { measurement, tags, fields, time: time.clone() }
}

/// Splits at a separator that has no backslash in front, and keeps the backslashes.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut before = None;
    for c in text.chars() {
        if c == separator && before != Some('\\') {
            pieces.push(String::new());
        } else {
            pieces.last_mut().unwrap().push(c);
        }
        before = Some(c);
    }
    pieces
}

fn plain(text: &str) -> String {
    text.replace("\\,", ",").replace("\\ ", " ").replace("\\=", "=")
}

fn custom(name: &str) -> Field {
    let metric = CustomMetric {
        name: format!("custom/{name}").into(),
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: "".into(),
    };
    Field { metric: Metric::Custom(Arc::new(metric)), labels: None }
}

/// What the protocol can carry of a text.
fn carried(text: &str) -> String {
    escape::writable(text).replace(|c: char| c.is_ascii_control(), " ")
}

proptest! {
    /// Whatever stands in a name or label, the line reads back to the same point, and the encoder
    /// of the crate `influxdb2` writes the same bytes.
    #[test]
    fn lines_read_back_the_same(
        name in "[a-z ,=\\\\\"#\u{e4}]{1,8}x",
        value in "[a-z ,=\\\\\"\n\t\u{e4}]{0,12}",
        number in proptest::num::f64::NORMAL,
    ) {
        let entity = entity(&[(tag::LABELS, &value)]);
        let batch = batch(entity, vec![custom(&name)], &[Cell::real(number)]);
        let schema = Schema { with_fields: false, without_counters: true, ..Schema::default() };
        let text = encode(schema, &batch);
        let point = read(text.trim_end_matches('\n'));

        prop_assert_eq!(&point.measurement, &format!("custom/{name}"));
        let label = point.tags.get(tag::LABELS).cloned().unwrap_or_default();
        prop_assert_eq!(label, carried(&value));
        prop_assert_eq!(point.fields["value"].parse::<f64>().unwrap(), number);

        let mut other = DataPoint::builder(point.measurement).timestamp(TIME_MS);
        for (key, value) in point.tags {
            other = other.tag(key, value);
        }
        let mut expected = Vec::new();
        let other = other.field("value", number).build().unwrap();
        other.write_data_point_to(&mut expected).unwrap();
        let expected = String::from_utf8(expected).unwrap();
        // Only the digits of a double may be written in another way.
        prop_assert_eq!(head(&text), head(&expected));
    }
}

/// A line without its number and time.
fn head(line: &str) -> &str {
    line.rsplit_once("value=").unwrap().0
}
