//! What talks to the API server of Kubernetes, against a small one that can fail in every way.

#![allow(clippy::unwrap_used)]

mod api;
mod discovery;
mod events;
mod library;
mod login;
mod one_node;
mod watches;

use std::time::Duration;

use serde_json::{Value, json};

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/pods";
const NAMESPACES: &str = "/api/v1/namespaces";
const EVENTS: &str = "/api/v1/events";
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until a condition is met.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, met).await.is_ok(), "not in time: {what}");
}

fn node(name: &str, address: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": {"os": "linux"}},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": status, "reason": "KubeletNotReady"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}
        }
    })
}

fn pod(name: &str, node: &str, restarts: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}")},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "main", "containerID": format!("containerd://id-{name}"), "restartCount": restarts}
        ]}
    })
}
