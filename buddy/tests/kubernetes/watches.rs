//! Watches: nothing is lost, nothing vanishes, and the API server is never stormed.

use std::{sync::Arc, time::Duration};

use heapster_buddy::kubernetes::{Cluster, ClusterMetadata, Connector, WatchState};
use serde_json::json;

use super::{
    NAMESPACES, NODES, PODS,
    api::{Api, Faults},
    node, pod, until,
};

/// More than two pages.
const MANY: usize = 1_203;

async fn cluster_of(api: &Api) -> Arc<Cluster> {
    let connector = Connector::take(&mut api.spec().parse().unwrap()).unwrap();
    let cluster = Cluster::shared(&connector).await.unwrap();
    cluster.watch_nodes();
    cluster.watch_pods();
    cluster
}

/// An API server with a node and many pods, and a cluster that knows them.
async fn running() -> (Api, Arc<Cluster>) {
    let api = Api::start().await;
    api.put(NODES, node("a", "10.0.0.1", true));
    api.put(NAMESPACES, json!({"metadata": {"name": "ns", "uid": "u", "labels": {"team": "x"}}}));
    for index in 0..MANY {
        api.put(PODS, pod(&format!("p{index}"), if index % 2 == 0 { "a" } else { "b" }, 0));
    }
    let cluster = cluster_of(&api).await;
    all_listed(&cluster).await;
    (api, cluster)
}

async fn all_listed(cluster: &Cluster) {
    let metadata = cluster.metadata();
    let listed = || metadata.has_nodes() && metadata.has_pods() && metadata.has_namespaces();
    until("the first lists", listed).await;
}

fn restarts(metadata: &ClusterMetadata, name: &str) -> Option<u32> {
    metadata.pod("ns", name).map(|pod| pod.containers[0].restarts)
}

fn state_of(cluster: &Cluster, resource: &str) -> WatchState {
    cluster.watch_states().into_iter().find(|state| state.resource == resource).unwrap()
}

/// Everything is read page by page, found by every key, and kept up to date by one watch each.
#[tokio::test]
async fn everything_is_listed_once_and_then_watched() {
    let (api, cluster) = running().await;
    let metadata = cluster.metadata();
    assert_eq!((api.count("list /api/v1/pods"), api.count("page /api/v1/pods")), (1, 2));
    assert_eq!(metadata.pod_count(), MANY);
    assert_eq!(metadata.namespace("ns").unwrap().labels.get("team"), Some("x"));
    assert_eq!(metadata.node("a").unwrap().kubelet_port, 10250);
    assert_eq!(metadata.pods_on("a").pods.len(), MANY.div_ceil(2));
    let known = metadata.pod("ns", "p7").unwrap();
    assert!(known.uid == "uid-p7" && known.containers[0].id == "id-p7", "{known:?}");
    let before = (metadata.pods_on("a").version, metadata.pods_on("b").version);
    api.put(PODS, pod("p0", "a", 1));
    api.put(PODS, pod("new", "a", 0));
    api.remove(PODS, "ns/p2");
    api.put(NODES, node("b", "10.0.0.2", false));
    api.remove(NAMESPACES, "/ns");
    until("the changes", || {
        restarts(metadata, "p0") == Some(1)
            && metadata.pod("ns", "new").is_some()
            && metadata.pod("ns", "p2").is_none()
            && metadata.node("b").is_some_and(|node| !node.ready)
            && metadata.namespace("ns").is_none()
    })
    .await;
    assert_ne!(metadata.pods_on("a").version, before.0);
    assert_eq!(metadata.pods_on("b").version, before.1, "no pod of this node changed");
    let state = state_of(&cluster, "pods");
    assert_eq!((state.lists, state.watches, state.events, state.objects), (1, 1, 3, MANY));
    assert!(state.synced && state.failing_since_unix_ms == 0 && state.heard_unix_ms > 0);
}

/// Whoever connects to the same server shares its client and watches; they end with the last one.
#[tokio::test]
async fn one_server_has_one_cluster() {
    let (api, cluster) = running().await;
    let again = cluster_of(&api).await;
    assert!(Arc::ptr_eq(&cluster, &again));
    assert_eq!(api.count("list /api/v1/pods"), 1);
    drop((cluster, again));
    let anew = cluster_of(&api).await;
    all_listed(&anew).await;
    assert_eq!(api.count("list /api/v1/pods"), 2);
}

/// What happens while the server is away is seen when it is back, without a new list.
#[tokio::test]
async fn a_restarted_server_is_resumed_without_a_gap() {
    let (api, cluster) = running().await;
    let metadata = cluster.metadata();
    for round in 1..=3 {
        api.stop().await;
        api.put(PODS, pod("p0", "a", round));
        api.put(PODS, pod("p1", "b", round));
        api.remove(PODS, &format!("ns/p{}", 10 + round));
        until("the trouble", || {
            let state = state_of(&cluster, "pods");
            state.failing_since_unix_ms != 0 && state.last_error.contains("refused")
        })
        .await;
        assert!(metadata.pod_count() > MANY - 4, "what is known stands");
        api.start_again().await;
        until("the changes", || {
            restarts(metadata, "p0") == Some(round)
                && restarts(metadata, "p1") == Some(round)
                && metadata.pod_count() == MANY - round as usize
        })
        .await;
        until("recovery", || state_of(&cluster, "pods").failing_since_unix_ms == 0).await;
    }
    assert_eq!(api.count("list"), 3, "one list of each resource: {:?}", api.requests());
    assert_eq!(api.count("page"), 2);
}

/// A watch that the server ends is taken up again at once, where it was.
#[tokio::test]
async fn a_watch_that_ends_in_time_is_no_trouble() {
    let (api, cluster) = running().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await; // Younger, it would be a short watch.
    api.cut_watches();
    api.put(PODS, pod("p0", "a", 1));
    until("the change", || restarts(cluster.metadata(), "p0") == Some(1)).await;
    let state = state_of(&cluster, "pods");
    assert_eq!((state.lists, state.watches, state.failures), (1, 2, 0), "{state:?}");
}

/// A version that the server has forgotten, said in either way, leads to one new list, however long
/// that takes; until it is complete everything that is known stands, and a node whose pods did not
/// change meanwhile has the same version.
#[tokio::test]
async fn an_expired_version_leads_to_a_new_list_without_a_hole() {
    for gone_by_status in [false, true] {
        let (api, cluster) = running().await;
        let metadata = Arc::clone(cluster.metadata());
        let before = (metadata.pods_on("a").version, metadata.pods_on("b").version);
        let watcher = tokio::spawn(async move {
            let mut fewest = usize::MAX;
            while metadata.pod("ns", "p2").is_some() {
                fewest = fewest.min(metadata.pod_count());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            fewest
        });
        api.stop().await;
        api.remove(PODS, "ns/p2");
        api.put(PODS, pod("p4", "a", 5));
        api.compact();
        api.set_faults(Faults { second_page: Some((500, 2)), gone_by_status, ..Faults::default() });
        api.start_again().await;
        let metadata = cluster.metadata();
        until("the new list", || restarts(metadata, "p4") == Some(5)).await;
        let fewest = tokio::time::timeout(super::DEADLINE, watcher).await.unwrap().unwrap();
        assert_eq!(fewest, MANY, "nothing vanishes before the new list is complete");
        assert_eq!(metadata.pod_count(), MANY - 1);
        assert_ne!(metadata.pods_on("a").version, before.0);
        assert_eq!(metadata.pods_on("b").version, before.1);
        assert_eq!(api.count("list /api/v1/pods"), 2, "{:?}", api.requests());
        assert_eq!(api.count("page /api/v1/pods"), 2 + 2 + 2, "a failed page is asked for again");
    }
}

/// A list whose next page has expired begins anew.
#[tokio::test]
async fn an_expired_page_begins_the_list_anew() {
    let api = Api::start().await;
    for index in 0..MANY {
        api.put(PODS, pod(&format!("p{index}"), "a", 0));
    }
    api.set_faults(Faults { second_page: Some((410, 1)), ..Faults::default() });
    let cluster = cluster_of(&api).await;
    all_listed(&cluster).await;
    assert_eq!(cluster.metadata().pod_count(), MANY);
    assert_eq!(api.count("list /api/v1/pods"), 2);
}

/// Bookmarks move a quiet watch on, so that it can be resumed when everything before is forgotten.
#[tokio::test]
async fn bookmarks_keep_a_quiet_watch_young() {
    let (api, cluster) = running().await;
    for round in 0..5 {
        api.put(NODES, node("a", &format!("10.0.0.{}", 9 + round), true));
    }
    api.bookmark(PODS);
    let seen =
        || cluster.metadata().node("a").is_some_and(|n| n.addresses[1].address == "10.0.0.13");
    until("the nodes", seen).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await; // Younger, it would be a short watch.
    api.compact();
    api.cut_watches();
    until("the list of nodes", || api.count("list /api/v1/nodes") == 2).await;
    api.put(PODS, pod("p0", "a", 1));
    until("the change", || restarts(cluster.metadata(), "p0") == Some(1)).await;
    assert_eq!(api.count("list /api/v1/pods"), 1, "{:?}", api.requests());
}

/// A server in trouble, one that ends every watch, and one that asks to be left alone are asked a
/// few times, with longer and longer waits, and never for a list.
#[tokio::test]
async fn a_server_in_trouble_is_not_stormed() {
    let trouble = [
        (Faults { refuse: Some((503, None)), ..Faults::default() }, 1..=4),
        (Faults { short_watches: true, ..Faults::default() }, 1..=4),
        // Whoever asks first is told so for all.
        (Faults { refuse: Some((429, Some(60))), ..Faults::default() }, 0..=1),
    ];
    for (faults, expected) in trouble {
        let (api, cluster) = running().await;
        let before = api.requests().len();
        api.set_faults(faults);
        api.cut_watches();
        until("the trouble", || state_of(&cluster, "pods").failing_since_unix_ms != 0).await;
        tokio::time::sleep(Duration::from_secs(4)).await; // The time in which requests are counted.
        let requests = api.requests().split_off(before);
        for path in [NODES, PODS, NAMESPACES] {
            let watches = requests.iter().filter(|request| request.contains(path)).count();
            assert!(expected.contains(&watches), "{watches} for {path}: {requests:?}");
        }
        assert!(requests.iter().all(|request| request.starts_with("watch")), "{requests:?}");
        assert_eq!(cluster.metadata().pod_count(), MANY);
    }
}

/// A user who may not list pods is told so, while what they may see is seen.
#[tokio::test]
async fn what_is_forbidden_is_said_by_name() {
    let api = Api::start().await;
    api.set_faults(Faults { refuse: Some((403, None)), ..Faults::default() });
    let cluster = cluster_of(&api).await;
    until("the error", || cluster.watch_states().iter().all(|state| state.failures > 0)).await;
    let state = state_of(&cluster, "pods");
    assert!(
        state.last_error.contains("403") && state.last_error.contains("ClusterRole"),
        "{state:?}"
    );
    assert!(!state.synced && !cluster.metadata().has_pods());
    api.set_faults(Faults::default());
    all_listed(&cluster).await;
    until("recovery", || cluster.watch_states().iter().all(|s| s.failing_since_unix_ms == 0)).await;
}
