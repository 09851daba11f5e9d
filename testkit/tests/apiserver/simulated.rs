//! Simulated kubelets and the API server tell of the same cluster.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::Authority,
    sim::{Behaviour, CertificateNames, KubeletTls, SimCluster, SimConfig},
};
use serde_json::Value;

use super::{ask, eventually, json, kubectl::kubectl, names, plain, simulated};

/// What both sides know of a pod: its name, uid, containers, their ids and restarts, its labels,
/// its owner and what it asks for.
fn facts(pod: &Value) -> Value {
    let mut facts = pod.clone();
    let metadata = facts["metadata"].as_object_mut().unwrap();
    // By these the two accounts differ in a real cluster too.
    metadata.remove("resourceVersion");
    metadata.remove("annotations");
    facts
}

async fn kubelet(api: &ApiServer, node: &str, path: &str) -> Value {
    json(api, &format!("/api/v1/nodes/{node}/proxy{path}")).await
}

#[tokio::test]
async fn kubelets_and_server_agree() {
    let (hosts, api) = simulated().await;
    let pods = json(&api, "/api/v1/pods?fieldSelector=spec.nodeName%3Dsim-00001").await;
    let own = kubelet(&api, "sim-00001", "/pods").await;
    let set = |list: &Value| -> BTreeSet<String> {
        list["items"].as_array().unwrap().iter().map(|pod| facts(pod).to_string()).collect()
    };
    assert_eq!(set(&pods), set(&own));
    let summary = kubelet(&api, "sim-00001", "/stats/summary").await;
    let uids = |list: &Value, pointer: &str| -> BTreeSet<String> {
        let pods = list.as_array().unwrap().iter();
        pods.map(|pod| pod.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(uids(&pods["items"], "/metadata/uid"), uids(&summary["pods"], "/podRef/uid"));
    let node = json(&api, "/api/v1/nodes/sim-00001").await;
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    assert_eq!(port, Some(hosts.hosts()[1].port.into()));
    let address = node["status"]["addresses"][0]["address"].as_str();
    assert_eq!(address, Some(hosts.hosts()[1].address.to_string().as_str()));
}

/// The members of an object and of all that is in it; of what is not always there, none.
fn paths(value: &Value, path: &str, paths_of: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            let free = ["labels", "annotations", "managedFields", "generateName"];
            if !free.contains(&name.as_str()) {
                paths(member, &format!("{path}.{name}"), paths_of);
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, paths_of)),
        _ => drop(paths_of.insert(path.to_owned())),
    }
}

/// Readers of real objects find all that they would find there.
#[tokio::test]
async fn objects_have_all_that_recorded_ones_have() {
    let (_hosts, api) = simulated().await;
    for (path, recorded) in [
        ("/api/v1/nodes", include_str!("../../testdata/apiserver-1.20-nodes.json")),
        ("/api/v1/pods", include_str!("../../testdata/apiserver-1.20-pods.json")),
        ("/api/v1/namespaces", include_str!("../../testdata/apiserver-1.20-namespaces.json")),
    ] {
        let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
        paths(&serde_json::from_str(recorded).unwrap(), "", &mut expected);
        paths(&json(&api, path).await, "", &mut found);
        expected.remove(".items.spec.hostNetwork");
        let missing: Vec<_> = expected.difference(&found).collect();
        assert_eq!(missing, [] as [&String; 0], "{path}");
    }
}

/// Pods that are replaced leave the list, and their successors are in it under the names that the
/// kubelet has; a host that goes silent is no longer ready.
#[tokio::test]
async fn what_happens_to_hosts_is_seen() {
    let (hosts, api) = simulated().await;
    let before = json(&api, "/api/v1/pods").await;
    hosts.set_behaviour(0, Behaviour::Churning(Duration::from_secs(600)));
    eventually("the new pods are listed", async || {
        let own = kubelet(&api, "sim-00000", "/pods").await;
        let listed = json(&api, "/api/v1/pods?fieldSelector=spec.nodeName%3Dsim-00000").await;
        names(&own).into_iter().collect::<BTreeSet<_>>()
            == names(&listed).into_iter().collect::<BTreeSet<_>>()
            && names(&listed).iter().all(|name| !names(&before).contains(name))
    })
    .await;
    assert_eq!(names(&json(&api, "/api/v1/pods").await).len(), 6);
    let reasons = json(&api, "/api/v1/events?fieldSelector=reason%3DKilling").await;
    assert_eq!(names(&reasons).len(), 3);
    hosts.set_behaviour(1, Behaviour::Silent);
    eventually("the node is not ready", async || {
        let node = json(&api, "/api/v1/nodes/sim-00001").await;
        node["status"]["conditions"][3]["status"] == "Unknown"
    })
    .await;
}

/// Hosts that were odd before the server began are so in its first list, and nothing has changed.
#[tokio::test]
async fn odd_hosts_are_there_from_the_beginning() {
    let config = SimConfig { hosts: 2, pods_per_host: 6, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    hosts.set_behaviour(0, Behaviour::Varied);
    hosts.set_behaviour(1, Behaviour::Churning(Duration::from_secs(86_400)));
    let api = ApiServer::simulated(&hosts, plain()).await.unwrap();
    let version = api.resource_version();
    let pending = json(&api, "/api/v1/pods?fieldSelector=status.phase%3DPending").await;
    assert_eq!(names(&pending), ["svc-05-0000x0"]);
    for node in ["sim-00000", "sim-00001"] {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}");
        let (listed, own) = (json(&api, &path).await, kubelet(&api, node, "/pods").await);
        let sorted = |list: &Value| -> BTreeSet<String> {
            names(list).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(sorted(&listed), sorted(&own));
    }
    assert_eq!(api.resource_version(), version);
}

#[tokio::test]
async fn kubectl_sees_simulated_pods() {
    let config = SimConfig { hosts: 26, pods_per_host: 20, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&hosts, ApiServerOptions::default()).await.unwrap();
    // More than a page of kubectl's has.
    let pods = kubectl(&api, &["get", "pods", "-A", "--no-headers"]).await;
    assert_eq!(pods.lines().count(), 520);
    assert_eq!(api.requests("list pods"), 2);
    let chosen =
        kubectl(&api, &["get", "pods", "-n", "shop", "-l", "app=svc-02", "--no-headers"]).await;
    assert_eq!(chosen.lines().count(), 26);
    let raw = kubectl(&api, &["get", "--raw", "/api/v1/nodes/sim-00003/proxy/stats/summary"]).await;
    assert!(raw.contains("sim-00003"));
}

/// Through the proxy a kubelet on TLS is reached that nobody else can verify.
#[tokio::test]
async fn the_proxy_reaches_kubelets_on_tls() {
    let authority = Arc::new(Authority::new().unwrap());
    let tls = KubeletTls {
        authority: Arc::clone(&authority),
        names: CertificateNames::NodeName,
        plain_too: false,
    };
    let config = SimConfig { pods_per_host: 2, tls: Some(tls), ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let options = ApiServerOptions { authority: Some(authority), ..plain() };
    let api = ApiServer::simulated(&hosts, options).await.unwrap();
    let summary = kubelet(&api, "sim-00000", "/stats/summary").await;
    assert_eq!(summary["node"]["nodeName"], "sim-00000");
    assert_eq!(api.requests("get nodes/proxy"), 1);
    assert_eq!(ask(&api, "/api/v1/nodes/nope/proxy/pods").await.status(), 404);
}

/// Page by page, or written in chunks.
#[tokio::test]
async fn every_pod_of_many_is_listed_once() {
    let config = SimConfig { hosts: 60, pods_per_host: 10, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&hosts, plain()).await.unwrap();
    let mut seen = BTreeSet::new();
    let mut token = String::new();
    loop {
        let page = json(&api, &format!("/api/v1/pods?limit=70&continue={token}")).await;
        for name in names(&page) {
            assert!(seen.insert(name.to_owned()), "{name} twice");
        }
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 600);
    assert_eq!(names(&json(&api, "/api/v1/pods").await).len(), 600);
}
