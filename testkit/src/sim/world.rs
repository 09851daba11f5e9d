//! The simulated hosts as an API server knows them: nodes and pods in the order in which it lists
//! them, each worked out when it is asked for. Nothing is held for a pod that never changed.

use std::{borrow::Cow, fmt, sync::Arc};

use tokio::sync::watch;

use super::{
    Behaviour, SimConfig, SimHost, Thing, host_name,
    json::Out,
    namespace,
    objects::{Account, is_ready, write_node, write_pod, zone},
    pod_name,
    server::Shared,
    view::HostView,
    workload::{PodState, Workload},
};

/// A pod as it was at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PodVersion {
    pub(crate) host: u32,
    pub(crate) pod: u32,
    behaviour: Behaviour,
    at_ms: i64,
}

/// A node as it was at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeVersion {
    pub(crate) host: u32,
    behaviour: Behaviour,
    at_ms: i64,
}

/// What can change of a pod while its host behaves as it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PodMark {
    pub(crate) generation: u64,
    restarts: u64,
    state: PodState,
}

impl PodMark {
    /// Whether it is still the same pod to an API server, or another one in its place.
    pub(crate) fn is_same_pod(self, other: Self) -> bool {
        let is_static = |mark: Self| mark.state == PodState::Static;
        self.generation == other.generation && is_static(self) == is_static(other)
    }
}

/// The hosts of a simulated cluster, for its API server.
pub(crate) struct World {
    shared: Arc<Shared>,
    hosts: Vec<SimHost>,
    behaviours: Vec<watch::Receiver<Behaviour>>,
    /// The pods of a host in the order of their keys.
    order: Vec<u32>,
    /// When this was made: what is simulated for the store is how things were then...
    since_ms: i64,
    /// ... while the hosts behaved so.
    first_behaviours: Vec<Behaviour>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn new(
        shared: Arc<Shared>,
        hosts: Vec<SimHost>,
        behaviours: Vec<watch::Receiver<Behaviour>>,
    ) -> Self {
        let pods = u32::try_from(shared.truth.config().pods_per_host).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..pods).collect();
        order.sort_by_key(|pod| pod_key(0, *pod as usize, 0));
        let since_ms = heapster_shared::tick::unix_ms();
        let first_behaviours = behaviours.iter().map(|behaviour| *behaviour.borrow()).collect();
        Self { shared, hosts, behaviours, order, since_ms, first_behaviours }
    }

    fn config(&self) -> &SimConfig {
        self.shared.truth.config()
    }

    /// Where the kubelet of a node answers.
    pub(crate) fn kubelet(&self, node: &str) -> Option<&SimHost> {
        let host: usize = node.strip_prefix("sim-")?.parse().ok()?;
        self.hosts.get(host).filter(|host| host.name == node)
    }

    /// Whether the kubelets serve TLS.
    pub(crate) fn kubelets_have_tls(&self) -> bool {
        self.config().tls.is_some()
    }

    /// Number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.hosts.len()
    }

    /// Number of pods.
    pub(crate) fn pods(&self) -> usize {
        self.hosts.len() * self.order.len()
    }

    /// The node at a place of the list, as it was at first.
    pub(crate) fn first_node(&self, place: usize) -> NodeVersion {
        let host = u32::try_from(place).unwrap_or(u32::MAX);
        NodeVersion { host, behaviour: self.first_behaviours[place], at_ms: self.since_ms }
    }

    /// The pod at a place of the list, as it was at first: by namespace, slot and host.
    pub(crate) fn first_pod(&self, place: usize) -> PodVersion {
        let host = u32::try_from(place % self.hosts.len()).unwrap_or(u32::MAX);
        let pod = self.order[place / self.hosts.len()];
        let behaviour = self.first_behaviours[place % self.hosts.len()];
        PodVersion { host, pod, behaviour, at_ms: self.since_ms }
    }

    /// A pod of a host as it is now.
    pub(crate) fn pod_now(&self, host: usize, pod: usize, at_ms: i64) -> PodVersion {
        let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
        let behaviour = self.behaviour(host);
        PodVersion { host: number(host), pod: number(pod), behaviour, at_ms }
    }

    /// A node as it is now.
    pub(crate) fn node_now(&self, host: usize, at_ms: i64) -> NodeVersion {
        let behaviour = self.behaviour(host);
        NodeVersion { host: u32::try_from(host).unwrap_or(u32::MAX), behaviour, at_ms }
    }

    /// How a host behaves now.
    pub(crate) fn behaviour(&self, host: usize) -> Behaviour {
        *self.behaviours[host].borrow()
    }

    /// Whether a host may have other pods than at first.
    pub(crate) fn may_have_changed(&self, host: usize) -> bool {
        let behaviour = self.behaviour(host);
        behaviour.lifetime().is_some() || behaviour != self.first_behaviours[host]
    }

    /// The marks of all pods of a host, by slot.
    pub(crate) fn marks(&self, host: usize, at_ms: i64) -> Vec<PodMark> {
        self.marks_while(host, self.behaviour(host), at_ms)
    }

    /// The marks of a host's pods before anything changed.
    pub(crate) fn first_marks(&self, host: usize) -> Vec<PodMark> {
        self.marks_while(host, self.first_behaviours[host], self.since_ms)
    }

    fn marks_while(&self, host: usize, behaviour: Behaviour, at_ms: i64) -> Vec<PodMark> {
        let generation = |thing| self.shared.truth.life(host, behaviour, thing, at_ms).generation;
        let mark = |pod| {
            let restarted = |container| generation(Thing::Container { pod, container });
            let restarts = match behaviour {
                Behaviour::Restarting(_) => {
                    (0..self.config().containers_per_pod).map(restarted).sum()
                }
                _ => 0,
            };
            let state = PodState::of(behaviour, pod);
            PodMark { generation: generation(Thing::Pod(pod)), restarts, state }
        };
        (0..self.order.len()).map(mark).collect()
    }

    /// The key of a node.
    pub(crate) fn node_key(&self, node: NodeVersion) -> String {
        host_name(node.host as usize)
    }

    /// The key of a pod: `NAMESPACE/NAME`.
    pub(crate) fn pod_key(&self, version: PodVersion) -> String {
        let (host, pod) = (version.host as usize, version.pod as usize);
        let truth = &self.shared.truth;
        let life = truth.life(host, version.behaviour, Thing::Pod(pod), version.at_ms);
        pod_key(host, pod, life.generation)
    }

    /// The key of the pod that is or was in a slot of a host.
    pub(crate) fn key_of(&self, host: usize, pod: usize, generation: u64) -> String {
        pod_key(host, pod, generation)
    }

    /// The pod as JSON, without kind and API version.
    pub(crate) fn pod_json(&self, pod: PodVersion, version: u64) -> Out {
        let view = self.view(pod.host, pod.behaviour, pod.at_ms);
        let mut out = Out::with_capacity(6144);
        write_pod(&mut out, &view, &view.pod(pod.pod as usize), Account::Api(version));
        out
    }

    /// The node as JSON, without kind and API version.
    pub(crate) fn node_json(&self, node: NodeVersion, version: u64) -> Out {
        let view = self.view(node.host, node.behaviour, node.at_ms);
        let mut out = Out::with_capacity(6144);
        let port = self.hosts.get(node.host as usize).map_or(0, |host| host.port);
        write_node(&mut out, &view, port, version);
        out
    }

    /// A pod's labels, without the pod being written.
    pub(crate) fn pod_labels(&self, pod: PodVersion) -> Vec<(Cow<'static, str>, String)> {
        let workload = Workload::of(self.config().seed, pod.pod as usize);
        let labels = workload.labels();
        labels.into_iter().map(|(name, value)| (Cow::Borrowed(name), value.to_owned())).collect()
    }

    /// A node's labels that do not stand in every node.
    pub(crate) fn node_labels(&self, node: NodeVersion) -> Vec<(Cow<'static, str>, String)> {
        let windows = node.behaviour == Behaviour::Windows;
        let system = if windows { "windows" } else { "linux" };
        let labels = [
            ("beta.kubernetes.io/arch", "amd64".to_owned()),
            ("beta.kubernetes.io/os", system.to_owned()),
            ("kubernetes.io/arch", "amd64".to_owned()),
            ("kubernetes.io/hostname", host_name(node.host as usize)),
            ("kubernetes.io/os", system.to_owned()),
            ("topology.kubernetes.io/zone", zone(node.host as usize).to_owned()),
        ];
        labels.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
    }

    /// The fields of a pod that are asked for most.
    pub(crate) fn pod_field(&self, pod: PodVersion, field: &str) -> Option<String> {
        match field {
            "spec.nodeName" => Some(host_name(pod.host as usize)),
            "status.phase" => {
                Some(PodState::of(pod.behaviour, pod.pod as usize).phase().to_owned())
            }
            _ => None,
        }
    }

    /// Whether two versions of a node differ in nothing that an API server shows.
    pub(crate) fn looks_alike(&self, one: NodeVersion, other: NodeVersion) -> bool {
        let look =
            |node: NodeVersion| (is_ready(node.behaviour), node.behaviour == Behaviour::Windows);
        look(one) == look(other)
    }

    fn view(&self, host: u32, behaviour: Behaviour, at_ms: i64) -> HostView<'_> {
        // Its clock is its own affair: what the API server has is written by others.
        let behaviour = match behaviour {
            Behaviour::ClockOff(_) => Behaviour::Healthy,
            other => other,
        };
        HostView::new(&self.shared.truth, host as usize, behaviour, at_ms)
    }
}

fn pod_key(host: usize, pod: usize, generation: u64) -> String {
    format!("{}/{}", namespace(pod), pod_name(host, pod, generation))
}
