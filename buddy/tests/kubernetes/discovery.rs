//! The discovery `kubernetes` as the buddy runs it.

use std::time::Duration;

use heapster_buddy::discovery::{self, Listing};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    DEADLINE, NODES,
    api::{Api, Faults},
    node,
};

/// Longer than any test: what is seen is seen because of the watch.
const INTERVAL: Duration = Duration::from_secs(3_600);

fn discover(spec: &str) -> (watch::Receiver<Listing>, DropGuard) {
    let cancel = CancellationToken::new();
    let discovery = discovery::build(spec.parse().unwrap()).unwrap();
    let receiver =
        discovery::spawn(vec![(spec.into(), discovery)], Vec::new(), INTERVAL, cancel.clone());
    (receiver, cancel.drop_guard())
}

async fn seen(
    listing: &mut watch::Receiver<Listing>,
    wanted: impl Fn(&Listing) -> bool,
) -> Listing {
    let seen = async { listing.wait_for(|listing| wanted(listing)).await.unwrap().clone() };
    if let Ok(seen) = tokio::time::timeout(DEADLINE, seen).await {
        return seen;
    }
    panic!("not in time: {:?}", *listing.borrow());
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.hosts.iter().map(|host| host.name.as_str()).collect()
}

/// Nodes come, change and go, ready or not, and are where they say; a selector chooses.
#[tokio::test]
async fn hosts_follow_the_nodes() {
    let api = Api::start().await;
    api.put(NODES, node("a", "10.0.0.1", true));
    api.put(NODES, node("b", "10.0.0.2", false));
    let mut windows = node("w", "10.0.0.3", true);
    windows["metadata"]["labels"]["os"] = "windows".into();
    api.put(NODES, windows);
    let (mut listing, _stop) = discover(&format!("{}?selector=os=linux&labels=os", api.spec()));
    let first = seen(&mut listing, |listing| listing.states[0].ok).await;
    assert_eq!(names(&first), ["a", "b"]);
    let host = &first.hosts[0];
    assert_eq!(host.addresses, ["10.0.0.1", "a"]);
    assert_eq!((&*host.endpoints[0].kind, host.endpoints[0].port), ("kubelet", 10250));
    assert_eq!((host.labels.get("host_id"), host.labels.get("os")), (Some("uid-a"), Some("linux")));
    assert!(!first.hosts[1].ready && first.hosts[1].state == "KubeletNotReady");
    api.put(NODES, node("c", "10.0.0.4", true));
    seen(&mut listing, |listing| names(listing) == ["a", "b", "c"]).await;
    api.put(NODES, node("b", "10.0.0.2", true));
    seen(&mut listing, |listing| listing.hosts.iter().all(|host| host.ready)).await;
    api.remove(NODES, "/a");
    seen(&mut listing, |listing| names(listing) == ["b", "c"]).await;
    assert_eq!(api.count("list"), 1);
    assert_eq!(api.count("watch /api/v1/pods"), 0, "nobody asked for pods");
}

/// Before the first list nothing is said, not even that there are no hosts; an empty cluster is
/// said to be empty; and a server that goes away takes no host with it.
#[tokio::test]
async fn no_list_is_not_an_empty_list() {
    let api = Api::start().await;
    api.set_faults(Faults { refuse: Some((500, None)), ..Faults::default() });
    let (mut listing, _stop) = discover(&api.spec());
    tokio::time::sleep(Duration::from_millis(500)).await; // Time enough to get it wrong.
    assert_eq!(listing.borrow().states[0].listed_unix_ms, 0);
    api.set_faults(Faults::default());
    let empty = seen(&mut listing, |listing| listing.states[0].ok).await;
    assert!(empty.hosts.is_empty());
    api.put(NODES, node("a", "10.0.0.1", true));
    seen(&mut listing, |listing| names(listing) == ["a"]).await;
    api.stop().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // Time enough to forget it.
    assert_eq!(names(&listing.borrow()), ["a"]);
    api.put(NODES, node("b", "10.0.0.2", true));
    api.start_again().await;
    seen(&mut listing, |listing| names(listing) == ["a", "b"]).await;
}

/// A file that is missing is an error of the list, with its name, and is tried again.
#[tokio::test]
async fn a_kubeconfig_may_come_later() {
    let api = Api::start().await;
    api.put(NODES, node("a", "10.0.0.1", true));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let (mut listing, _stop) = discover(&format!("kubernetes:?kubeconfig={}", file.display()));
    seen(&mut listing, |listing| listing.states[0].error.contains("No such file")).await;
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: x, clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}], users: [], contexts: [{{name: x, context: {{cluster: c, user: u}}}}]}}",
        api.address
    );
    std::fs::write(&file, kubeconfig).unwrap();
    seen(&mut listing, |listing| names(listing) == ["a"]).await;
}
