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
    code::ChunkWriter,
    names::{Names, Pods},
    ring::{Ring, Verdict},
    slot::Slot,
    subject::{Key, Subject, heap_bytes},
};

/// Where an entity's rows are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
    pub(super) names: Names,
}

impl Node {
    /// Memory beyond the value itself, and that of the name by which it is found.
    fn bytes(&self) -> usize {
        let entry = size_of::<(CompactString, u32)>() * 3 / 2;
        self.ring.bytes() + self.names.bytes() + 2 * heap_bytes(&self.name) + entry
    }

    /// The slot of a name.
    pub(super) fn find(&self, key: &Key<'_>) -> Option<u32> {
        self.names.get(&self.ring, key)
    }

    /// The names of the entities, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        self.names.keys(&self.ring)
    }

    /// The names of a level and namespace, in order.
    pub(super) fn keys_in<'a>(
        &'a self,
        level: Level,
        namespace: &'a str,
    ) -> impl Iterator<Item = Key<'a>> {
        let from = self.names.from(&self.ring, &Key::new(level, namespace, "", ""));
        from.take_while(move |key| key.level == level && key.namespace == namespace)
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub struct ClusterModel {
    nodes: Vec<Option<Node>>,
    by_name: BTreeMap<CompactString, u32>,
    /// The number that each slot's entity has now.
    by_id: Map<EntityId, Place>,
    pods: Pods,
    /// Memory of the nodes beyond their own values.
    bytes: usize,
    layout_bytes: usize,
    layouts_counted_ms: i64,
    /// Where the next row's entity is if rows come in the order of the batch before.
    expected: Place,
    /// Kept to spare allocations.
    writers: Vec<ChunkWriter>,
    pub(super) newest_tick_ms: i64,
    pub(super) received_unix_ms: i64,
}

/// A chunk that is being written.
struct Open {
    ring: u32,
    bytes_before: usize,
    writer: ChunkWriter,
}

/// Writers kept from batch to batch; hardly a batch has rows of more nodes.
const MAX_WRITERS: usize = 4;

/// How often layouts are counted.
const LAYOUTS_COUNTED_EVERY_MS: i64 = 60_000;

impl ClusterModel {
    /// Takes in the rows of a batch. With `grow` false only those of entities that are known.
    pub(super) fn take(&mut self, batch: &RowBatch, grow: bool) -> RowCounts {
        let mut counts = RowCounts::default();
        let mut open: Vec<Open> = Vec::with_capacity(1);
        for block in &batch.blocks {
            for row in block.rows() {
                let verdict = self.take_row(&row, block.layout(), batch.tick.0, grow, &mut open);
                counts.add(verdict, &row);
            }
        }
        for Open { ring, bytes_before, mut writer } in open {
            if let Some(Some(node)) = self.nodes.get_mut(ring as usize) {
                node.ring.seal(batch.tick.0, &mut writer);
                self.bytes = self.bytes + node.bytes() - bytes_before;
            }
            if self.writers.len() < MAX_WRITERS {
                self.writers.push(writer);
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
        open: &mut Vec<Open>,
    ) -> Option<Verdict> {
        let entity = &row.head.entity;
        let known = self.find(entity);
        if known.is_none() && !grow {
            return None;
        }
        let ring = known.map_or_else(|| self.ring_for(entity), |place| place.ring);
        let node = self.nodes.get_mut(ring as usize)?.as_mut()?;
        let writer = open.iter().rposition(|open| open.ring == ring).unwrap_or_else(|| {
            let writer = self.writers.pop().unwrap_or_default();
            open.push(Open { ring, bytes_before: node.bytes(), writer });
            open.len() - 1
        });
        let writer = &mut open[writer].writer;
        let (slot, verdict) = match known {
            None => {
                let slot = node.ring.add(row, layout, tick_ms, writer);
                self.name(entity, Place { ring, slot });
                (slot, Verdict::Taken)
            }
            Some(Place { slot, .. }) => {
                let id_before = node.ring.slot(slot).map(|slot| slot.entity.id);
                let verdict = node.ring.push(slot, row, layout, tick_ms, writer);
                if verdict == Verdict::Taken && id_before != Some(entity.id) {
                    self.renumber(id_before, entity.id, Place { ring, slot });
                }
                (slot, verdict)
            }
        };
        self.expected = Place { ring, slot: slot.saturating_add(1) };
        Some(verdict)
    }

    /// The place of an entity: by the order of rows or by its number, when the same value is still
    /// there, or by its name.
    fn find(&self, entity: &Arc<Entity>) -> Option<Place> {
        let is_at =
            |place: &Place| self.slot(*place).is_some_and(|slot| Arc::ptr_eq(&slot.entity, entity));
        let numbered = || self.by_id.get(&entity.id).copied();
        if let Some(place) = Some(self.expected).filter(is_at).or_else(|| numbered().filter(is_at))
        {
            return Some(place);
        }
        let ring = *self.by_name.get(node_name(entity))?;
        let slot = self.node(ring)?.find(&Key::of(entity))?;
        Some(Place { ring, slot })
    }

    /// Notes that the entity in a slot has another number, as after its table was made anew.
    fn renumber(&mut self, before: Option<EntityId>, now: EntityId, place: Place) {
        if let Some(before) = before {
            self.forget_number(before, place);
        }
        self.by_id.insert(now, place);
    }

    fn forget_number(&mut self, id: EntityId, place: Place) {
        if self.by_id.get(&id) == Some(&place) {
            self.by_id.remove(&id);
        }
    }

    fn ring_for(&mut self, entity: &Entity) -> u32 {
        let name = node_name(entity);
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let node = Node { name: name.into(), ..Node::default() };
        self.bytes += node.bytes();
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
        self.by_id.insert(entity.id, place);
        if let Some((namespace, pod)) = Key::of(entity).pod() {
            self.pods.add(namespace, pod, place.ring);
        }
        if let Some(Some(node)) = self.nodes.get_mut(place.ring as usize) {
            node.names.insert(&node.ring, place.slot);
        }
    }

    fn forget(&mut self, place: Place, gone: &Entity) {
        self.forget_number(gone.id, place);
        if let Some((namespace, pod)) = Key::of(gone).pod() {
            self.pods.remove(namespace, pod, place.ring);
        }
    }

    /// Folds what is older than this tick; says how many chunks.
    pub(super) fn fold_before(&mut self, tick_ms: i64) -> u64 {
        let mut folded = 0;
        for node in self.nodes.iter_mut().flatten() {
            let before = node.bytes();
            folded += node.ring.fold_before(tick_ms);
            self.bytes = self.bytes + node.bytes() - before;
        }
        folded
    }

    /// Folds what is older than this tick, and drops the entities without a row since then.
    pub(super) fn expire(&mut self, tick_ms: i64) {
        self.fold_before(tick_ms);
        for index in 0..self.nodes.len() {
            self.drop_before(index, tick_ms);
            if let Some(node) = self.nodes[index].take_if(|node| node.ring.is_empty()) {
                self.bytes -= node.bytes();
                self.by_name.remove(&node.name);
            }
        }
        if self.by_id.len() < self.by_id.capacity() / 4 {
            self.by_id.shrink_to_fit();
        }
        self.pods.shrink();
        if tick_ms.saturating_sub(self.layouts_counted_ms) >= LAYOUTS_COUNTED_EVERY_MS {
            self.layouts_counted_ms = tick_ms;
            self.layout_bytes = self.count_layout_bytes();
        }
    }

    fn drop_before(&mut self, index: usize, tick_ms: i64) {
        let Some(node) = &mut self.nodes[index] else { return };
        let before = node.bytes();
        let dropped = node.ring.drop_before(tick_ms);
        if dropped.is_empty() {
            return;
        }
        let slots: Vec<u32> = dropped.iter().map(|(slot, _)| *slot).collect();
        node.names.remove(&slots);
        self.bytes = self.bytes + node.bytes() - before;
        let ring = u32::try_from(index).unwrap_or(u32::MAX);
        for (slot, gone) in dropped {
            self.forget(Place { ring, slot }, &gone.entity);
        }
    }

    /// Layouts are shared by many rows, so that they are counted by looking at all of them.
    fn count_layout_bytes(&self) -> usize {
        let mut seen = Set::default();
        let mut newest = std::ptr::null();
        let slots = self.nodes().flat_map(|(_, node)| node.ring.slots());
        slots
            .map(|(_, slot)| &slot.layout)
            // Most neighbours share theirs.
            .filter(|layout| std::mem::replace(&mut newest, Arc::as_ptr(layout)) != newest)
            .filter(|layout| seen.insert(Arc::as_ptr(layout)))
            .map(|layout| size_of::<Layout>() + size_of_val(layout.fields()))
            .sum()
    }

    /// Memory that the cluster takes.
    pub(super) fn bytes(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<Option<Node>>();
        self.bytes + self.layout_bytes + nodes + self.by_id.allocation_size() + self.pods.bytes()
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
    pub(super) const fn pods(&self) -> &Pods {
        &self.pods
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
                self.places_in(node, &Key { name: &format!("/{container}"), ..key })
            }
            Subject::Pod { namespace, pod } | Subject::Container { namespace, pod, .. } => {
                let place = |ring| Some(Place { ring, slot: self.node(ring)?.find(&key)? });
                self.pods.rings(namespace, pod).filter_map(place).collect()
            }
        }
    }

    fn places_in(&self, node: &str, key: &Key<'_>) -> Vec<Place> {
        let place = self.node_named(node).and_then(|(ring, node)| {
            let slot = node.find(key)?;
            Some(Place { ring, slot })
        });
        place.into_iter().collect()
    }
}

/// Name of the node that an entity is on, or nothing.
fn node_name(entity: &Entity) -> &str {
    entity.at(Level::Node).map_or("", |node| &node.name)
}
