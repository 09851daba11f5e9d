//! Paths and tags as carbon reads them.

use heapster_shared::{row::Cell, schema::table};
use proptest::prelude::*;

use super::*;
use crate::sinks::samples::testing::written;

fn paths(prefix: &str, tags: bool) -> Paths {
    Paths::new(prefix, tags, Arc::default()).unwrap()
}

/// The hierarchy of the Go Heapster 1.5.
#[test]
fn the_hierarchy_is_the_ancestors() {
    let fields = vec![Field::plain(table::MEMORY_USAGE.def())];
    let lines = written(paths("kubernetes", false), fields, &[Cell::int(-5)]);
    let expected = [
        "cluster",
        "namespaces.shop",
        "nodes.10_0_0_1",
        "nodes.10_0_0_1.sys-containers.system_slice_kubelet",
        "nodes.10_0_0_1.pods.shop.web-1",
        "nodes.10_0_0_1.pods.shop.web-1.containers.main",
    ];
    let expected = expected.map(|path| format!("kubernetes.{path}.memory.usage -5 1795345201"));
    assert_eq!(lines, expected);
}

/// In the ancestor all volumes of a thing had one path.
#[test]
fn volumes_have_paths_of_their_own() {
    let fields = ["/", "Volume:a_b", "Volume:a b"];
    let fields = fields.map(|name| Field::resource(table::FILESYSTEM_USAGE.def(), name));
    let cells = [Cell::int(1), Cell::int(2), Cell::int(3)];
    let lines = written(paths("{cluster}.k", false), fields.to_vec(), &cells);
    let expected = ["_2F", "Volume:a_5Fb", "Volume:a_20b"];
    for (line, (resource, value)) in lines.iter().zip(expected.iter().zip(1..)) {
        let path = format!("lab_eu.k.cluster.filesystem.{resource}.usage {value} 1795345201");
        assert_eq!(*line, path);
    }
}

#[test]
fn labels_can_be_tags() {
    let fields = vec![Field::resource(table::FILESYSTEM_USAGE.def(), "/")];
    let lines = written(paths("", true), fields, &[Cell::int(7)]);
    assert_eq!(
        lines[5],
        "filesystem.usage;cluster_name=lab.eu;container_name=main;hostname=10.0.0.1;labels=a_b_c;\
         namespace_name=shop;nodename=10.0.0.1;pod_name=web-1;type=pod_container;resource_id=/ 7 \
         1795345201"
    );
}

#[test]
fn prefixes_that_no_path_can_have_are_refused() {
    for prefix in ["a b", "a..b", ".", "a/b", "{host}"] {
        assert!(Paths::new(prefix, false, Arc::default()).is_err(), "{prefix}");
    }
    assert!(Paths::new("{cluster}", true, Arc::default()).unwrap_err().contains("tags=true"));
    assert!(paths("k", false).mixes_clusters() && !paths("k", true).mixes_clusters());
    assert!(!paths("k.{cluster}", false).mixes_clusters());
}

proptest! {
    /// Whatever a cluster calls its things, a line has a path, a value and a time.
    #[test]
    fn names_cannot_break_out_of_their_line(name in "\\PC{0,20}", other in "\\PC{0,20}") {
        for text in [node(&name), resource(&name), tag("label", &name), tag(&name, "value")] {
            prop_assert!(!text.contains(char::is_whitespace) && !text.contains(char::is_control));
        }
        prop_assert!(!node(&name).contains(['.', '/', ';']));
        prop_assert!(!node(&name).is_empty() && !resource(&name).is_empty());
        prop_assert_eq!(tag("a", &name).matches(';').count(), usize::from(!name.is_empty()));
        if name != other && !name.is_empty() && !other.is_empty() {
            prop_assert_ne!(resource(&name), resource(&other));
        }
    }
}
