//! The entities that a segment has defined, by their ids and by their addresses.
//!
//! A change makes a new value of an entity, so its address says whether it is the one that was
//! defined. Each is held, so that its address is not used again.

use std::sync::Arc;

use hashbrown::HashTable;
use heapster_shared::{Map, entity::Entity};

/// So many entities are looked at for whether they are in use at a time, or a quarter of them.
const LOOKED_AT: usize = 1 << 10;

/// Entities of a segment. Ids grow from 1 and are not used again.
#[derive(Debug, Default)]
pub(super) struct Entities {
    /// By id, less one; none where it has ended.
    defined: Vec<Defined>,
    by_address: HashTable<u32>,
    /// Those that the master would not take.
    refused: Map<usize, Arc<Entity>>,
    /// Where to look next for entities that are not in use.
    look_at: usize,
}

#[derive(Debug)]
struct Defined {
    entity: Option<Arc<Entity>>,
    newest: Newest,
}

/// Where an entity's newest row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Newest {
    /// Id of its layout; 0 for no row yet.
    pub(super) layout: u16,
    pub(super) place: u32,
}

impl Entities {
    /// The id of an entity: 0 where the master would not take it, none where it is new.
    pub(super) fn find(&self, entity: &Arc<Entity>) -> Option<u32> {
        let address = address_of(entity);
        let same = |id: &u32| self.is(*id, entity);
        let id = self.by_address.find(hash(address), same).copied();
        id.or_else(|| self.refused.contains_key(&address).then_some(0))
    }

    /// Whether this is the entity of this id.
    pub(super) fn is(&self, id: u32, entity: &Arc<Entity>) -> bool {
        let defined = (id as usize).checked_sub(1).and_then(|at| self.defined.get(at));
        let known = defined.and_then(|defined| defined.entity.as_ref());
        known.is_some_and(|known| Arc::ptr_eq(known, entity))
    }

    /// Takes in an entity under the next id.
    pub(super) fn define(&mut self, entity: &Arc<Entity>) {
        let defined = Defined { entity: Some(Arc::clone(entity)), newest: Newest::default() };
        self.defined.push(defined);
        let id = self.last_id();
        let known = &self.defined;
        let rehash = |id: &u32| {
            let entity = known.get(*id as usize - 1).and_then(|defined| defined.entity.as_ref());
            hash(entity.map_or(0, address_of))
        };
        self.by_address.insert_unique(hash(address_of(entity)), id, rehash);
    }

    /// Notes an entity that the master would not take.
    pub(super) fn refuse(&mut self, entity: &Arc<Entity>) {
        self.refused.insert(address_of(entity), Arc::clone(entity));
    }

    /// The id that was given last; 0 for none.
    pub(super) fn last_id(&self) -> u32 {
        self.defined.len() as u32
    }

    /// Number of entities that have not ended.
    pub(super) fn alive(&self) -> usize {
        self.by_address.len()
    }

    /// Where the newest row of a defined entity is.
    pub(super) fn newest(&self, id: u32) -> Newest {
        self.defined[id as usize - 1].newest
    }

    pub(super) fn set_newest(&mut self, id: u32, newest: Newest) {
        self.defined[id as usize - 1].newest = newest;
    }

    /// Forgets those of a part of the entities that nobody else holds any more; their ids, in
    /// order, and where their newest rows are. So that no round pays for all, a large table takes
    /// four times to be looked through.
    pub(super) fn end_unused(&mut self) -> Vec<(u32, Newest)> {
        self.refused.retain(|_, entity| Arc::strong_count(entity) > 1);
        let all = self.defined.len();
        let count = LOOKED_AT.max(all / 4).min(all);
        let mut ended = Vec::new();
        for step in self.look_at..self.look_at + count {
            let at = step % all;
            let defined = &mut self.defined[at];
            let unused = |entity: &mut Arc<Entity>| Arc::strong_count(entity) == 1;
            let Some(entity) = defined.entity.take_if(unused) else { continue };
            let id = at as u32 + 1;
            ended.push((id, std::mem::take(&mut defined.newest)));
            let entry = self.by_address.find_entry(hash(address_of(&entity)), |other| *other == id);
            if let Ok(entry) = entry {
                entry.remove();
            }
        }
        self.look_at += count;
        self.look_at = self.look_at.checked_rem(all).unwrap_or(0);
        ended.sort_unstable_by_key(|(id, _)| *id);
        ended
    }

    /// Memory that it takes.
    pub(super) fn size(&self) -> usize {
        self.defined.len() * size_of::<Defined>() + self.by_address.capacity() * 5
    }
}

fn address_of(entity: &Arc<Entity>) -> usize {
    Arc::as_ptr(entity).addr()
}

/// Spreads addresses, whose lowest bits are all the same.
const fn hash(address: usize) -> u64 {
    let product = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}
