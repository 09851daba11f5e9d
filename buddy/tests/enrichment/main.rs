//! The recorded cluster, once more: what its kubelet and its API server answered becomes what the
//! ancestor made of it, under the same names and labels with the same values. The differences that
//! are meant are in `docs/migrating.md`, and in the lists here.

#![allow(clippy::unwrap_used)]

mod ancestor;
mod kubelet;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ancestor::{Entry, names, rows_in_influxdb};
use heapster_buddy::{
    enrich::{Enricher, HostMemory, LabelRules},
    kubernetes::{Cluster, Connector},
    pipeline::{HostPipeline, Plans},
    source::{Layouts, Readings},
};
use heapster_shared::{
    entity::{Entity, Level},
    host::Host,
    row::{Block, Cell},
    tag,
};
use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};

/// One of our rows: its level, its tags, and its values by metric and `resource_id`.
#[derive(Debug)]
struct Ours {
    level: Level,
    start_time_ms: i64,
    tags: BTreeMap<String, String>,
    values: BTreeMap<(String, String), f64>,
}

/// The rows of the recorded node, of the second of two polls: the first has no rates. The second
/// has the same numbers, a minute later, and counters that went on.
async fn rows() -> Vec<Ours> {
    rows_of("summary").await
}

/// The same by way of a source.
async fn rows_of(source: &str) -> Vec<Ours> {
    let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
    let kubeconfig = api.kubeconfig();
    let spec = format!("kubernetes:?kubeconfig={}&context=heapster", kubeconfig.display());
    let connector = Connector::take(&mut spec.parse().unwrap()).unwrap();
    let cluster = Cluster::shared(&connector).await.unwrap();
    cluster.watch_nodes();
    cluster.watch_pods();
    tokio::time::timeout(Duration::from_secs(20), cluster.first_lists()).await.unwrap();

    let known = Arc::new(OnceLock::from(Arc::clone(cluster.metadata())));
    let mut enricher = Enricher::new(known, LabelRules::default());
    let (mut memory, mut pipeline, mut plans) =
        (HostMemory::default(), HostPipeline::default(), Plans::default());
    let host = Arc::new(Host::named("node-a"));
    let layouts = Layouts::default();
    let mut blocks = Vec::new();
    for later_s in [0, 60] {
        let readings = Readings::collect(kubelet::readings(source, later_s), &layouts);
        let enriched = enricher.enrich(&mut memory, &host, &readings);
        blocks = pipeline.advance(&mut plans, &host, &enriched);
    }
    blocks.iter().flat_map(ours).collect()
}

fn ours(block: &Block) -> Vec<Ours> {
    let row = |row: heapster_shared::row::Row<'_>| {
        let fields = row.layout.fields().iter().zip(row.cells);
        let values = fields.filter(|(_, cell)| !Cell::is_absent(**cell)).map(|(field, cell)| {
            let labels = field.labels.as_ref();
            let resource = labels.and_then(|labels| labels.get(tag::RESOURCE_ID));
            let key = (field.metric.name().to_owned(), resource.unwrap_or_default().to_owned());
            (key, cell.to_real(field.metric.value_type()).unwrap())
        });
        let entity = &row.head.entity;
        let (level, start_time_ms) = (entity.level, entity.start_time_ms);
        Ours { level, start_time_ms, tags: tags(entity), values: values.collect() }
    };
    block.rows().map(row).collect()
}

fn tags(entity: &Entity) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    tag::visit(entity, |name, value| {
        tags.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    });
    // As the master exports them.
    let as_container = match entity.level {
        Level::Node => Some("machine"),
        Level::Pod => Some("/pod"),
        _ => None,
    };
    tags.extend(as_container.map(|name| (tag::CONTAINER_NAME.to_owned(), name.to_owned())));
    tags
}

/// What tells the ancestor's entries apart.
fn key(tags: &BTreeMap<String, String>) -> (Option<&String>, Option<&String>) {
    (tags.get(tag::POD_ID), tags.get(tag::CONTAINER_NAME))
}

/// Metrics whose values do not move between the two recordings, and so have to be equal.
const STEADY: [&str; 5] = [
    "cpu/limit",
    "memory/limit",
    "filesystem/limit",
    "filesystem/inodes",
    "memory/major_page_faults",
];

/// The label that the ancestor gave empty, since nodes have no `externalID` any more.
const EMPTY: &str = "host_id";

#[tokio::test]
async fn every_entry_of_the_ancestor_is_there() {
    let rows = rows().await;
    let entries: Vec<Entry> = ancestor::export();
    assert_eq!(entries.len(), 10);
    for Entry { labels, metrics } in entries {
        let row = rows.iter().find(|row| key(&row.tags) == key(&labels));
        let row = row.unwrap_or_else(|| panic!("no row of {labels:?}"));
        for (name, value) in &labels {
            if name == EMPTY {
                assert!(value.is_empty() && !row.tags[name].is_empty());
            } else {
                assert_eq!(row.tags.get(name), Some(value), "{name} of {labels:?}");
            }
        }
        for (metric, points) in &metrics {
            for point in points {
                let place = (metric.clone(), point.resource_id());
                let ours = row.values.get(&place);
                let ours = ours.unwrap_or_else(|| panic!("no {place:?} of {labels:?}"));
                if STEADY.contains(&metric.as_str()) {
                    assert!(
                        (ours - point.value).abs() < 0.5,
                        "{place:?}: {ours}, not {}",
                        point.value
                    );
                }
                if metric == "uptime" {
                    assert_eq!(row.start_time_ms, point.start_ms(), "start of {labels:?}");
                }
            }
        }
    }
}

/// Beside the export: all that the ancestor kept of a node, and all that it wrote to InfluxDB.
#[tokio::test]
async fn every_name_of_the_ancestor_is_there() {
    let rows = rows().await;
    let metrics = |level: Option<Level>| -> BTreeSet<String> {
        let rows = rows.iter().filter(|row| level.is_none_or(|level| row.level == level));
        rows.flat_map(|row| row.values.keys().map(|(metric, _)| metric.clone())).collect()
    };
    let missing = |names: BTreeSet<String>, level| -> Vec<String> {
        names.difference(&metrics(level)).cloned().collect()
    };
    let of_node = names(ancestor::NODE_METRICS);
    assert_eq!(of_node.len(), 30);
    assert_eq!(missing(of_node, Some(Level::Node)), [""; 0]);
    let measurements = ancestor::measurements();
    assert_eq!(measurements.len(), 36);
    assert_eq!(missing(measurements, None), [""; 0]);
}

/// The tags of a point are the ancestor's with the same values; ours has the owner beside. Sums over
/// namespaces and the cluster are the master's.
#[tokio::test]
async fn every_series_of_the_ancestor_goes_on() {
    let rows = rows().await;
    let theirs = rows_in_influxdb();
    let summed = |tags: &BTreeMap<String, String>| matches!(&*tags["type"], "cluster" | "ns");
    let of_ours = |tags: &BTreeMap<String, String>| {
        rows.iter().any(|row| {
            let has = |(name, value): (&String, &String)| row.tags.get(name) == Some(value);
            let added = row.tags.iter().filter(|(name, _)| !tags.contains_key(*name));
            let mut added = added.filter(|(name, _)| !NOT_IN_INFLUXDB.contains(&name.as_str()));
            tags.iter().all(has) && added.all(|(name, _)| name.starts_with("owner_"))
        })
    };
    assert_eq!(theirs.iter().filter(|tags| !summed(tags)).count(), 6);
    for tags in theirs.iter().filter(|tags| !summed(tags)) {
        assert!(of_ours(tags), "{tags:?}");
    }
}

/// Tags that the sink leaves out, as the ancestor's did; and the container's name that only the
/// export gives to pods and nodes.
const NOT_IN_INFLUXDB: [&str; 5] =
    [tag::NAMESPACE_ID, tag::POD_ID, tag::HOSTNAME, tag::HOST_ID, tag::CONTAINER_NAME];

/// Exactly: what the API server says of the node and its pods.
#[tokio::test]
async fn what_only_the_api_server_knows_is_exact() {
    let rows = rows().await;
    let node = rows.iter().find(|row| row.level == Level::Node).unwrap();
    let value = |row: &Ours, metric: &str| {
        row.values.get(&(metric.to_owned(), String::new())).copied().unwrap_or(f64::NAN)
    };
    let memory = 24_581_684.0 * 1024.0;
    let requested = 2.0 * (16.0 + 32.0) * 1024.0 * 1024.0;
    for (metric, expected) in [
        ("cpu/node_capacity", 2000.0),
        ("cpu/node_allocatable", 2000.0),
        ("memory/node_capacity", 24_684_084.0 * 1024.0),
        ("memory/node_allocatable", memory),
        ("cpu/request", 200.0),
        ("memory/request", requested),
        ("cpu/node_reservation", 0.1),
        ("memory/node_reservation", requested / memory),
        ("memory/node_utilization", value(node, "memory/usage") / memory),
        ("cpu/node_utilization", value(node, "cpu/usage_rate") / 2000.0),
    ] {
        assert!((value(node, metric) - expected).abs() < 1e-9, "{metric}: {}", value(node, metric));
    }
    let pods: Vec<_> = rows.iter().filter(|row| row.level == Level::Pod).collect();
    let burner = pods.iter().find(|row| row.tags["pod_name"].starts_with("burner")).unwrap();
    assert_eq!((value(burner, "cpu/request"), value(burner, "restart_count")), (100.0, 0.0));
    assert_eq!(
        (&*burner.tags[tag::OWNER_KIND], &*burner.tags[tag::OWNER_NAME]),
        ("Deployment", "burner")
    );
    let bare = pods.iter().find(|row| row.tags["pod_name"] == "hostnet").unwrap();
    assert_eq!(bare.tags.get(tag::OWNER_KIND), None);
}

/// Requests and limits are in no answer of a kubelet that is used: with the source
/// `kubelet-cadvisor`, too, they are on the rows of containers, pods and the node.
#[tokio::test]
async fn requests_and_limits_come_with_every_source() {
    let amounts = |rows: Vec<Ours>| {
        let mut amounts = BTreeMap::new();
        for row in rows.iter().filter(|row| row.level != Level::SysContainer) {
            for metric in ["cpu/request", "cpu/limit", "memory/request", "memory/limit"] {
                let value = row.values.get(&(metric.to_owned(), String::new())).copied();
                let name = |tag: &str| row.tags.get(tag).cloned().unwrap_or_default();
                let who = [tag::POD_NAME, tag::CONTAINER_NAME].map(name);
                amounts.insert((row.level, who, metric), value);
            }
        }
        amounts
    };
    let by_cadvisor = amounts(rows_of("kubelet-cadvisor").await);
    assert_eq!(by_cadvisor, amounts(rows().await));
    let of_busy = by_cadvisor.iter().filter(|((level, who, metric), _)| {
        *level == Level::PodContainer && who[1] == "cpu" && *metric == "cpu/limit"
    });
    assert_eq!(of_busy.map(|(_, value)| *value).collect::<Vec<_>>(), [Some(200.0); 2]);
}
