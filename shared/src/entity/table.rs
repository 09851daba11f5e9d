//! The table of the entities that are alive.

use std::{hash::BuildHasher, sync::Arc};

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{Entity, EntityId, Labels, Level};
use crate::Set;

/// What is known of an entity, before the table gives it a number.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The whole that it is a part of, from the same table.
    pub parent: Option<Arc<Entity>>,
    /// What kind of thing it is.
    pub level: Level,
    /// Name, unique among what has the same parent and namespace.
    pub name: CompactString,
    /// Tells it from an earlier thing of the same name; may be empty.
    pub uid: CompactString,
    /// Its counters count from here, in milliseconds since 1970; 0 when not known.
    pub start_time_ms: i64,
    /// Its own labels.
    pub labels: Labels,
}

/// What tells an entity from all others. It is read off the entity wherever it is needed, and kept
/// nowhere else.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    parent: Option<EntityId>,
    level: Level,
    namespace: &'a str,
    name: &'a str,
}

/// Gives each entity its number: the same parent, level, namespace and name is the same entity.
/// Entities with the same labels share them in memory.
#[derive(Debug, Default)]
pub struct EntityTable {
    entities: HashTable<Arc<Entity>>,
    hasher: RandomState,
    labels: Set<Labels>,
    last_id: u32,
}

impl EntityTable {
    /// An empty table that gives out numbers above this one only, for whoever takes over from a
    /// table that is lost.
    #[must_use]
    pub fn starting_after(last: EntityId) -> Self {
        Self { last_id: last.0, ..Self::default() }
    }

    /// The largest number given out so far; 0 for none.
    #[must_use]
    pub const fn last_id(&self) -> EntityId {
        EntityId(self.last_id)
    }

    /// The entity of this definition. Where one with other labels, uid, start or parent was there,
    /// a new value with the same number replaces it.
    pub fn intern(&mut self, definition: Definition) -> Arc<Entity> {
        let key = Key::of_definition(&definition);
        let hash = self.hasher.hash_one(&key);
        let known = self.entities.find_mut(hash, |entity| Key::of(entity) == key);
        if let Some(entity) = known {
            if !definition.describes(entity) {
                let id = entity.id;
                *entity = Arc::new(definition.into_entity(id, &mut self.labels));
            }
            return Arc::clone(entity);
        }
        self.last_id += 1;
        let id = EntityId(self.last_id);
        let entity = Arc::new(definition.into_entity(id, &mut self.labels));
        let hasher = &self.hasher;
        let rehash = |entity: &Arc<Entity>| hasher.hash_one(Key::of(entity));
        self.entities.insert_unique(hash, Arc::clone(&entity), rehash);
        entity
    }

    /// Forgets the entities that `keep` refuses; their numbers are not given out again.
    pub fn retain(&mut self, mut keep: impl FnMut(&Arc<Entity>) -> bool) {
        self.entities.retain(|entity| keep(entity));
        self.labels.retain(|labels| labels.shared_by() > 1);
    }

    /// The entities in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Entity>> {
        self.entities.iter()
    }

    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }
}

impl<'a> Key<'a> {
    fn new(parent: Option<&Arc<Entity>>, level: Level, labels: &'a Labels, name: &'a str) -> Self {
        let namespace = match level {
            Level::Pod => labels.get(crate::tag::NAMESPACE_NAME),
            _ => None,
        };
        let parent = parent.map(|parent| parent.id);
        Self { parent, level, namespace: namespace.unwrap_or_default(), name }
    }

    fn of_definition(definition: &'a Definition) -> Self {
        let Definition { parent, level, labels, name, .. } = definition;
        Self::new(parent.as_ref(), *level, labels, name)
    }

    fn of(entity: &'a Entity) -> Self {
        Self::new(entity.parent.as_ref(), entity.level, &entity.labels, &entity.name)
    }
}

impl Definition {
    fn describes(&self, entity: &Entity) -> bool {
        let same_parent = match (&self.parent, &entity.parent) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same_parent
            && self.start_time_ms == entity.start_time_ms
            && self.uid == entity.uid
            && self.labels == entity.labels
    }

    fn into_entity(self, id: EntityId, shared: &mut Set<Labels>) -> Entity {
        Entity {
            id,
            level: self.level,
            name: self.name,
            uid: self.uid,
            start_time_ms: self.start_time_ms,
            labels: share(self.labels, shared),
            parent: self.parent,
        }
    }
}

/// The same labels, in the memory of those that are there already.
fn share(labels: Labels, shared: &mut Set<Labels>) -> Labels {
    if labels.is_empty() {
        return labels;
    }
    shared.get_or_insert(labels).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str, uid: &str) -> Definition {
        Definition {
            parent: None,
            level: Level::Pod,
            name: name.into(),
            uid: uid.into(),
            start_time_ms: 0,
            labels: Labels::from_iter([(crate::tag::NAMESPACE_NAME, namespace)]),
        }
    }

    /// A pod that comes back under its name keeps its number, so its history goes on; a namesake
    /// in another namespace is another entity.
    #[test]
    fn numbers_follow_names_and_values_follow_changes() {
        let mut table = EntityTable::default();
        let first = table.intern(pod("a", "web", "1"));
        assert!(Arc::ptr_eq(&first, &table.intern(pod("a", "web", "1"))));
        let recreated = table.intern(pod("a", "web", "2"));
        assert_eq!(recreated.id, first.id);
        assert!(!Arc::ptr_eq(&first, &recreated));
        assert_ne!(table.intern(pod("b", "web", "1")).id, first.id);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_successor_reuses_no_number() {
        let mut lost = EntityTable::default();
        let entity = lost.intern(pod("a", "web", "1"));
        let mut successor = EntityTable::starting_after(lost.last_id());
        assert!(successor.intern(pod("a", "other", "1")).id > entity.id);
    }

    #[test]
    fn forgotten_numbers_are_not_reused() {
        let mut table = EntityTable::default();
        let gone = table.intern(pod("a", "web", "1"));
        table.retain(|_| false);
        assert_ne!(table.intern(pod("a", "web", "1")).id, gone.id);
    }

    /// Labels that many have are there once, and are gone with the last who has them.
    #[test]
    fn equal_labels_are_shared() {
        let mut table = EntityTable::default();
        let [first, second] = ["x", "y"].map(|name| table.intern(pod("a", name, "")));
        assert_eq!(first.labels.shared_by(), 3);
        drop((first, second));
        table.retain(|entity| entity.name == "x");
        assert_eq!(table.iter().next().unwrap().labels.shared_by(), 2);
        table.retain(|_| false);
        assert!(table.labels.is_empty());
    }
}
