//! What is known of a cluster: its nodes, pods and namespaces, as they are now.
//!
//! The watches write it, everybody else reads it. A read takes a lock for as long as a look-up takes
//! and gives `Arc`s away, so a reader never holds up a writer. Until a resource has been listed once
//! (see [`ClusterMetadata::has_nodes`]) nothing is known of it, which is not the same as that there
//! is none.

mod pods;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use compact_str::CompactString;
use tokio::sync::watch;

use self::pods::PodTable;
use super::model::{NamespaceInfo, NodeInfo, PodInfo};

/// The metadata of one cluster.
#[derive(Debug)]
pub struct ClusterMetadata {
    nodes: RwLock<Listed<BTreeMap<CompactString, Arc<NodeInfo>>>>,
    namespaces: RwLock<Listed<BTreeMap<CompactString, Arc<NamespaceInfo>>>>,
    pods: RwLock<Listed<PodTable>>,
    /// Changes of nodes so far.
    node_changes: watch::Sender<u64>,
}

/// Something of which there may not have been a list yet.
#[derive(Default, Debug)]
struct Listed<T> {
    listed: bool,
    table: T,
}

/// The pods of a node at one time.
#[derive(Clone, Default, Debug)]
pub struct PodsOnNode {
    /// Another one after each change to a pod of the node, and only then. 0 for a node that never
    /// had a pod.
    pub version: u64,
    /// The pods, in no order.
    pub pods: Arc<Vec<Arc<PodInfo>>>,
}

impl Default for ClusterMetadata {
    fn default() -> Self {
        Self {
            nodes: RwLock::default(),
            namespaces: RwLock::default(),
            pods: RwLock::default(),
            node_changes: watch::Sender::new(0),
        }
    }
}

impl ClusterMetadata {
    /// What these lists say, and nothing after them: a cluster that nobody watches.
    #[must_use]
    pub fn of(nodes: Vec<NodeInfo>, namespaces: Vec<NamespaceInfo>, pods: Vec<PodInfo>) -> Self {
        let metadata = Self::default();
        metadata.replace_nodes(nodes);
        metadata.replace_namespaces(namespaces);
        metadata.replace_pods(pods.into_iter().map(Arc::new).collect());
        metadata
    }
}

/// Reading. What was found stays as it was, whatever happens in the cluster meanwhile.
impl ClusterMetadata {
    /// Whether the nodes were listed once.
    #[must_use]
    pub fn has_nodes(&self) -> bool {
        read(&self.nodes).listed
    }

    /// Whether the pods were listed once.
    #[must_use]
    pub fn has_pods(&self) -> bool {
        read(&self.pods).listed
    }

    /// Whether the namespaces were listed once.
    #[must_use]
    pub fn has_namespaces(&self) -> bool {
        read(&self.namespaces).listed
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<Arc<NodeInfo>> {
        read(&self.nodes).table.get(name).cloned()
    }

    /// All nodes, sorted by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        read(&self.nodes).table.values().cloned().collect()
    }

    /// Sees another number after each change to a node: one that came, went, or says something else
    /// of itself than before. Heartbeats are no changes.
    #[must_use]
    pub fn node_changes(&self) -> watch::Receiver<u64> {
        self.node_changes.subscribe()
    }

    /// A namespace by its name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<Arc<NamespaceInfo>> {
        read(&self.namespaces).table.get(name).cloned()
    }

    /// All namespaces, sorted by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Arc<NamespaceInfo>> {
        read(&self.namespaces).table.values().cloned().collect()
    }

    /// The pods that are bound to a node, finished ones too. Made for a look at each poll: it costs
    /// a look-up and no copy, and while the version stays nothing needs to be looked at again.
    #[must_use]
    pub fn pods_on(&self, node: &str) -> PodsOnNode {
        read(&self.pods).table.on_node(node)
    }

    /// A pod by its namespace and name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<PodInfo>> {
        read(&self.pods).table.by_name(namespace, name).cloned()
    }

    /// All pods that satisfy a condition, in no order. Walks over all pods of the cluster.
    #[must_use]
    pub fn pods_where(&self, mut condition: impl FnMut(&PodInfo) -> bool) -> Vec<Arc<PodInfo>> {
        let pods = read(&self.pods);
        pods.table.iter().filter(|pod| condition(pod)).cloned().collect()
    }

    /// Number of nodes.
    #[must_use]
    pub fn node_count(&self) -> usize {
        read(&self.nodes).table.len()
    }

    /// Number of namespaces.
    #[must_use]
    pub fn namespace_count(&self) -> usize {
        read(&self.namespaces).table.len()
    }

    /// Number of pods.
    #[must_use]
    pub fn pod_count(&self) -> usize {
        read(&self.pods).table.len()
    }
}

/// Writing, by the watches.
impl ClusterMetadata {
    pub(crate) fn put_node(&self, node: NodeInfo) {
        let mut nodes = write(&self.nodes);
        if nodes.table.get(&node.name).is_none_or(|known| **known != node) {
            nodes.table.insert(node.name.clone(), Arc::new(node));
            self.nodes_changed(nodes);
        }
    }

    pub(crate) fn remove_node(&self, name: &str) {
        let mut nodes = write(&self.nodes);
        if nodes.table.remove(name).is_some() {
            self.nodes_changed(nodes);
        }
    }

    /// Puts a full list in the place of what was known. Nodes that did not change stay the same.
    pub(crate) fn replace_nodes(&self, list: Vec<NodeInfo>) {
        let mut nodes = write(&self.nodes);
        let mut table = BTreeMap::new();
        for node in list {
            let known = nodes.table.get(&node.name).filter(|known| ***known == node);
            let node = known.cloned().unwrap_or_else(|| Arc::new(node));
            table.insert(node.name.clone(), node);
        }
        let first = !std::mem::replace(&mut nodes.listed, true);
        if first || nodes.table != table {
            nodes.table = table;
            self.nodes_changed(nodes);
        }
    }

    /// Says so after the lock is free, so that who is woken finds it free.
    fn nodes_changed(
        &self,
        nodes: RwLockWriteGuard<'_, Listed<BTreeMap<CompactString, Arc<NodeInfo>>>>,
    ) {
        drop(nodes);
        self.node_changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn put_namespace(&self, namespace: NamespaceInfo) {
        write(&self.namespaces).table.insert(namespace.name.clone(), Arc::new(namespace));
    }

    pub(crate) fn remove_namespace(&self, name: &str) {
        write(&self.namespaces).table.remove(name);
    }

    pub(crate) fn replace_namespaces(&self, list: Vec<NamespaceInfo>) {
        let entry = |namespace: NamespaceInfo| (namespace.name.clone(), Arc::new(namespace));
        let table = list.into_iter().map(entry).collect();
        *write(&self.namespaces) = Listed { listed: true, table };
    }

    pub(crate) fn put_pod(&self, pod: PodInfo) {
        write(&self.pods).table.put(Arc::new(pod));
    }

    /// Removes a pod, unless another one has taken its name since.
    pub(crate) fn remove_pod(&self, namespace: &str, name: &str, uid: &str) {
        write(&self.pods).table.remove(namespace, name, uid);
    }

    /// What is known of a pod where that is the same as this, and this where it is not: so that a
    /// list in the making costs nothing for the pods that did not change.
    pub(super) fn known_pod(&self, pod: PodInfo) -> Arc<PodInfo> {
        let pods = read(&self.pods);
        let known = pods.table.by_name(&pod.namespace, &pod.name).filter(|known| ***known == pod);
        known.cloned().unwrap_or_else(|| Arc::new(pod))
    }

    /// Puts a full list in the place of what was known, at once. Pods that did not change stay the
    /// same, and so do the versions of their nodes.
    pub(crate) fn replace_pods(&self, list: Vec<Arc<PodInfo>>) {
        let mut pods = write(&self.pods);
        pods.listed = true;
        pods.table.replace(list);
    }
}

// A writer that panicked left at worst one object in one index and not in another.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
