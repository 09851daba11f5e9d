//! A buddy on each node: what it asks the API server for is its own node's.

use heapster_buddy::kubernetes::{Cluster, Connector};
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    sim::{SimCluster, SimConfig, host_name},
};
use serde_json::json;

use super::until;

/// With `node` the server sends one node and its pods, in lists and in watches, and all namespaces:
/// as many buddies as nodes ask for no more than one buddy for all of them.
#[tokio::test]
async fn one_node_and_its_pods_are_asked_for() {
    let config = SimConfig { hosts: 3, pods_per_host: 4, ..SimConfig::default() };
    let sim = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&sim, ApiServerOptions::default()).await.unwrap();
    let own = host_name(1);
    let spec = format!("kubernetes:?kubeconfig={}&node={own}", api.kubeconfig().display());
    let connector = Connector::take(&mut spec.parse().unwrap()).unwrap();
    let cluster = Cluster::shared(&connector).await.unwrap();
    cluster.watch_nodes();
    cluster.watch_pods();
    let metadata = cluster.metadata();
    until("lists", || metadata.has_nodes() && metadata.has_pods() && metadata.has_namespaces())
        .await;
    let names = || metadata.nodes().iter().map(|node| node.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(), [own.as_str()]);
    assert_eq!((metadata.pod_count(), metadata.pods_on(&own).pods.len()), (4, 4));
    assert!(metadata.namespace_count() > 0);

    until("watches", || api.open_watches() == 3).await;
    let label = |node: &str, value: &str| {
        let value = json!(value);
        assert!(api.modify("nodes", node, |node| node["metadata"]["labels"]["seen"] = value));
    };
    label(&host_name(0), "other");
    label(&own, "own");
    let seen = || metadata.nodes()[0].labels.get("seen") == Some("own");
    until("the change of the own node", seen).await;
    assert_eq!(names(), [own.as_str()]);
    let targets = api.request_targets();
    for (collection, selector) in [("/nodes?", "metadata.name"), ("/pods?", "spec.nodeName")] {
        let asked = targets.iter().filter(|target| target.contains(collection));
        let mut asked = asked.inspect(|target| assert!(target.contains(selector), "{target}"));
        assert!(asked.by_ref().count() >= 2, "{targets:?}");
    }
}
