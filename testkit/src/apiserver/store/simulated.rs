//! The simulated pods and nodes that lie underneath a store: where each has its place in the list, and
//! which version it had from the beginning.

use std::sync::Arc;

use super::{
    super::{
        object::{Entry, Object},
        resources::Resource,
    },
    Store,
};

/// Resource versions below this are for what is there beside simulated pods and nodes.
const FIRST_SIMULATED: u64 = 1000;

impl Store {
    /// The highest version of what is simulated.
    pub(super) fn last_simulated_version(&self) -> u64 {
        let count = |world: &Arc<crate::sim::World>| world.nodes() as u64 + world.pods() as u64;
        self.world.as_ref().map_or(0, |world| FIRST_SIMULATED + count(world))
    }

    pub(super) fn simulated_len(&self, resource: &Resource) -> usize {
        match (resource.plural, &self.world) {
            ("pods", Some(world)) => world.pods(),
            ("nodes", Some(world)) => world.nodes(),
            _ => 0,
        }
    }

    pub(super) fn simulated_key(&self, resource: &Resource, place: usize) -> String {
        match (resource.plural, &self.world) {
            ("pods", Some(world)) => world.pod_key(world.first_pod(place)),
            ("nodes", Some(world)) => world.node_key(world.first_node(place)),
            _ => String::new(),
        }
    }

    pub(super) fn simulated(&self, resource: &Resource, place: usize) -> Entry {
        let nodes = self.world.as_ref().map_or(0, |world| world.nodes());
        let before = if resource.plural == "pods" { nodes } else { 0 };
        let version = FIRST_SIMULATED + (before + place) as u64;
        let object = match (resource.plural, &self.world) {
            ("pods", Some(world)) => Object::Pod(world.first_pod(place)),
            ("nodes", Some(world)) => Object::Node(world.first_node(place)),
            _ => Object::Json(Arc::default()),
        };
        Entry { version, object }
    }

    /// The place of the first simulated object behind a key.
    pub(super) fn seek(&self, resource: &Resource, key: &str) -> usize {
        let (mut low, mut high) = (0, self.simulated_len(resource));
        while low < high {
            let middle = low.midpoint(high);
            if self.simulated_key(resource, middle).as_str() <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn simulated_place(&self, resource: &Resource, key: &str) -> Option<usize> {
        let place = self.seek(resource, key).checked_sub(1)?;
        (self.simulated_key(resource, place) == key).then_some(place)
    }
}
