//! Nodes as far as they are read.

use compact_str::{CompactString, format_compact};
use serde::Deserialize;

use super::{Metadata, Object, or_default};
use crate::kubernetes::model::{Amounts, NodeAddress, NodeInfo};

/// A node.
#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub(in crate::kubernetes) struct NodeObject {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

impl Object for NodeObject {
    const PATH: &'static str = "/api/v1/nodes";
    const RESOURCE: &'static str = "nodes";
    const NODE_FIELD: Option<&'static str> = Some("metadata.name");

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    unschedulable: bool,
    #[serde(rename = "providerID")]
    provider_id: CompactString,
    #[serde(deserialize_with = "or_default")]
    taints: Vec<Taint>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Taint {
    key: CompactString,
    value: CompactString,
    effect: CompactString,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<Address>,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    capacity: Amounts,
    allocatable: Amounts,
    daemon_endpoints: DaemonEndpoints,
    node_info: SystemInfo,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Address {
    #[serde(rename = "type")]
    kind: CompactString,
    address: CompactString,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: CompactString,
    status: CompactString,
    reason: CompactString,
    message: CompactString,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct DaemonEndpoints {
    kubelet_endpoint: DaemonEndpoint,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct DaemonEndpoint {
    #[serde(rename = "Port")]
    port: i32,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct SystemInfo {
    #[serde(rename = "machineID")]
    machine_id: CompactString,
    os_image: CompactString,
    kubelet_version: CompactString,
    container_runtime_version: CompactString,
}

impl NodeObject {
    /// What is kept of the node. The times of its heartbeats are not, so a heartbeat is no change.
    pub(in crate::kubernetes) fn into_info(self) -> NodeInfo {
        let Self { metadata, spec, status } = self;
        let not_ready_reason = not_ready_reason(&status.conditions);
        let address = |Address { kind, address }| NodeAddress { kind, address };
        NodeInfo {
            name: metadata.name,
            uid: metadata.uid,
            labels: metadata.labels.into_labels(),
            addresses: status.addresses.into_iter().map(address).collect(),
            kubelet_port: u16::try_from(status.daemon_endpoints.kubelet_endpoint.port).unwrap_or(0),
            ready: not_ready_reason.is_empty(),
            not_ready_reason,
            unschedulable: spec.unschedulable,
            taints: spec.taints.iter().map(taint).collect(),
            capacity: status.capacity,
            allocatable: status.allocatable,
            provider_id: spec.provider_id,
            machine_id: status.node_info.machine_id,
            os_image: status.node_info.os_image,
            kubelet_version: status.node_info.kubelet_version,
            container_runtime: status.node_info.container_runtime_version,
        }
    }
}

/// Empty for a node that is ready.
fn not_ready_reason(conditions: &[Condition]) -> CompactString {
    let ready = conditions.iter().find(|condition| condition.kind == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => CompactString::default(),
        Some(Condition { reason, message, .. }) if !message.is_empty() => {
            format_compact!("{reason}: {message}")
        }
        Some(Condition { reason, .. }) if !reason.is_empty() => reason.clone(),
        Some(Condition { status, .. }) => format_compact!("the condition Ready is {status}"),
        None => "the node has not said yet whether it is ready".into(),
    }
}

fn taint(Taint { key, value, effect }: &Taint) -> CompactString {
    if value.is_empty() {
        format_compact!("{key}:{effect}")
    } else {
        format_compact!("{key}={value}:{effect}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::wire::Page;

    #[test]
    fn a_recorded_node_is_read() {
        let text = include_str!("../../../testdata/kubernetes/nodes.json");
        let page: Page<NodeObject> = serde_json::from_str(text).unwrap();
        let node = page.items.into_iter().next().unwrap().into_info();
        assert_eq!((node.name.as_str(), node.kubelet_port, node.ready), ("node-a", 20250, true));
        let addresses: Vec<_> =
            node.addresses.iter().map(|a| (a.kind.as_str(), a.address.as_str())).collect();
        assert_eq!(addresses, [("InternalIP", "127.0.0.1"), ("Hostname", "node-a")]);
        assert_eq!(node.capacity.cpu_millicores, Some(2_000));
        assert_eq!(node.allocatable.memory_bytes, Some(24_581_684 * 1_024));
        assert_eq!(node.allocatable.ephemeral_storage_bytes, Some(267_847_642_337));
        assert_eq!(node.container_runtime, "containerd://1.6.20");
        assert_eq!(node.labels.get("kubernetes.io/hostname"), Some("node-a"));
    }

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let node = |conditions: &str, port: i64| -> NodeInfo {
            let text = format!(
                r#"{{"metadata":{{"name":"n"}},"spec":{{"taints":[{{"key":"a","effect":"NoSchedule"}},{{"key":"a","value":"b","effect":"NoExecute"}}]}},
                "status":{{"conditions":[{conditions}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":{port}}}}}}}}}"#
            );
            serde_json::from_str::<NodeObject>(&text).unwrap().into_info()
        };
        let lost = r#"{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}"#;
        let lost = node(lost, 10250);
        assert!(!lost.ready);
        assert_eq!(
            lost.not_ready_reason,
            "NodeStatusUnknown: Kubelet stopped posting node status."
        );
        assert_eq!(lost.taints, ["a:NoSchedule", "a=b:NoExecute"]);
        let young = node("", 70_000);
        assert!(!young.ready && young.not_ready_reason.contains("not said yet"));
        assert_eq!(young.kubelet_port, 0, "no port is better than a wrong one");
    }
}
