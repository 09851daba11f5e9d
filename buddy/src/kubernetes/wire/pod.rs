//! Pods as far as they are read.

use compact_str::CompactString;
use serde::Deserialize;

use super::{Metadata, Object, or_default};
use crate::kubernetes::{
    ids::ContainerId,
    intern::Interner,
    model::{Amounts, ContainerInfo, ContainerKind, ContainerSpec, PodInfo},
    owner::Clues,
};

/// A pod.
#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub(in crate::kubernetes) struct PodObject {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

impl Object for PodObject {
    const PATH: &'static str = "/api/v1/pods";
    const RESOURCE: &'static str = "pods";
    const NODE_FIELD: Option<&'static str> = Some("spec.nodeName");

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: CompactString,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: CompactString,
    image: CompactString,
    resources: Resources,
    restart_policy: CompactString,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Resources {
    requests: Amounts,
    limits: Amounts,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: CompactString,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: CompactString,
    #[serde(rename = "containerID")]
    container_id: CompactString,
    restart_count: u32,
}

impl PodObject {
    /// What is kept of the pod; what it shares with others is shared.
    pub(in crate::kubernetes) fn into_info(self, interner: &mut Interner) -> PodInfo {
        let Self { metadata, spec, status } = self;
        let kubelet_uid = metadata.annotations.config_mirror;
        let labels = interner.labels(metadata.labels.into_labels());
        let controller = metadata.owner_references.iter().find(|owner| owner.controller);
        let clues = Clues {
            pod_name: &metadata.name,
            node: &spec.node_name,
            is_static: kubelet_uid.is_some(),
            controller: controller.map(|owner| (owner.kind.as_str(), owner.name.as_str())),
            template_hash: labels.get(Clues::TEMPLATE_HASH),
        };
        let owner = clues.owner().map(|owner| interner.owner(owner));
        // As long as it will be: to cut a longer one leaves a hole in the heap for each pod.
        let mut containers = Vec::with_capacity(spec.init_containers.len() + spec.containers.len());
        containers.extend(spec.init_containers.into_iter().map(|container| {
            let kind = match container.restart_policy.as_str() {
                "Always" => ContainerKind::Sidecar,
                _ => ContainerKind::Init,
            };
            container.into_info(kind, &status.init_container_statuses, interner)
        }));
        containers.extend(spec.containers.into_iter().map(|container| {
            container.into_info(ContainerKind::Main, &status.container_statuses, interner)
        }));
        PodInfo {
            namespace: interner.string(&metadata.namespace),
            name: metadata.name,
            uid: metadata.uid.as_str().into(),
            kubelet_uid,
            node: interner.string(&spec.node_name),
            labels,
            owner,
            containers: containers.into_boxed_slice(),
            phase: status.phase.as_str().into(),
        }
    }
}

impl Container {
    fn into_info(
        self,
        kind: ContainerKind,
        statuses: &[ContainerStatus],
        interner: &mut Interner,
    ) -> ContainerInfo {
        let status = statuses.iter().find(|status| status.name == self.name);
        let spec = interner.container(ContainerSpec {
            name: self.name,
            image: self.image,
            kind,
            requests: self.resources.requests,
            limits: self.resources.limits,
        });
        let Some(status) = status else {
            return ContainerInfo { spec, id: ContainerId::default(), restarts: 0 };
        };
        let id = status.container_id.split_once("://").map_or("", |(_runtime, id)| id);
        ContainerInfo { spec, id: id.into(), restarts: status.restart_count }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kubernetes::{model::Phase, wire::Page};

    /// The pods of a real API server, with their owners, requests and container ids.
    #[test]
    fn recorded_pods_are_read() {
        let text = include_str!("../../../testdata/kubernetes/pods.json");
        let page: Page<PodObject> = serde_json::from_str(text).unwrap();
        assert_eq!((page.metadata.resource_version.as_str(), page.items.len()), ("372", 3));
        let mut interner = Interner::default();
        let pods: Vec<PodInfo> =
            page.items.into_iter().map(|pod| pod.into_info(&mut interner)).collect();
        let burner = &pods[0];
        assert_eq!(burner.owner.as_ref().unwrap().label(), "Deployment/burner");
        assert_eq!(burner.phase, Phase::Running);
        assert_eq!((&*burner.node, &*burner.namespace), ("node-a", "default"));
        assert_eq!(burner.labels.get("tier"), Some("web"));
        let cpu = burner.container("cpu").unwrap();
        assert_eq!(cpu.spec.limits.cpu_millicores, Some(200));
        assert!(cpu.spec.requests.memory_bytes.is_some());
        assert_eq!(cpu.id.to_string().len(), 64, "without the runtime's name: {}", cpu.id);
        // Replicas share what their template says.
        assert!(Arc::ptr_eq(&burner.labels, &pods[1].labels));
        assert!(Arc::ptr_eq(&cpu.spec, &pods[1].container("cpu").unwrap().spec));
        assert!(pods[2].owner.is_none());
    }

    /// Static pods, sidecars, containers without a status, and a server that says hardly anything.
    #[test]
    fn what_is_unusual_or_missing_is_read_too() {
        let pod: PodObject = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "etcd-node-a", "uid": "api", "labels": null,
                "annotations": {"kubernetes.io/config.mirror": "hash", "x": "y"},
                "ownerReferences": [{"kind": "Node", "name": "node-a", "controller": true}],
                "creationTimestamp": null
            },
            "spec": {
                "nodeName": "node-a",
                "initContainers": [
                    {"name": "first", "resources": {"requests": {"cpu": 1}}},
                    {"name": "proxy", "restartPolicy": "Always", "resources": {"limits": {"memory": "?"}}}
                ],
                "containers": [{"name": "etcd"}]
            },
            "status": {"containerStatuses": null, "initContainerStatuses": [
                {"name": "proxy", "containerID": "containerd://abc", "restartCount": 3, "state": {"running": null}}
            ]}
        }))
        .unwrap();
        let pod = pod.into_info(&mut Interner::default());
        assert_eq!(pod.kubelet_uid.as_deref(), Some("hash"));
        assert_eq!(pod.owner.as_ref().unwrap().label(), "StaticPod/etcd");
        assert_eq!(pod.uid, "api");
        let kinds: Vec<_> = pod.containers.iter().map(|container| container.spec.kind).collect();
        assert_eq!(kinds, [ContainerKind::Init, ContainerKind::Sidecar, ContainerKind::Main]);
        assert_eq!(pod.containers[0].spec.requests.cpu_millicores, Some(1_000));
        let proxy = &pod.containers[1];
        assert_eq!((proxy.id.to_string().as_str(), proxy.restarts), ("abc", 3));
        assert_eq!(proxy.spec.limits.memory_bytes, None);
        let nothing: PodObject = serde_json::from_str("{}").unwrap();
        assert_eq!(nothing.into_info(&mut Interner::default()).phase, Phase::Unknown);
    }
}
