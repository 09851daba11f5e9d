//! Points as the proxy reads them.

use std::collections::BTreeMap;

use heapster_shared::{row::Cell, schema::table};
use proptest::prelude::*;

use super::*;
use crate::sinks::samples::testing::written;

fn points(choice: Choice) -> Points {
    Points::new(choice, Arc::default())
}

fn choice() -> Choice {
    Choice { prefix: "heapster.".into(), containers: true, ..Choice::default() }
}

fn memory(choice: Choice) -> Vec<String> {
    written(points(choice), vec![Field::plain(table::MEMORY_USAGE.def())], &[Cell::int(5)])
}

/// Metric, source and tags of the Go Heapster 1.5.
#[test]
fn points_are_those_of_the_ancestor() {
    let lines = memory(choice());
    let start = "heapster.memory.usage 5 1795345201999 source=";
    let expected = [
        r#""lab.eu" cluster="lab.eu" type="cluster""#,
        r#""shop-ns" cluster="lab.eu" type="ns" namespace_name="shop""#,
        r#""10.0.0.1" cluster="lab.eu" type="node" nodename="10.0.0.1""#,
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(*line, format!("{start}{expected}"));
    }
    assert!(lines[5].contains(r#"container_name="main""#) && !lines[5].contains("hostname"));
}

#[test]
fn containers_and_labels_are_as_asked() {
    let without = memory(Choice { containers: false, ..choice() });
    assert_eq!(without.len(), 5);
    let all = Choice { pod_labels: true, cluster: Some("k".into()), ..choice() };
    assert!(memory(all)[5].contains(r#"cluster="k""#));
    let mut out = String::new();
    push_tag("label.app", "a\"b\nc\\", &mut out);
    assert_eq!(out, r#" label.app="a\"b\nc""#);
    push_tag("empty", " ", &mut out);
    push_tag("source", "x", &mut out);
    assert_eq!(out.matches('=').count(), 1);
}

#[test]
fn devices_are_tags() {
    let fields = vec![Field::resource(table::FILESYSTEM_USAGE.def(), "/")];
    let lines = written(points(choice()), fields, &[Cell::int(5)]);
    assert!(lines[2].starts_with("heapster.filesystem.usage 5 "), "{}", lines[2]);
    assert!(lines[2].ends_with(r#" resource_id="/""#), "{}", lines[2]);
}

/// A reader of the published format, written for this test.
fn read_tags(line: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = line.trim_start();
    let mut tags = BTreeMap::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut characters = value.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') if value[characters.offset()..].starts_with('"') => {
                    text.push('"');
                    characters.next();
                }
                (at, '"') => break at,
                (_, c) => text.push(c),
            }
        };
        tags.insert(name.to_owned(), text);
        rest = value[end + 1..].trim_start();
    }
    Some(tags)
}

proptest! {
    /// Whatever a label says, it stays in its quotes.
    #[test]
    fn values_cannot_break_out(value in "[a\"\\\\ =\n]{0,12}") {
        let mut out = String::new();
        push_tag("a", &value, &mut out);
        push_tag("b", "x", &mut out);
        let tags = read_tags(&out).unwrap();
        prop_assert_eq!(tags.get("b").map(String::as_str), Some("x"));
        prop_assert!(!out.contains('\n'));
        prop_assert_eq!(tags.len(), 1 + usize::from(!value.trim().is_empty()));
    }

    #[test]
    fn tags_are_no_longer_than_the_proxy_takes(value in "\\PC{0,400}") {
        prop_assert!(cut(&value, TAG_BYTES - 1).len() < TAG_BYTES);
        prop_assert!(value.starts_with(cut(&value, TAG_BYTES - 1)));
    }
}
