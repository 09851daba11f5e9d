//! The table of the entities that are alive.

use std::sync::Arc;

use compact_str::CompactString;

use super::{Entity, EntityId, Labels, Level};
use crate::Map;

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

#[derive(PartialEq, Eq, Hash, Debug)]
struct Key {
    parent: Option<EntityId>,
    level: Level,
    namespace: CompactString,
    name: CompactString,
}

/// Gives each entity its number: the same parent, level, namespace and name is the same entity.
#[derive(Debug, Default)]
pub struct EntityTable {
    entities: Map<Key, Arc<Entity>>,
    last_id: u32,
}

impl EntityTable {
    /// An empty table that gives out numbers above this one only, for whoever takes over from a
    /// table that is lost.
    #[must_use]
    pub fn starting_after(last: EntityId) -> Self {
        Self { entities: Map::default(), last_id: last.0 }
    }

    /// The largest number given out so far; 0 for none.
    #[must_use]
    pub const fn last_id(&self) -> EntityId {
        EntityId(self.last_id)
    }

    /// The entity of this definition. Where one with other labels, uid, start or parent was there,
    /// a new value with the same number replaces it.
    pub fn intern(&mut self, definition: Definition) -> Arc<Entity> {
        let key = Key::of(&definition);
        let known = self.entities.get(&key);
        if let Some(entity) = known.filter(|entity| definition.describes(entity)) {
            return Arc::clone(entity);
        }
        let id = known.map_or_else(|| EntityId(self.last_id + 1), |entity| entity.id);
        self.last_id = self.last_id.max(id.0);
        let entity = Arc::new(definition.into_entity(id));
        self.entities.insert(key, Arc::clone(&entity));
        entity
    }

    /// Forgets the entities that `keep` refuses; their numbers are not given out again.
    pub fn retain(&mut self, mut keep: impl FnMut(&Arc<Entity>) -> bool) {
        self.entities.retain(|_, entity| keep(entity));
    }

    /// The entities in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Entity>> {
        self.entities.values()
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

impl Key {
    fn of(definition: &Definition) -> Self {
        let namespace = match definition.level {
            Level::Pod => definition.labels.get(crate::tag::NAMESPACE_NAME),
            _ => None,
        };
        Self {
            parent: definition.parent.as_ref().map(|parent| parent.id),
            level: definition.level,
            namespace: namespace.unwrap_or_default().into(),
            name: definition.name.clone(),
        }
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

    fn into_entity(self, id: EntityId) -> Entity {
        Entity {
            id,
            level: self.level,
            name: self.name,
            uid: self.uid,
            start_time_ms: self.start_time_ms,
            labels: self.labels,
            parent: self.parent,
        }
    }
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
}
