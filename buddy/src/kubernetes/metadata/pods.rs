//! The pods of a cluster with their indexes.
//!
//! An index is a hash table of `Arc`s that finds its keys in the pods themselves, so that a pod
//! costs 8 bytes in an index and no copy of its names.

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
    by_uid: HashTable<(Arc<PodInfo>, UidOf)>,
    by_container: HashTable<(Arc<PodInfo>, u16)>,
    /// Nodes stay here when their last pod goes: a version is never given twice.
    by_node: Map<Arc<str>, PodsOnNode>,
    newest_version: u64,
}

/// Whose word for a pod an entry is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum UidOf {
    ApiServer,
    Kubelet,
}

impl UidOf {
    fn of(self, pod: &PodInfo) -> &str {
        match self {
            Self::ApiServer => &pod.uid,
            Self::Kubelet => pod.kubelet_uid.as_deref().unwrap_or_default(),
        }
    }
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

    pub(super) fn by_uid(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        let found = self.by_uid.find(hash(&self.hasher, uid), |(pod, of)| of.of(pod) == uid);
        found.map(|(pod, _)| pod)
    }

    pub(super) fn by_container(&self, id: &str) -> Option<(&Arc<PodInfo>, usize)> {
        if id.is_empty() {
            return None;
        }
        let hash = hash(&self.hasher, id);
        let found = self.by_container.find(hash, |(pod, index)| container_id(pod, *index) == id);
        found.map(|(pod, index)| (pod, usize::from(*index)))
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
    }

    fn add(&mut self, pod: &Arc<PodInfo>) {
        let hasher = &self.hasher;
        let name_hash = |pod: &Arc<PodInfo>| hash(hasher, (&*pod.namespace, pod.name.as_str()));
        self.by_name.insert_unique(name_hash(pod), Arc::clone(pod), name_hash);
        let uid_hash = |(pod, of): &(Arc<PodInfo>, UidOf)| hash(hasher, of.of(pod));
        for of in [UidOf::ApiServer, UidOf::Kubelet] {
            if !of.of(pod).is_empty() {
                let entry = (Arc::clone(pod), of);
                self.by_uid.insert_unique(uid_hash(&entry), entry, uid_hash);
            }
        }
        let id_hash = |(pod, index): &(Arc<PodInfo>, u16)| hash(hasher, container_id(pod, *index));
        for index in containers(pod) {
            let entry = (Arc::clone(pod), index);
            self.by_container.insert_unique(id_hash(&entry), entry, id_hash);
        }
        self.change_node(&pod.node, |pods| pods.push(Arc::clone(pod)));
    }

    /// Takes out a pod that is in the table.
    fn take(&mut self, pod: &Arc<PodInfo>) {
        let name_hash = hash(&self.hasher, (&*pod.namespace, pod.name.as_str()));
        remove(&mut self.by_name, name_hash, |known| Arc::ptr_eq(known, pod));
        for of in [UidOf::ApiServer, UidOf::Kubelet] {
            let uid_hash = hash(&self.hasher, of.of(pod));
            remove(&mut self.by_uid, uid_hash, |known| Arc::ptr_eq(&known.0, pod) && known.1 == of);
        }
        for index in containers(pod) {
            let id_hash = hash(&self.hasher, container_id(pod, index));
            let entry =
                |known: &(Arc<PodInfo>, u16)| Arc::ptr_eq(&known.0, pod) && known.1 == index;
            remove(&mut self.by_container, id_hash, entry);
        }
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

/// The indexes of the containers that have an id.
fn containers(pod: &PodInfo) -> impl Iterator<Item = u16> {
    let with_id =
        pod.containers.iter().enumerate().filter(|(_, container)| !container.id.is_empty());
    with_id.filter_map(|(index, _)| u16::try_from(index).ok())
}

fn container_id(pod: &PodInfo, index: u16) -> &str {
    pod.containers.get(usize::from(index)).map_or("", |container| &container.id)
}

fn remove<T>(table: &mut HashTable<T>, hash: u64, entry: impl FnMut(&T) -> bool) {
    if let Ok(found) = table.find_entry(hash, entry) {
        found.remove();
    }
}
