//! The recent past of one cluster: a ring a node, one for what has no node (namespaces and the
//! cluster itself), and the names by which they are found.

use std::{collections::BTreeMap, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{
    Map, Set,
    entity::{Entity, EntityId, Level},
    row::{Row, RowBatch},
    schema::Layout,
};

use super::{
    RowCounts,
    ring::{Ring, Slot, Verdict},
    subject::{Key, Subject, heap_bytes},
};

/// Where an entity's rows are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) ring: u32,
    pub(super) slot: u32,
}

/// A ring and the names of its entities.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Name of the node; empty for the ring of what has none.
    pub(super) name: CompactString,
    pub(super) ring: Ring,
    pub(super) names: BTreeMap<Key, u32>,
}

/// By namespace and pod, the rings that have the pod or containers of it, and how many of these.
pub(super) type Pods = BTreeMap<CompactString, BTreeMap<CompactString, Vec<(u32, u32)>>>;

/// See the module's header.
#[derive(Debug, Default)]
pub struct ClusterModel {
    nodes: Vec<Option<Node>>,
    by_name: BTreeMap<CompactString, u32>,
    by_id: Map<EntityId, Place>,
    pods: Pods,
    bytes: usize,
    layout_bytes: usize,
    pub(super) newest_tick_ms: i64,
    pub(super) received_unix_ms: i64,
}

/// What an entity costs in the maps of names, keys beside their own text not counted.
const NAME_BYTES: usize = size_of::<(Key, u32)>() + size_of::<(EntityId, Place)>() + 32;

impl ClusterModel {
    /// Takes in the rows of a batch. With `grow` false only those of entities that are known.
    pub(super) fn take(&mut self, batch: &RowBatch, grow: bool) -> RowCounts {
        let mut counts = RowCounts::default();
        let mut touched: Vec<(u32, usize)> = Vec::with_capacity(1);
        for block in &batch.blocks {
            for row in block.rows() {
                let verdict = self.take_row(&row, block.layout(), batch.tick.0, grow, &mut touched);
                counts.add(verdict, &row);
            }
        }
        for (index, bytes_before) in touched {
            if let Some(node) = self.nodes.get_mut(index as usize).and_then(Option::as_mut) {
                node.ring.seal();
                self.bytes = self.bytes + node.ring.bytes() - bytes_before;
            }
        }
        self.newest_tick_ms = self.newest_tick_ms.max(batch.tick.0);
        counts
    }

    fn take_row(
        &mut self,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        tick_ms: i64,
        grow: bool,
        touched: &mut Vec<(u32, usize)>,
    ) -> Option<Verdict> {
        let known = self.find(&row.head.entity);
        if known.is_none() && !grow {
            return None;
        }
        let index = known.map_or_else(|| self.ring_for(&row.head.entity), |place| place.ring);
        let node = self.nodes.get_mut(index as usize)?.as_mut()?;
        if touched.last().is_none_or(|(last, _)| *last != index)
            && !touched.iter().any(|(ring, _)| *ring == index)
        {
            touched.push((index, node.ring.bytes()));
        }
        if let Some(place) = known {
            return Some(node.ring.push(place.slot, row, layout, tick_ms));
        }
        let slot = node.ring.add(row, layout, tick_ms);
        self.name(&row.head.entity, Place { ring: index, slot });
        Some(Verdict::Taken)
    }

    /// The place of an entity: by its number, when the number still stands for the same value, or
    /// by its name.
    fn find(&mut self, entity: &Arc<Entity>) -> Option<Place> {
        if let Some(place) = self.by_id.get(&entity.id)
            && self.slot(*place).is_some_and(|slot| Arc::ptr_eq(&slot.entity, entity))
        {
            return Some(*place);
        }
        let ring = *self.by_name.get(node_name(entity))?;
        let slot = *self.node(ring)?.names.get(&Key::of(entity))?;
        let place = Place { ring, slot };
        self.by_id.insert(entity.id, place);
        Some(place)
    }

    fn ring_for(&mut self, entity: &Entity) -> u32 {
        let name = node_name(entity);
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let node = Node { name: name.into(), ..Node::default() };
        self.bytes += node.ring.bytes() + size_of::<Node>() + 2 * heap_bytes(&node.name);
        let free = self.nodes.iter().position(Option::is_none).unwrap_or(self.nodes.len());
        let index = u32::try_from(free).unwrap_or(u32::MAX);
        self.by_name.insert(name.into(), index);
        if free == self.nodes.len() {
            self.nodes.push(Some(node));
        } else {
            self.nodes[free] = Some(node);
        }
        index
    }

    fn name(&mut self, entity: &Entity, place: Place) {
        let key = Key::of(entity);
        self.bytes += NAME_BYTES + key.heap_bytes();
        self.by_id.insert(entity.id, place);
        if let Some((namespace, pod)) = key.pod() {
            let pods = self.pods.entry(namespace.clone()).or_default();
            let rings = pods.entry(pod.clone()).or_default();
            match rings.iter_mut().find(|(ring, _)| *ring == place.ring) {
                Some((_, count)) => *count += 1,
                None => rings.push((place.ring, 1)),
            }
        }
        if let Some(Some(node)) = self.nodes.get_mut(place.ring as usize) {
            node.names.insert(key, place.slot);
        }
    }

    fn forget(&mut self, ring: u32, slot: u32, gone: &Slot) {
        let key = Key::of(&gone.entity);
        self.bytes = self.bytes.saturating_sub(NAME_BYTES + key.heap_bytes());
        if self.by_id.get(&gone.entity.id) == Some(&Place { ring, slot }) {
            self.by_id.remove(&gone.entity.id);
        }
        if let Some((namespace, pod)) = key.pod() {
            self.forget_part_of_pod(namespace, pod, ring);
        }
        if let Some(Some(node)) = self.nodes.get_mut(ring as usize) {
            node.names.remove(&key);
        }
    }

    fn forget_part_of_pod(&mut self, namespace: &CompactString, pod: &CompactString, ring: u32) {
        let Some(pods) = self.pods.get_mut(namespace) else { return };
        let Some(rings) = pods.get_mut(pod) else { return };
        rings.retain_mut(|(other, count)| {
            *count -= u32::from(*other == ring);
            *count > 0
        });
        if rings.is_empty() {
            pods.remove(pod);
        }
        if pods.is_empty() {
            self.pods.remove(namespace);
        }
    }

    /// Folds what is older than this tick; says how many chunks.
    pub(super) fn fold_before(&mut self, tick_ms: i64) -> u64 {
        let mut folded = 0;
        for node in self.nodes.iter_mut().flatten() {
            let before = node.ring.bytes();
            folded += node.ring.fold_before(tick_ms);
            self.bytes = self.bytes + node.ring.bytes() - before;
        }
        folded
    }

    /// Folds what is older than this tick, and drops the entities without a row since then.
    pub(super) fn expire(&mut self, tick_ms: i64) {
        self.fold_before(tick_ms);
        for index in 0..self.nodes.len() {
            let ring = u32::try_from(index).unwrap_or(u32::MAX);
            let Some(node) = &mut self.nodes[index] else { continue };
            let before = node.ring.bytes();
            let mut dropped = Vec::new();
            node.ring.drop_before(tick_ms, |slot, gone| dropped.push((slot, gone)));
            self.bytes = self.bytes + node.ring.bytes() - before;
            for (slot, gone) in dropped {
                self.forget(ring, slot, &gone);
            }
            self.drop_ring_if_empty(index);
        }
        // Numbers of values that were replaced, or of a table that is gone.
        let nodes = &self.nodes;
        self.by_id.retain(|id, place| {
            let slot = nodes.get(place.ring as usize).and_then(Option::as_ref);
            slot.and_then(|node| node.ring.slot(place.slot))
                .is_some_and(|slot| slot.entity.id == *id)
        });
        self.layout_bytes = self.count_layout_bytes();
    }

    fn drop_ring_if_empty(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take_if(|node| node.ring.is_empty()) {
            let bytes = node.ring.bytes() + size_of::<Node>() + 2 * heap_bytes(&node.name);
            self.bytes = self.bytes.saturating_sub(bytes);
            self.by_name.remove(&node.name);
        }
    }

    /// Layouts are shared by many rows, so that they are counted by looking at all of them.
    fn count_layout_bytes(&self) -> usize {
        let mut seen = Set::default();
        let slots = self.nodes().flat_map(|(_, node)| node.ring.slots());
        slots
            .map(|(_, slot)| &slot.newest.layout)
            .filter(|layout| seen.insert(Arc::as_ptr(layout)))
            .map(|layout| size_of::<Layout>() + size_of_val(layout.fields()))
            .sum()
    }

    /// Memory that the cluster takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.layout_bytes
    }

    /// The oldest tick that any chunk is of.
    pub(super) fn oldest_tick_ms(&self) -> Option<i64> {
        self.nodes().filter_map(|(_, node)| node.ring.oldest_tick_ms()).min()
    }

    /// Number of entities.
    pub(super) fn entity_count(&self) -> usize {
        self.nodes().map(|(_, node)| node.names.len()).sum()
    }

    /// Number of chunks.
    pub(super) fn chunk_count(&self) -> usize {
        self.nodes().map(|(_, node)| node.ring.chunk_count()).sum()
    }

    /// The rings, by number.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u32, &Node)> {
        (0..).zip(&self.nodes).filter_map(|(index, node)| Some((index, node.as_ref()?)))
    }

    pub(super) fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)?.as_ref()
    }

    pub(super) fn node_named(&self, name: &str) -> Option<(u32, &Node)> {
        let index = *self.by_name.get(name)?;
        Some((index, self.node(index)?))
    }

    /// Names of the nodes, in order.
    pub(super) fn node_names(&self) -> impl Iterator<Item = &CompactString> {
        self.by_name.keys().filter(|name| !name.is_empty())
    }

    /// See [`Pods`].
    pub(super) fn pods(&self) -> &Pods {
        &self.pods
    }

    /// The rings that have a pod or containers of it.
    pub(super) fn rings_of_pod(&self, namespace: &str, pod: &str) -> impl Iterator<Item = u32> {
        let rings = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        rings.into_iter().flatten().map(|(ring, _)| *ring)
    }

    pub(super) fn slot(&self, place: Place) -> Option<&Slot> {
        self.node(place.ring)?.ring.slot(place.slot)
    }

    /// Where the rows of a subject are: several places for a pod that moved.
    pub(super) fn places(&self, subject: &Subject) -> Vec<Place> {
        let key = subject.key();
        match subject {
            Subject::Cluster | Subject::Namespace { .. } => self.places_in("", &key),
            Subject::Node { node } => self.places_in(node, &key),
            Subject::FreeContainer { node, container } => {
                let places = self.places_in(node, &key);
                if !places.is_empty() || container.starts_with('/') {
                    return places;
                }
                // Proxies shorten `//`, so that the slash in front may be left out.
                let key = Key { name: format!("/{container}").into(), ..key };
                self.places_in(node, &key)
            }
            Subject::Pod { namespace, pod } | Subject::Container { namespace, pod, .. } => {
                let place = |ring| {
                    let slot = *self.node(ring)?.names.get(&key)?;
                    Some(Place { ring, slot })
                };
                self.rings_of_pod(namespace, pod).filter_map(place).collect()
            }
        }
    }

    fn places_in(&self, node: &str, key: &Key) -> Vec<Place> {
        let place = self.node_named(node).and_then(|(ring, node)| {
            let slot = *node.names.get(key)?;
            Some(Place { ring, slot })
        });
        place.into_iter().collect()
    }
}

impl Subject {
    fn key(&self) -> Key {
        match self {
            Self::Cluster => Key::new(Level::Cluster, "", "", ""),
            Self::Namespace { namespace } => Key::new(Level::Namespace, "", "", namespace),
            Self::Node { node } => Key::new(Level::Node, "", "", node),
            Self::FreeContainer { container, .. } => {
                Key::new(Level::SysContainer, "", "", container)
            }
            Self::Pod { namespace, pod } => Key::new(Level::Pod, namespace, "", pod),
            Self::Container { namespace, pod, container } => {
                Key::new(Level::PodContainer, namespace, pod, container)
            }
        }
    }
}

/// Name of the node that an entity is on, or nothing.
fn node_name(entity: &Entity) -> &str {
    entity.at(Level::Node).map_or("", |node| &node.name)
}
