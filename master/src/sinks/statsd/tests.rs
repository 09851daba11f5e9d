//! Gauges as StatsD, Telegraf and Datadog's agent read them.

use heapster_shared::{row::Cell, schema::table};
use proptest::prelude::*;

use super::*;
use crate::sinks::samples::testing::written;

fn gauges(protocol: Protocol, prefix: &str) -> Gauges {
    Gauges::new(protocol, prefix, Arc::default())
}

fn memory(gauges: Gauges, value: i64) -> Vec<String> {
    written(gauges, vec![Field::plain(table::MEMORY_USAGE.def())], &[Cell::int(value)])
}

/// The names of the Go Heapster 1.5.
#[test]
fn paths_are_the_ancestors() {
    let expected = [
        "k.cluster.memory/usage:5|g",
        "k.namespace.shop.memory/usage:5|g",
        "k.node.10_0_0_1.memory/usage:5|g",
        "k.node.10_0_0_1.sys-container.system_slice/kubelet.memory/usage:5|g",
        "k.node.10_0_0_1.namespace.shop.pod.web-1.memory/usage:5|g",
        "k.node.10_0_0_1.namespace.shop.pod.web-1.container.main.memory/usage:5|g",
    ];
    assert_eq!(memory(gauges(Protocol::Etsy, "k."), 5), expected);
    let clustered = memory(gauges(Protocol::Etsy, "k.{cluster}"), 5);
    assert_eq!(clustered[0], "k.lab_eu.cluster.memory/usage:5|g");
    let volume = vec![Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:a b")];
    let lines = written(gauges(Protocol::Etsy, ""), volume, &[Cell::int(1)]);
    assert_eq!(lines[0], "cluster.filesystem/usage.Volume_a_b:1|g");
}

#[test]
fn tags_stand_where_each_dialect_has_them() {
    let volume = || vec![Field::resource(table::FILESYSTEM_USAGE.def(), "/")];
    let influx = written(gauges(Protocol::Influx, "k."), volume(), &[Cell::int(1)]);
    assert_eq!(
        influx[2],
        "k.filesystem/usage,cluster_name=lab.eu,hostname=10.0.0.1,nodename=10.0.0.1,type=node,\
         resource_id=/:1|g"
    );
    let mut dog = gauges(Protocol::Dog, "k.");
    dog.timestamps = true;
    let dog = written(dog, volume(), &[Cell::int(1)]);
    assert_eq!(
        dog[2],
        "k.filesystem.usage:1|g|#cluster_name:lab.eu,hostname:10.0.0.1,nodename:10.0.0.1,type:node,\
         resource_id:/|T1795345201"
    );
}

#[test]
fn labels_are_chosen_renamed_and_spelt() {
    let mut some = gauges(Protocol::Influx, "");
    some.allow("container_name,namespace_name,type");
    some.rename("type:k8s_type").unwrap();
    some.style = Style::LowerCamel;
    let lines = memory(some, 5);
    assert_eq!(
        lines[5],
        "memory/usage,containerName=main,k8s_type=pod_container,namespaceName=shop:5|g"
    );
    assert_eq!(Style::UpperCamel.spell("namespace_name"), "NamespaceName");
    assert_eq!(Style::LowerCamel.spell("_a__b"), "aB");
}

/// `-5|g` takes 5 from a gauge of StatsD, and sets one of Datadog's agent.
#[test]
fn negative_values_are_values() {
    let lines = memory(gauges(Protocol::Etsy, ""), -5);
    assert_eq!(lines[0], "cluster.memory/usage:0|g\ncluster.memory/usage:-5|g");
    assert!(memory(gauges(Protocol::Dog, ""), -5)[0].starts_with("memory.usage:-5|g|#"));
}

proptest! {
    /// Whatever a cluster calls its things, a gauge is one name, one value and its tags.
    #[test]
    fn names_cannot_break_out(name in "\\PC{0,20}") {
        for text in [node(&name), word(&name)] {
            prop_assert!(!text.contains(['|', ':', '#', '@', ',', '=', '\n']), "{text}");
            prop_assert!(!text.contains(char::is_whitespace));
        }
        prop_assert!(!node(&name).contains('.') && !node(&name).is_empty());
    }
}
