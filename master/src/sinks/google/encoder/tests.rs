//! The encoder against an independent reader of JSON, and against the rules of requests.

use std::collections::BTreeSet;

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    row::{Block, Cell, RowHead},
    schema::{Field, Layout, table},
    tag,
    tick::Tick,
};
use proptest::prelude::*;
use serde_json::Value;

use super::{
    pass::{INFINITE, NO_START},
    *,
};

const TIME_MS: i64 = 1_795_345_201_234;

fn node(name: &str, start_time_ms: i64, labels: &[(&str, &str)]) -> Arc<Entity> {
    EntityTable::default().intern(Definition {
        parent: None,
        level: Level::Node,
        name: name.into(),
        uid: "".into(),
        start_time_ms,
        labels: labels.iter().copied().collect::<Labels>(),
    })
}

fn batch(entities: &[Arc<Entity>], fields: Vec<Field>, cells: &[Cell], time_ms: i64) -> RowBatch {
    let layout = Layout::new(fields);
    let increases = vec![Cell::ABSENT; layout.counters().len()];
    let mut block = Block::new(Arc::new(layout));
    for entity in entities {
        let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms: 0 };
        block.push(head, cells, &increases);
    }
    RowBatch { cluster: "lab".into(), tick: Tick(time_ms), blocks: vec![block] }
}

fn encoder(rules: LabelRules) -> Encoder {
    let schema = Schema {
        models: vec![Model::Custom],
        labels: ["type", "hostname", "host_id"].map(String::from).into(),
        rules: Arc::new(rules),
        cluster_name: None,
        descriptors: true,
    };
    let place = Place { project: "p".into(), location: "europe-west1".into() };
    Encoder::new(schema, place.into(), Pace::new(10_000, 3_600_000))
}

fn series(request: &Request) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["timeSeries"].as_array().unwrap().clone()
}

#[test]
fn a_series_is_as_the_api_has_it() {
    let node = node("node-a", TIME_MS - 1000, &[(tag::HOST_ID, "m1")]);
    let batch =
        batch(&[node], vec![Field::plain(table::CPU_USAGE.def())], &[Cell::int(7)], TIME_MS);
    let rules = LabelRules::new("hostname", "host_id:machine").unwrap();
    let encoded = encoder(rules).encode([&batch], TIME_MS);
    let expected = serde_json::json!({
        "metric": {
            "type": "custom.googleapis.com/kubernetes.io/cpu/usage",
            "labels": {"type": "node", "machine": "m1"},
        },
        "resource": {"type": "k8s_node", "labels": {
            "project_id": "p", "location": "europe-west1", "cluster_name": "lab",
            "node_name": "node-a",
        }},
        "metricKind": "CUMULATIVE",
        "valueType": "INT64",
        "points": [{
            "interval": {
                "startTime": "2026-11-22T11:00:00.234Z", "endTime": "2026-11-22T11:00:01.234Z",
            },
            "value": {"int64Value": "7"},
        }],
    });
    assert_eq!(series(&encoded.waves[0][0])[0], expected);
    let described: Vec<&str> = encoded.descriptors.iter().map(|one| one.name.as_str()).collect();
    let uptime = "custom.googleapis.com/kubernetes.io/uptime";
    assert!(described.contains(&uptime), "{described:?}");
}

/// Infinite values and totals that begin nowhere are refused here, and counted.
#[test]
fn what_cannot_be_written_is_counted() {
    let node = node("node-a", 0, &[]);
    let fields =
        vec![Field::plain(table::NETWORK_RX_RATE.def()), Field::plain(table::NETWORK_RX.def())];
    let batch = batch(&[node], fields, &[Cell::real(f64::INFINITY), Cell::int(1)], TIME_MS);
    let encoded = encoder(LabelRules::default()).encode([&batch], TIME_MS);
    assert_eq!(encoded.waves.len(), 0);
    assert_eq!(encoded.refused, [(INFINITE, 1), (NO_START, 1)]);
}

/// A write that failed is encoded again; one that was taken is not, and counts as written.
#[test]
fn only_what_was_taken_is_not_sent_again() {
    let nodes = [node("node-a", 0, &[]), node("node-b", 0, &[])];
    let usage = || vec![Field::plain(table::MEMORY_USAGE.def())];
    let batch = batch(&nodes, usage(), &[Cell::int(1)], TIME_MS);
    let mut encoder = encoder(LabelRules::default());
    let first = encoder.encode([&batch], TIME_MS);
    let again = encoder.encode([&batch], TIME_MS);
    assert_eq!(first.waves[0][0].body, again.waves[0][0].body);
    encoder.took(again.waves[0][0].rows[..1].to_vec());
    let rest = encoder.encode([&batch], TIME_MS);
    assert_eq!((rest.written, rest.waves[0][0].samples), (1, 1));
    assert_eq!(series(&rest.waves[0][0])[0]["resource"]["labels"]["node_name"], "node-b");
}

#[test]
fn a_metric_is_described_until_it_was() {
    let nodes = [node("node-a", 0, &[])];
    let usage = || vec![Field::plain(table::MEMORY_USAGE.def())];
    let mut encoder = encoder(LabelRules::default());
    let mut undescribed = || {
        let batch = batch(&nodes, usage(), &[Cell::int(1)], TIME_MS);
        let names = encoder.encode([&batch], TIME_MS).descriptors;
        let before = names.len();
        encoder.described("custom.googleapis.com/kubernetes.io/memory/usage");
        before
    };
    // The uptime of every layout is the other one.
    assert_eq!([undescribed(), undescribed(), undescribed()], [2, 1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes: a request has at most 200 series, each once and with one point, a row is in
    /// one request where it can be, later times come in later waves, and no sample is lost.
    #[test]
    fn requests_keep_the_rules(
        names in proptest::collection::vec("[a-c\"\\\\\u{e4}]{1,2}", 1..12),
        volumes in 1_usize..230,
        ticks in 1_i64..4,
    ) {
        let names: BTreeSet<String> = names.into_iter().collect();
        let entities: Vec<_> = names.iter().map(|name| node(name, 0, &[])).collect();
        let field = |number: usize| {
            Field::resource(table::FILESYSTEM_USAGE.def(), &format!("Volume:{number}"))
        };
        let fields = || (0..volumes).map(field).collect::<Vec<_>>();
        let cells = vec![Cell::int(5); volumes];
        let batches: Vec<_> = (0..ticks)
            .map(|tick| batch(&entities, fields(), &cells, TIME_MS + tick * 15_000))
            .collect();
        let encoded = encoder(LabelRules::default()).encode(&batches, TIME_MS);
        prop_assert_eq!(encoded.waves.len(), usize::try_from(ticks).unwrap());
        let mut total = 0;
        for (tick, wave) in (0..).zip(&encoded.waves) {
            let mut seen = BTreeSet::new();
            for request in wave {
                let series = series(request);
                prop_assert!(series.len() <= 200 && series.len() as u64 == request.samples);
                total += series.len();
                for one in &series {
                    let identity = format!("{}{}", one["metric"], one["resource"]);
                    prop_assert!(seen.insert(identity), "a series twice");
                    let end = one["points"][0]["interval"]["endTime"].as_str().unwrap();
                    let end: jiff::Timestamp = end.parse().unwrap();
                    prop_assert_eq!(end.as_millisecond(), TIME_MS + tick * 15_000);
                }
            }
            let rows: usize = wave.iter().map(|request| request.rows.len()).sum();
            prop_assert!(volumes > 200 || rows == entities.len(), "a row was parted");
        }
        prop_assert_eq!(total as i64, (volumes * entities.len()) as i64 * ticks);
    }
}
