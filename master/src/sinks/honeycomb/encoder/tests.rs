//! Tests of the events, as a parser that is not ours reads them.

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    row::{Block, RowHead},
    schema::table,
    tick::Tick,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn rows(name: &str, labels: &[(&str, &str)], resource: &str, real: f64) -> Arc<RowBatch> {
    let entity = EntityTable::default().intern(Definition {
        parent: None,
        level: Level::Node,
        name: name.into(),
        uid: "".into(),
        start_time_ms: 0,
        labels: labels.iter().copied().collect::<Labels>(),
    });
    let mut block = Block::new(Arc::new(Layout::new(vec![
        Field::plain(table::MEMORY_USAGE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), resource),
        Field::plain(table::NETWORK_RX_RATE.def()),
        Field::resource(table::FILESYSTEM_LIMIT.def(), resource),
        Field::plain(table::MEMORY_RSS.def()),
    ])));
    let head = RowHead { entity, time_ms: 1_795_345_201_000, interval_ms: 0 };
    let cells = [Cell::int(5), Cell::int(7), Cell::real(real), Cell::int(9), Cell::ABSENT];
    block.push(head, &cells, &[]);
    let tick = Tick(1_795_345_200_000);
    Arc::new(RowBatch { cluster: "lab".into(), tick, blocks: vec![block] })
}

/// The events, how many samples they are said to have, and how many values were left out.
fn read(rows: Arc<RowBatch>, rules: LabelRules) -> (Vec<Value>, Vec<u32>, u64) {
    let (bodies, infinite) = Encoder::new(Arc::new(rules), 1 << 20).encode(&[rows], &[]);
    let text = bodies.iter().flat_map(|body| body.text.clone()).collect::<Vec<u8>>();
    let text = format!("[{}]", std::str::from_utf8(&text).unwrap().trim_end_matches(','));
    let lines = bodies.iter().flat_map(|body| &body.lines).map(|line| line.samples);
    (serde_json::from_str(&text).unwrap(), lines.collect(), infinite)
}

#[test]
fn a_row_is_an_event_and_one_for_each_volume() {
    let (events, samples, _) = read(rows("a", &[], "/", 0.5), LabelRules::default());
    let labels = json!({"cluster_name": "lab", "type": "node", "nodename": "a", "hostname": "a"});
    let with = |more: Value| {
        let mut data = labels.clone();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"time": "2026-11-22T11:00:01Z", "data": data})
    };
    let plain = with(json!({"memory/usage": 5, "network/rx_rate": 0.5}));
    let volume = with(json!({"resource_id": "/", "filesystem/usage": 7, "filesystem/limit": 9}));
    assert_eq!((events, samples), (vec![plain, volume], vec![2, 2]));
}

/// A column is a metric or a label, never both, and infinite values are counted.
#[test]
fn labels_do_not_hide_metrics() {
    let labels = [("uptime", "long"), ("resource_id", "x"), ("zone", "b")];
    let (events, _, infinite) = read(rows("a", &labels, "/", f64::INFINITY), LabelRules::default());
    assert_eq!((events[0]["data"]["zone"].as_str(), infinite), (Some("b"), 1));
    assert!(events[0]["data"].get("uptime").is_none());
    assert_eq!(events[1]["data"]["resource_id"], "/");
}

#[test]
fn labels_are_dropped_and_renamed() {
    let rules = LabelRules::new("*", "").unwrap();
    let (events, ..) = read(rows("a", &[], "/", 1.0), rules);
    let volume = json!({"filesystem/usage": 7, "filesystem/limit": 9});
    let mut all = json!({"memory/usage": 5, "network/rx_rate": 1.0});
    all.as_object_mut().unwrap().extend(volume.as_object().unwrap().clone());
    assert_eq!((events.len(), &events[0]["data"]), (1, &all), "nothing tells them apart");
    let rules = LabelRules::new("hostname", "nodename:node,resource_id:volume").unwrap();
    let (events, ..) = read(rows("a", &[], "/", 1.0), rules);
    assert_eq!(
        (&events[1]["data"]["node"], &events[1]["data"]["volume"]),
        (&json!("a"), &json!("/"))
    );
}

#[test]
fn bodies_are_of_limited_size() {
    let batches: Vec<_> = (0..20).map(|_| rows("a", &[], "/", 1.0)).collect();
    let (bodies, _) = Encoder::new(Arc::default(), 1000).encode(&batches, &[]);
    assert!(bodies.len() > 3 && bodies.iter().all(|body| body.text.len() < 1500));
    assert_eq!(bodies.iter().map(|body| body.lines.len()).sum::<usize>(), 40);
}

#[test]
fn events_of_clusters_are_events() {
    let event = Event {
        reason: "BackOff".into(),
        message: "a\n\"b\"".into(),
        object_namespace: "shop".into(),
        count: 3,
        last_unix_ms: 1_795_345_201_000,
        ..Event::default()
    };
    let batch = Arc::new(EventBatch { cluster: "lab".into(), events: vec![event] });
    let (bodies, _) = Encoder::new(Arc::default(), 1000).encode(&[], &[batch]);
    let text = bodies[0].text.strip_suffix(b",").unwrap();
    let event: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(event["time"], "2026-11-22T11:00:01Z");
    let data = &event["data"];
    assert_eq!((&data["message"], &data["count"]), (&json!("a\n\"b\""), &json!(3)));
    assert_eq!((&data["cluster_name"], &data["namespace_name"]), (&json!("lab"), &json!("shop")));
}

proptest! {
    /// Whatever a cluster calls its things, they come back as they were.
    #[test]
    fn hostile_names_come_back(name in "\\PC+|[\\x01-\\x20\"\\\\]+", label in "z.*", resource in ".*") {
        let (events, ..) = read(rows(&name, &[(&label, "v")], &resource, 1.0), LabelRules::default());
        prop_assert_eq!(events.len(), 2);
        prop_assert_eq!(&events[0]["data"]["nodename"], &json!(name));
        prop_assert_eq!(&events[0]["data"][&label], &json!("v"));
        prop_assert_eq!(&events[1]["data"]["resource_id"], &json!(resource));
    }
}
