//! Tests of the cluster's metadata: indexes, versions, full lists.

use std::collections::BTreeMap;

use heapster_shared::entity::Labels;
use proptest::prelude::*;

use super::*;
use crate::kubernetes::model::{Amounts, ContainerInfo, ContainerKind, ContainerSpec, Phase};

/// A pod of the namespace `ns` with one container.
fn pod(name: &str, uid: &str, node: &str, restarts: u32) -> PodInfo {
    let spec = ContainerSpec {
        name: "main".into(),
        image: "image".into(),
        kind: ContainerKind::Main,
        requests: Amounts::default(),
        limits: Amounts::default(),
    };
    let id = format!("{uid}-{restarts}").as_str().into();
    let container = ContainerInfo { spec: spec.into(), id, restarts };
    PodInfo {
        namespace: "ns".into(),
        name: name.into(),
        uid: uid.into(),
        kubelet_uid: None,
        node: node.into(),
        labels: Labels::default().into(),
        owner: None,
        containers: Box::new([container]),
        phase: Phase::Running,
    }
}

/// A node's version moves when one of its pods changes, and only then; a snapshot stays as it was.
#[test]
fn versions_move_only_with_the_pods_of_the_node() {
    let metadata = ClusterMetadata::default();
    assert!(!metadata.has_pods() && metadata.pods_on("a").version == 0);
    metadata.put_pod(pod("p", "1", "a", 0));
    metadata.put_pod(pod("q", "2", "b", 0));
    let (a, b) = (metadata.pods_on("a"), metadata.pods_on("b"));
    metadata.put_pod(pod("p", "1", "a", 0));
    assert_eq!(metadata.pods_on("a").version, a.version, "nothing changed");
    metadata.put_pod(pod("p", "1", "a", 1));
    assert_ne!(metadata.pods_on("a").version, a.version);
    assert_eq!(metadata.pods_on("b").version, b.version);
    assert_eq!(a.pods[0].containers[0].restarts, 0, "a snapshot does not change");
    // A pod without a node is known, and on none.
    metadata.put_pod(pod("r", "3", "", 0));
    assert!(metadata.pod("ns", "r").is_some() && metadata.pods_on("").pods.is_empty());
    metadata.put_pod(pod("r", "3", "b", 0));
    assert_eq!(metadata.pods_on("b").pods.len(), 2);
    let before = metadata.pods_on("a").version;
    metadata.remove_pod("ns", "p", "1");
    assert!(metadata.pods_on("a").pods.is_empty() && metadata.pods_on("a").version > before);
}

/// A pod that took the name of another one is not removed by the late end of that one.
#[test]
fn the_end_of_a_pod_is_not_that_of_its_successor() {
    let metadata = ClusterMetadata::default();
    metadata.put_pod(pod("db-0", "old", "a", 0));
    metadata.put_pod(pod("db-0", "new", "b", 0));
    assert!(metadata.pods_on("a").pods.is_empty());
    metadata.remove_pod("ns", "db-0", "old");
    assert_eq!(metadata.pod("ns", "db-0").unwrap().uid, "new");
}

/// Nodes that say the same again are no news; the first list is, even an empty one.
#[test]
fn node_changes_are_only_changes() {
    let metadata = ClusterMetadata::default();
    let mut changes = metadata.node_changes();
    let node = |name: &str| NodeInfo { name: name.into(), ready: true, ..NodeInfo::default() };
    let mut changed = move || {
        let changed = changes.has_changed().unwrap();
        changes.mark_unchanged();
        changed
    };
    metadata.replace_nodes(Vec::new());
    assert!(changed() && metadata.has_nodes());
    metadata.replace_nodes(vec![node("a"), node("b")]);
    assert!(changed());
    let a = metadata.node("a").unwrap();
    metadata.put_node(node("a"));
    metadata.replace_nodes(vec![node("b"), node("a")]);
    metadata.remove_node("c");
    assert!(!changed());
    assert!(Arc::ptr_eq(&a, &metadata.node("a").unwrap()));
    metadata.put_node(NodeInfo { ready: false, ..node("a") });
    assert!(changed());
    metadata.remove_node("b");
    assert!(changed() && metadata.nodes().len() == 1);
}

/// What happens to pods, by small numbers so that things meet.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, u8, u32),
    Remove(u8, u8),
    Replace(Vec<(u8, u8, u8, u32)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let a_pod = || (0..6_u8, 0..2_u8, 0..4_u8, 0..2_u32);
    let step = prop_oneof![
        4 => a_pod().prop_map(|(name, uid, node, restarts)| Step::Put(name, uid, node, restarts)),
        2 => (0..6_u8, 0..2_u8).prop_map(|(name, uid)| Step::Remove(name, uid)),
        1 => prop::collection::vec(a_pod(), 0..6).prop_map(Step::Replace),
    ];
    prop::collection::vec(step, 0..40)
}

fn numbered((name, uid, node, restarts): (u8, u8, u8, u32)) -> PodInfo {
    let node = if node == 0 { String::new() } else { format!("n{node}") };
    pod(&format!("p{name}"), &format!("u{name}.{uid}"), &node, restarts)
}

/// Every index has what a plain map of the pods says, and nothing else; a version moves exactly
/// when the pods of its node are others than before.
fn check(metadata: &ClusterMetadata, model: &BTreeMap<String, PodInfo>, before: &[PodsOnNode; 3]) {
    assert_eq!(metadata.pod_count(), model.len());
    for name in 0..6 {
        let name = format!("p{name}");
        assert_eq!(metadata.pod("ns", &name).as_deref(), model.get(&name));
    }
    let sorted = |pods: &PodsOnNode| {
        let mut pods: Vec<PodInfo> = pods.pods.iter().map(|pod| (**pod).clone()).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    };
    for (index, before) in before.iter().enumerate() {
        let node = format!("n{}", index + 1);
        let now = metadata.pods_on(&node);
        let expected: Vec<PodInfo> =
            model.values().filter(|pod| *pod.node == *node).cloned().collect();
        assert_eq!(sorted(&now), expected);
        if sorted(before) != expected {
            assert!(now.version > before.version, "{node} changed");
        }
        if now.version == before.version && now.version != 0 {
            assert!(Arc::ptr_eq(&now.pods, &before.pods), "{node} did not change");
        }
    }
}

proptest! {
    #[test]
    fn the_indexes_agree_with_a_plain_map(steps in steps()) {
        let metadata = ClusterMetadata::default();
        let mut model = BTreeMap::new();
        for step in steps {
            let before = ["n1", "n2", "n3"].map(|node| metadata.pods_on(node));
            match step {
                Step::Put(name, uid, node, restarts) => {
                    let pod = numbered((name, uid, node, restarts));
                    metadata.put_pod(pod.clone());
                    model.insert(pod.name.to_string(), pod);
                }
                Step::Remove(name, uid) => {
                    let (name, uid) = (format!("p{name}"), format!("u{name}.{uid}"));
                    metadata.remove_pod("ns", &name, &uid);
                    model.retain(|_, pod| pod.name != name || pod.uid != *uid);
                }
                Step::Replace(list) => {
                    model.clear();
                    let pods = list.into_iter().map(numbered);
                    let mut list = Vec::new();
                    for pod in pods {
                        if model.insert(pod.name.to_string(), pod.clone()).is_none() {
                            list.push(metadata.known_pod(pod));
                        } else {
                            list.retain(|listed: &Arc<PodInfo>| listed.name != pod.name);
                            list.push(metadata.known_pod(pod));
                        }
                    }
                    metadata.replace_pods(list);
                }
            }
            check(&metadata, &model, &before);
        }
    }
}

/// A full list leaves no room in the lists of the nodes, and takes none from who looks at one.
#[test]
fn a_full_list_leaves_no_room() {
    let metadata = ClusterMetadata::default();
    metadata.put_pod(pod("first", "u", "looked-at", 0));
    let looked_at = metadata.pods_on("looked-at");
    let list = |node: &str| (0..33).map(|i| pod(&format!("{node}{i}"), "u", node, 0)).collect();
    let pods: [Vec<PodInfo>; 2] = ["a", "b"].map(list);
    let pods = pods.into_iter().flatten().chain([pod("first", "u", "looked-at", 0)]);
    metadata.replace_pods(pods.map(|pod| metadata.known_pod(pod)).collect());
    for node in ["a", "b"] {
        let pods = metadata.pods_on(node).pods;
        assert_eq!((pods.len(), pods.capacity()), (33, 33));
    }
    assert!(Arc::ptr_eq(&looked_at.pods, &metadata.pods_on("looked-at").pods));
}

/// A full list that says what is known already changes nothing, not even an `Arc`.
#[test]
fn the_same_list_again_is_no_change() {
    let metadata = ClusterMetadata::default();
    let list = |metadata: &ClusterMetadata| {
        (0..100)
            .map(|i| metadata.known_pod(pod(&format!("p{i}"), &format!("u{i}"), "a", 0)))
            .collect()
    };
    metadata.replace_pods(list(&metadata));
    assert!(metadata.has_pods());
    let before = metadata.pods_on("a");
    metadata.replace_pods(list(&metadata));
    let after = metadata.pods_on("a");
    assert_eq!(before.version, after.version);
    assert!(Arc::ptr_eq(&before.pods, &after.pods));
}

/// A pod as an API server shows it: two containers, six labels, what many charts put in. What stands
/// in capitals is to be filled in.
fn typical() -> String {
    let container = |name: &str| {
        serde_json::json!({
            "name": name, "image": "registry.example.com/shop/checkout-service:v1.27.3",
            "env": [{"name": "A", "value": "B"}],
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
        })
    };
    let status = |name: &str, id: &str| {
        serde_json::json!({
            "name": name, "ready": true, "restartCount": 1, "containerID": format!("containerd://{id}HEX"),
            "state": {"running": {"startedAt": "2026-11-22T10:57:51Z"}}
        })
    };
    let pod = serde_json::json!({
        "metadata": {
            "name": "OWNER-6948c85555-INDEX", "namespace": "team-TEAM", "uid": "ed87ce48-1a23-4f9d-b7dc-INDEX",
            "creationTimestamp": "2026-11-22T10:57:07Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{...}"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "OWNER-6948c85555", "controller": true}],
            "labels": {
                "app.kubernetes.io/name": "checkout-service", "app.kubernetes.io/instance": "LABEL",
                "app.kubernetes.io/version": "v1.27.3", "app.kubernetes.io/part-of": "shop",
                "helm.sh/chart": "checkout-service-4.12.0", "pod-template-hash": "6948c85555"
            }
        },
        "spec": {"nodeName": "ip-10-0-NODE.eu-central-1.compute.internal",
            "containers": [container("checkout"), container("istio-proxy")]},
        "status": {"phase": "Running", "qosClass": "Burstable",
            "containerStatuses": [status("checkout", "a"), status("istio-proxy", "b")]}
    });
    pod.to_string()
}

fn filled_in(template: &str, index: usize, shared_labels: bool) -> String {
    let owner = format!("checkout-service-{}", index / 20);
    let label = if shared_labels { owner.clone() } else { format!("{owner}-{index:012}") };
    let text = template.replace("OWNER", &owner).replace("LABEL", &label);
    let text =
        text.replace("INDEX", &format!("{index:012}")).replace("HEX", &format!("{index:063x}"));
    text.replace("TEAM", &(index % 40).to_string()).replace("NODE", &(index / 30).to_string())
}

/// Resident memory of this process that is no file's, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1_024
}

/// The stated limit: 580 bytes of memory a pod, all told, where pods of one owner have the same
/// labels, and 940 where each pod has a label of its own.
#[test]
fn a_pod_costs_less_than_a_kilobyte() {
    use crate::kubernetes::{intern::Interner, wire::PodObject};
    const WARM: usize = 1_000;
    const PODS: usize = 8_000;
    let template = typical();
    for (shared_labels, limit) in [(true, 580), (false, 940)] {
        let metadata = ClusterMetadata::default();
        let mut interner = Interner::default();
        let mut before = 0;
        for index in 0..WARM + PODS {
            if index == WARM {
                before = resident_bytes();
            }
            let text = filled_in(&template, index, shared_labels);
            let pod: PodObject = serde_json::from_str(&text).unwrap();
            metadata.put_pod(pod.into_info(&mut interner));
        }
        let bytes = (resident_bytes() - before) / PODS;
        assert_eq!(metadata.pod_count(), WARM + PODS);
        assert!(bytes < limit, "{bytes} bytes a pod with shared labels {shared_labels}");
        assert!(bytes > 300, "{bytes} bytes a pod cannot be: nothing was measured");
        std::mem::forget(metadata); // What is freed would be used again, and not counted.
        std::mem::forget(interner);
    }
}
