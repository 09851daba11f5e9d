//! A small cluster, made by hand.

use std::sync::Arc;

use heapster_shared::entity::Labels;

use crate::kubernetes::{
    Amounts, ContainerInfo, ContainerKind, ContainerSpec, NamespaceInfo, NodeAddress, NodeInfo,
    Owner, Phase, PodInfo,
};

/// The node of every test.
pub(super) fn node() -> NodeInfo {
    let amounts = |cpu, memory| Amounts {
        cpu_millicores: Some(cpu),
        memory_bytes: Some(memory),
        ephemeral_storage_bytes: None,
    };
    let address =
        |kind: &str, address: &str| NodeAddress { kind: kind.into(), address: address.into() };
    NodeInfo {
        name: "node-a".into(),
        uid: "uid-node-a".into(),
        labels: Labels::from_iter([("os", "linux")]),
        addresses: vec![address("InternalIP", "10.0.0.1"), address("Hostname", "node-a.example")],
        capacity: amounts(2000, 4096),
        allocatable: amounts(1900, 4000),
        provider_id: "cloud://1".into(),
        ..NodeInfo::default()
    }
}

pub(super) fn namespace(name: &str, uid: &str) -> NamespaceInfo {
    NamespaceInfo { name: name.into(), uid: uid.into(), labels: Labels::default() }
}

/// A container by its requests and limits of CPU and memory.
pub(super) fn spec(
    name: &str,
    requests: [Option<i64>; 2],
    limits: [Option<i64>; 2],
) -> ContainerSpec {
    let amounts = |[cpu, memory]: [Option<i64>; 2]| Amounts {
        cpu_millicores: cpu,
        memory_bytes: memory,
        ephemeral_storage_bytes: None,
    };
    ContainerSpec {
        name: name.into(),
        image: format!("image-of-{name}").into(),
        kind: ContainerKind::Main,
        requests: amounts(requests),
        limits: amounts(limits),
    }
}

pub(super) fn container(spec: &ContainerSpec, id: &str, restarts: u32) -> ContainerInfo {
    let spec = Arc::new(spec.clone());
    ContainerInfo { spec, id: id.into(), restarts }
}

/// A pod on the node of every test.
pub(super) fn pod(name: &str, uid: &str, specs: &[ContainerSpec], restarts: u32) -> PodInfo {
    PodInfo {
        namespace: "ns".into(),
        name: name.into(),
        uid: uid.into(),
        kubelet_uid: None,
        node: "node-a".into(),
        labels: Arc::new(Labels::from_iter([("tier", "a"), ("app", name)])),
        owner: Some(Arc::new(Owner {
            kind: "Deployment".into(),
            name: format!("{name}-owner").into(),
        })),
        containers: specs.iter().map(|spec| container(spec, "", restarts)).collect(),
        phase: Phase::Running,
    }
}
