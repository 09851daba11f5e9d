//! What is kept of the objects of the API server: a small part of them.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::entity::Labels;
use serde::Serialize;

use super::ids::{ContainerId, PodUid};

/// A pod. It is never changed: where something in it changed, a new one takes its place, so the
/// same `Arc` says that nothing did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PodInfo {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: CompactString,
    /// Uid in the API server.
    pub uid: PodUid,
    /// Of static pods, the uid by which the kubelet calls them: the hash of their configuration.
    pub kubelet_uid: Option<Box<str>>,
    /// The node that it runs on; empty before it is scheduled.
    pub node: Arc<str>,
    /// Labels; one `Arc` for all pods with the same ones.
    pub labels: Arc<Labels>,
    /// What it belongs to; none for bare pods.
    pub owner: Option<Arc<Owner>>,
    /// In the order of the spec: init containers and sidecars, then the others.
    pub containers: Box<[ContainerInfo]>,
    /// Where it is in its life.
    pub phase: Phase,
}

impl PodInfo {
    /// Whether it has ended, so that nothing of it runs or is reserved any more.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// A container by its name; init containers and sidecars too.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&ContainerInfo> {
        self.containers.iter().find(|container| container.spec.name == name)
    }
}

/// Where a pod is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)] // Kubernetes' own words
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    #[default]
    Unknown,
}

impl From<&str> for Phase {
    fn from(word: &str) -> Self {
        match word {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// A container of a pod.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ContainerInfo {
    /// What the pod's template says of it; one `Arc` for all replicas.
    pub spec: Arc<ContainerSpec>,
    /// Id in the container runtime, without the runtime's name; empty before it was created.
    pub id: ContainerId,
    /// How often it was started again.
    pub restarts: u32,
}

/// The part of a container that its template decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct ContainerSpec {
    /// Name.
    pub name: CompactString,
    /// Image, as the template names it.
    pub image: CompactString,
    /// What kind of container it is.
    pub kind: ContainerKind,
    /// What is reserved for it.
    pub requests: Amounts,
    /// What it may not exceed.
    pub limits: Amounts,
}

/// When a container runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum ContainerKind {
    /// With the pod.
    Main,
    /// Before the main ones, until it ends.
    Init,
    /// From before the main ones on, with the pod: an init container that is always restarted.
    Sidecar,
}

/// Amounts of resources, where they are given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub struct Amounts {
    /// CPU, in thousandths of a core.
    pub cpu_millicores: Option<i64>,
    /// Memory, in bytes.
    pub memory_bytes: Option<i64>,
    /// Disk of the node, in bytes.
    pub ephemeral_storage_bytes: Option<i64>,
}

/// What a pod belongs to: `Deployment` `web`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`, `StaticPod`, or the kind of
    /// whatever controller says that it is in control.
    pub kind: CompactString,
    /// Its name.
    pub name: CompactString,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct NodeInfo {
    /// Name.
    pub name: CompactString,
    /// Uid in the API server.
    pub uid: CompactString,
    /// Labels.
    pub labels: Labels,
    /// Addresses as the node gives them.
    pub addresses: Vec<NodeAddress>,
    /// The kubelet's port; 0 when the node does not say.
    pub kubelet_port: u16,
    /// Whether the node says that it is ready.
    pub ready: bool,
    /// Why it is not ready; empty when it is.
    pub not_ready_reason: CompactString,
    /// Whether no new pods are to be put on it.
    pub unschedulable: bool,
    /// Taints, as `key=value:effect`.
    pub taints: Vec<CompactString>,
    /// What the machine has.
    pub capacity: Amounts,
    /// What of it pods may have.
    pub allocatable: Amounts,
    /// The machine's id at its provider.
    pub provider_id: CompactString,
    /// The machine's own id.
    pub machine_id: CompactString,
    /// The operating system's name.
    pub os_image: CompactString,
    /// The kubelet's version.
    pub kubelet_version: CompactString,
    /// The container runtime and its version.
    pub container_runtime: CompactString,
}

impl NodeInfo {
    /// Whether it is no machine but another system that plays one.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.labels.get("type") == Some("virtual-kubelet")
    }
}

/// One address of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NodeAddress {
    /// `InternalIP`, `Hostname`, ...
    pub kind: CompactString,
    /// An IP address or a name.
    pub address: CompactString,
}

/// A namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NamespaceInfo {
    /// Name.
    pub name: CompactString,
    /// Uid in the API server.
    pub uid: CompactString,
    /// Labels.
    pub labels: Labels,
}
