//! The entities of one ring in the order of their names, and the rings of each pod.

use std::hash::BuildHasher;

use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable};
use heapster_shared::Map;

use super::{ring::Ring, subject::Key};

/// Slots of a ring, sorted by the names of their entities, which are looked up there.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<u32>);

impl Names {
    fn key(ring: &Ring, slot: u32) -> Option<Key<'_>> {
        ring.slot(slot).map(|slot| Key::of(&slot.entity))
    }

    /// The slot of this name.
    pub(super) fn get(&self, ring: &Ring, key: &Key<'_>) -> Option<u32> {
        let found = self.0.binary_search_by(|slot| Self::key(ring, *slot).as_ref().cmp(&Some(key)));
        found.ok().map(|place| self.0[place])
    }

    /// Adds a slot that an entity was just put in.
    pub(super) fn insert(&mut self, ring: &Ring, slot: u32) {
        let key = Self::key(ring, slot);
        let place = self.0.partition_point(|other| Self::key(ring, *other) < key);
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 8).max(4));
        }
        self.0.insert(place, slot);
    }

    /// Removes slots, given in order; before any of them is used again.
    pub(super) fn remove(&mut self, slots: &[u32]) {
        self.0.retain(|slot| slots.binary_search(slot).is_err());
    }

    /// The names in order, from this one on.
    pub(super) fn from<'a>(
        &'a self,
        ring: &'a Ring,
        first: &Key<'_>,
    ) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let before = |slot: &u32| Self::key(ring, *slot).is_some_and(|key| key < *first);
        let start = self.0.partition_point(before);
        self.0[start..].iter().filter_map(|slot| Self::key(ring, *slot))
    }

    /// The names in order.
    pub(super) fn keys<'a>(&'a self, ring: &'a Ring) -> impl Iterator<Item = Key<'a>> {
        self.0.iter().filter_map(|slot| Self::key(ring, *slot))
    }

    /// Number of names.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Memory beyond the value itself.
    pub(super) const fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }
}

/// Which rings have a pod or containers of it. A pod goes by the hash of its name: of two with the
/// same hash each is thought to be in the rings of both, and is then not found in one of them.
#[derive(Debug, Default)]
pub(super) struct Pods {
    places: HashTable<PodPlace>,
    hasher: DefaultHashBuilder,
    /// Entities of pods by namespace.
    namespaces: Map<CompactString, u32>,
}

#[derive(Clone, Copy, Debug)]
struct PodPlace {
    hash: u64,
    ring: u32,
    /// Entities of the pod in the ring.
    entities: u32,
}

impl Pods {
    /// Notes an entity of a pod.
    pub(super) fn add(&mut self, namespace: &str, pod: &str, ring: u32) {
        match self.namespaces.get_mut(namespace) {
            Some(entities) => *entities += 1,
            None => drop(self.namespaces.insert(namespace.into(), 1)),
        }
        let hash = self.hasher.hash_one((namespace, pod));
        match self.places.find_mut(hash, |place| (place.hash, place.ring) == (hash, ring)) {
            Some(place) => place.entities += 1,
            None => {
                let place = PodPlace { hash, ring, entities: 1 };
                self.places.insert_unique(hash, place, |place| place.hash);
            }
        }
    }

    /// Forgets an entity of a pod.
    pub(super) fn remove(&mut self, namespace: &str, pod: &str, ring: u32) {
        if let Some(entities) = self.namespaces.get_mut(namespace) {
            *entities -= 1;
            if *entities == 0 {
                self.namespaces.remove(namespace);
            }
        }
        let hash = self.hasher.hash_one((namespace, pod));
        let same = |place: &PodPlace| (place.hash, place.ring) == (hash, ring);
        let Ok(mut place) = self.places.find_entry(hash, same) else { return };
        place.get_mut().entities -= 1;
        if place.get().entities == 0 {
            place.remove();
        }
    }

    /// The rings that have a pod or containers of it.
    pub(super) fn rings(&self, namespace: &str, pod: &str) -> impl Iterator<Item = u32> {
        let hash = self.hasher.hash_one((namespace, pod));
        self.places.iter_hash(hash).filter(move |place| place.hash == hash).map(|place| place.ring)
    }

    /// The namespaces that have pods, in no order.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(CompactString::as_str)
    }

    /// Whether a namespace has pods.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// Memory beyond the value itself.
    pub(super) fn bytes(&self) -> usize {
        self.places.allocation_size() + self.namespaces.allocation_size()
    }

    /// Gives back memory that is not needed any more.
    pub(super) fn shrink(&mut self) {
        if self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to_fit(|place| place.hash);
        }
    }
}
