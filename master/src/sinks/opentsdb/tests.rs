//! Points as OpenTSDB reads them.

use heapster_shared::{row::Cell, schema::table};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sinks::samples::testing::written;

fn points(max_tags: usize, fields: Vec<Field>, cells: &[Cell]) -> Vec<Value> {
    let lines = written(Points::new(None, max_tags, Arc::default()), fields, cells);
    let read = |line: &String| serde_json::from_str(line.strip_suffix(',').unwrap()).unwrap();
    lines.iter().map(read).collect()
}

#[test]
fn a_sample_is_a_point_with_tags() {
    let fields = vec![
        Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:a b"),
        Field::plain(table::NETWORK_RX_RATE.def()),
        Field::plain(table::CPU_USAGE.def()),
    ];
    let points = points(8, fields, &[Cell::int(7), Cell::real(0.5), Cell::int(9)]);
    let container = &points[points.len() - 3..];
    let tags = json!({
        "cluster": "lab.eu",
        "type": "pod_container",
        "namespace_name": "shop",
        "pod_name": "web-1",
        "container_name": "main",
        "nodename": "10.0.0.1",
        "labels": "a_b_c",
        "resource_id": "Volume_a_b",
    });
    let expected = json!({
        "metric": "filesystem_usage_gauge",
        "timestamp": 1_795_345_201_999_i64,
        "value": 7,
        "tags": tags,
    });
    assert_eq!(container[0], expected);
    assert_eq!(container[1]["metric"], "network_rx_rate_gauge");
    assert_eq!(container[1]["value"], 0.5);
    assert_eq!(container[2]["metric"], "cpu_usage_cumulative");
}

/// A database that takes fewer tags still tells the series apart as far as it can.
#[test]
fn no_point_has_more_tags_than_are_taken() {
    let fields = vec![Field::resource(table::FILESYSTEM_USAGE.def(), "/")];
    for max_tags in [2, 4, 8] {
        for point in points(max_tags, fields.clone(), &[Cell::int(7)]) {
            let tags = point["tags"].as_object().unwrap();
            assert!((1..=max_tags).contains(&tags.len()), "{max_tags}: {tags:?}");
            assert_eq!(tags["cluster"], "lab.eu");
        }
    }
}

/// A point without a tag would be refused.
#[test]
fn a_point_has_a_tag_whatever_is_dropped() {
    let rules = Arc::new(LabelRules::new("*", "").unwrap());
    let fields = vec![Field::plain(table::MEMORY_USAGE.def())];
    let lines = written(Points::new(None, 8, rules), fields, &[Cell::int(7)]);
    assert!(lines.iter().all(|line| line.contains(r#""tags":{"cluster":"lab.eu"}"#)), "{lines:?}");
}

proptest! {
    #[test]
    fn names_have_only_what_is_taken(name in "\\PC{0,20}") {
        let taken = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let legal = legal(&name);
        prop_assert!(!legal.is_empty() && legal.chars().all(taken));
    }
}
