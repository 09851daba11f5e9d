//! The pods of a cluster, by their names and by their nodes.
//!
//! The former is a hash table of `Arc`s that finds its keys in the pods themselves, so that a pod
//! costs 8 bytes there and no copy of its names. Whoever knows a pod by something else knows its node
//! too, and looks among the pods of that.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use heapster_shared::{Map, Set};

use super::PodsOnNode;
use crate::kubernetes::model::PodInfo;

/// All pods.
#[derive(Default, Debug)]
pub(super) struct PodTable {
    hasher: DefaultHashBuilder,
    by_name: HashTable<Arc<PodInfo>>,
    /// Nodes stay here when their last pod goes: a version is never given twice.
    by_node: Map<Arc<str>, PodsOnNode>,
    newest_version: u64,
}

impl PodTable {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.by_name.iter()
    }

    pub(super) fn by_name(&self, namespace: &str, name: &str) -> Option<&Arc<PodInfo>> {
        let hash = hash(&self.hasher, (namespace, name));
        self.by_name.find(hash, |pod| is_named(pod, namespace, name))
    }

    pub(super) fn on_node(&self, node: &str) -> PodsOnNode {
        self.by_node.get(node).cloned().unwrap_or_default()
    }

    /// Adds a pod, or puts it in the place of the one of its name.
    pub(super) fn put(&mut self, pod: Arc<PodInfo>) {
        if let Some(known) = self.by_name(&pod.namespace, &pod.name) {
            if Arc::ptr_eq(known, &pod) || *known == pod {
                return;
            }
            let known = Arc::clone(known);
            self.take(&known);
        }
        self.add(&pod);
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str, uid: &str) {
        if let Some(known) = self.by_name(namespace, name).filter(|known| known.uid == uid).cloned()
        {
            self.take(&known);
        }
    }

    pub(super) fn replace(&mut self, list: Vec<Arc<PodInfo>>) {
        let listed: Set<*const PodInfo> = list.iter().map(Arc::as_ptr).collect();
        let gone = |pod: &&Arc<PodInfo>| !listed.contains(&Arc::as_ptr(pod));
        let gone: Vec<Arc<PodInfo>> = self.by_name.iter().filter(gone).cloned().collect();
        for pod in &gone {
            self.take(pod);
        }
        for pod in list {
            self.put(pod);
        }
        self.give_back_room();
    }

    /// Gives back the room that lists of pods took while they grew, but for those at which somebody
    /// looks just now.
    fn give_back_room(&mut self) {
        for on_node in self.by_node.values_mut() {
            if let Some(pods) = Arc::get_mut(&mut on_node.pods) {
                pods.shrink_to_fit();
            }
        }
    }

    fn add(&mut self, pod: &Arc<PodInfo>) {
        let hasher = &self.hasher;
        let name_hash = |pod: &Arc<PodInfo>| hash(hasher, (&*pod.namespace, pod.name.as_str()));
        self.by_name.insert_unique(name_hash(pod), Arc::clone(pod), name_hash);
        self.change_node(&pod.node, |pods| pods.push(Arc::clone(pod)));
    }

    /// Takes out a pod that is in the table.
    fn take(&mut self, pod: &Arc<PodInfo>) {
        let name_hash = hash(&self.hasher, (&*pod.namespace, pod.name.as_str()));
        remove(&mut self.by_name, name_hash, |known| Arc::ptr_eq(known, pod));
        self.change_node(&pod.node, |pods| pods.retain(|known| !Arc::ptr_eq(known, pod)));
    }

    /// Changes the pods of a node; copies them only where somebody still looks at them.
    fn change_node(&mut self, node: &Arc<str>, change: impl FnOnce(&mut Vec<Arc<PodInfo>>)) {
        if node.is_empty() {
            return;
        }
        self.newest_version += 1;
        let on_node = self.by_node.entry(Arc::clone(node)).or_default();
        on_node.version = self.newest_version;
        change(Arc::make_mut(&mut on_node.pods));
    }
}

fn hash(hasher: &DefaultHashBuilder, key: impl Hash) -> u64 {
    hasher.hash_one(key)
}

fn is_named(pod: &PodInfo, namespace: &str, name: &str) -> bool {
    *pod.namespace == *namespace && pod.name == name
}

fn remove<T>(table: &mut HashTable<T>, hash: u64, entry: impl FnMut(&T) -> bool) {
    if let Ok(found) = table.find_entry(hash, entry) {
        found.remove();
    }
}
