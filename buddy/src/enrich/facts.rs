//! What is known of a host and its pods at the time of a poll.

use std::{cell::OnceCell, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{Map, host::Host};

use crate::{
    kubernetes::{ClusterMetadata, ContainerId, NodeInfo, PodInfo, PodsOnNode},
    source::PodName,
};

/// What is known now.
pub(super) struct Facts<'k> {
    metadata: Option<&'k ClusterMetadata>,
    pub(super) host: &'k Arc<Host>,
    pub(super) node: Option<Arc<NodeInfo>>,
    pods: PodsOnNode,
    pods_are_listed: bool,
}

/// What something followed from. As long as it is the same, so is what followed.
#[derive(Default, Debug)]
pub(super) struct Basis {
    host: Option<Arc<Host>>,
    node: Option<Arc<NodeInfo>>,
    pods_version: u64,
    pods_are_listed: bool,
    /// The namespaces of the pods, with their uids; empty ones where they are not known.
    namespaces: Vec<(Arc<str>, CompactString)>,
}

impl<'k> Facts<'k> {
    /// What the cluster manager says of a host, by the name of its node.
    pub(super) fn now(metadata: Option<&'k ClusterMetadata>, host: &'k Arc<Host>) -> Self {
        let node = metadata.and_then(|metadata| metadata.node(&host.name));
        // Before the pods: a list that comes between is not taken for one without pods.
        let pods_are_listed = metadata.is_some_and(ClusterMetadata::has_pods);
        let pods = metadata.map(|metadata| metadata.pods_on(&host.name)).unwrap_or_default();
        Self { metadata, host, node, pods, pods_are_listed }
    }

    /// The pods of the node, where there was a list of pods.
    pub(super) fn pods(&self) -> Option<&[Arc<PodInfo>]> {
        self.pods_are_listed.then_some(&**self.pods.pods)
    }

    pub(super) fn are(&self, basis: &Basis) -> bool {
        let is_host = basis.host.as_ref().is_some_and(|host| Arc::ptr_eq(host, self.host));
        let address = |node: &Option<Arc<NodeInfo>>| node.as_ref().map(Arc::as_ptr);
        is_host
            && address(&basis.node) == address(&self.node)
            && basis.pods_version == self.pods.version
            && basis.pods_are_listed == self.pods_are_listed
            && basis.namespaces.iter().all(|(name, uid)| self.namespace_uid(name) == *uid)
    }

    pub(super) fn basis(&self) -> Basis {
        let mut namespaces: Vec<(Arc<str>, CompactString)> = Vec::new();
        for pod in self.pods.pods.iter() {
            if !namespaces.iter().any(|(name, _)| *name == pod.namespace) {
                namespaces.push((Arc::clone(&pod.namespace), self.namespace_uid(&pod.namespace)));
            }
        }
        namespaces.shrink_to_fit();
        Basis {
            host: Some(Arc::clone(self.host)),
            node: self.node.clone(),
            pods_version: self.pods.version,
            pods_are_listed: self.pods_are_listed,
            namespaces,
        }
    }

    fn namespace_uid(&self, name: &str) -> CompactString {
        let namespace = self.metadata.and_then(|metadata| metadata.namespace(name));
        namespace.map(|namespace| namespace.uid.clone()).unwrap_or_default()
    }
}

impl Basis {
    /// The uid of a namespace; empty where it is not known.
    pub(super) fn namespace_uid(&self, name: &str) -> &str {
        let known = self.namespaces.iter().find(|(known, _)| **known == *name);
        known.map_or("", |(_, uid)| uid)
    }
}

/// The pods of a node by what sources call them; made when somebody asks.
pub(super) struct PodIndex<'p> {
    pods: &'p [Arc<PodInfo>],
    by_name: OnceCell<Map<(&'p str, &'p str), &'p Arc<PodInfo>>>,
    by_container: OnceCell<Map<ContainerId<&'p str>, PlaceInPod<'p>>>,
}

/// A pod, and which of its containers.
type PlaceInPod<'p> = (&'p Arc<PodInfo>, usize);

impl<'p> PodIndex<'p> {
    pub(super) fn new(facts: &'p Facts<'_>) -> Self {
        let pods = &**facts.pods.pods;
        Self { pods, by_name: OnceCell::new(), by_container: OnceCell::new() }
    }

    /// The pod of this name, unless the name is another pod's by now, or still.
    pub(super) fn pod(&self, name: &PodName) -> Option<&'p Arc<PodInfo>> {
        let entry = |pod: &'p Arc<PodInfo>| ((&*pod.namespace, pod.name.as_str()), pod);
        let index = self.by_name.get_or_init(|| self.pods.iter().map(entry).collect());
        let pod = index.get(&(name.namespace.as_str(), name.name.as_str()))?;
        let uid = name.uid.as_str();
        let is_it = uid.is_empty() || pod.uid == uid || pod.kubelet_uid.as_deref() == Some(uid);
        is_it.then_some(pod)
    }

    /// The pod of the container with this id, and which of its containers it is.
    pub(super) fn container(&self, id: &str) -> Option<PlaceInPod<'p>> {
        if id.is_empty() {
            return None;
        }
        let index = self.by_container.get_or_init(|| {
            let containers = self.pods.iter().flat_map(|pod| {
                let containers = pod.containers.iter().enumerate();
                containers.map(move |(place, container)| (container.id.borrowed(), (pod, place)))
            });
            containers.collect()
        });
        index.get(&ContainerId::<&str>::from(id)).copied()
    }
}
