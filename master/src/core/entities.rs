//! The entities and layouts of one cluster: who is alive, and for how long the gone are remembered.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{
    Map,
    entity::{Definition, Entity, EntityId, EntityTable, Labels, Level},
    schema::{Field, Layout, LayoutCache},
};

/// Layouts kept, past which those that nobody uses are forgotten at once.
const MAX_LAYOUTS: usize = 16_384;

/// The whole that a definition is a part of.
#[derive(Clone, Debug)]
pub enum Parent {
    /// It stands alone.
    None,
    /// An entity that was resolved before.
    Known(Arc<Entity>),
    /// The definition at this place of the same list.
    Earlier(usize),
}

/// An entity as a stream defines it, before the cluster knows which one it is.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of `Definition`
pub struct Unresolved {
    pub parent: Parent,
    pub level: Level,
    pub name: CompactString,
    pub uid: CompactString,
    pub start_time_ms: i64,
    pub labels: Labels,
}

/// The entities of a cluster. One is alive as long as somebody holds it: a stream that may send rows
/// of it, or the model that has some. Nothing has to be noted of it meanwhile.
#[derive(Debug)]
pub struct Entities {
    table: EntityTable,
    /// Those that nobody held when they were last looked at, and since when.
    released_ms: Map<EntityId, i64>,
    layouts: LayoutCache,
}

impl Entities {
    /// No entities; numbers up to `last` belong to a table that is lost.
    #[must_use]
    pub fn starting_after(last: EntityId) -> Self {
        Self {
            table: EntityTable::starting_after(last),
            released_ms: Map::default(),
            layouts: LayoutCache::default(),
        }
    }

    /// The entity of each definition, in order.
    pub fn resolve(&mut self, list: Vec<Unresolved>) -> Vec<Arc<Entity>> {
        let mut resolved: Vec<Arc<Entity>> = Vec::with_capacity(list.len());
        for item in list {
            let parent = match item.parent {
                Parent::None => None,
                Parent::Known(parent) => Some(parent),
                Parent::Earlier(index) => resolved.get(index).cloned(),
            };
            resolved.push(self.intern(Definition {
                parent,
                level: item.level,
                name: item.name,
                uid: item.uid,
                start_time_ms: item.start_time_ms,
                labels: item.labels,
            }));
        }
        resolved
    }

    /// The entity of this definition.
    pub fn intern(&mut self, definition: Definition) -> Arc<Entity> {
        self.table.intern(definition)
    }

    /// The layout that measures these fields.
    pub fn layout(&mut self, fields: &[Field]) -> Arc<Layout> {
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.prune();
        }
        self.layouts.layout(fields)
    }

    /// Forgets what has been in nobody's hands since `before_ms`. A stream that still has an entity
    /// may send a row of it, which must keep its number. To be called often: an entity is taken to
    /// be released when this first finds it so.
    pub fn forget(&mut self, now_ms: i64, before_ms: i64) {
        let Self { table, released_ms, layouts } = self;
        let mut still_released = Map::default();
        table.retain(|entity| {
            if Arc::strong_count(entity) > 1 {
                return true;
            }
            let since = released_ms.get(&entity.id).copied().unwrap_or(now_ms);
            let is_kept = since >= before_ms;
            if is_kept {
                still_released.insert(entity.id, since);
            }
            is_kept
        });
        *released_ms = still_released;
        layouts.prune();
    }

    /// Number of entities remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The largest number given out so far.
    #[must_use]
    pub const fn last_id(&self) -> EntityId {
        self.table.last_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unresolved(parent: Parent, level: Level, name: &str) -> Unresolved {
        Unresolved {
            parent,
            level,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        }
    }

    #[test]
    fn parents_are_found_in_the_same_list() {
        let mut entities = Entities::starting_after(EntityId(0));
        let list = vec![
            unresolved(Parent::None, Level::Node, "a"),
            unresolved(Parent::Earlier(0), Level::Pod, "web"),
        ];
        let resolved = entities.resolve(list);
        assert!(Arc::ptr_eq(resolved[1].parent.as_ref().unwrap(), &resolved[0]));
        let child = unresolved(Parent::Known(resolved[1].clone()), Level::PodContainer, "main");
        assert_eq!(entities.resolve(vec![child])[0].lineage().count(), 3);
    }

    fn node(entities: &mut Entities, name: &str) -> Arc<Entity> {
        entities.resolve(vec![unresolved(Parent::None, Level::Node, name)]).remove(0)
    }

    /// Memory follows what is alive; an entity that a stream still holds keeps its number.
    #[test]
    fn the_gone_are_forgotten_unless_somebody_holds_them() {
        let mut entities = Entities::starting_after(EntityId(10));
        let held = node(&mut entities, "held");
        drop(node(&mut entities, "gone"));
        entities.forget(0, -50);
        drop(node(&mut entities, "new"));
        entities.forget(100, 50);
        assert_eq!(entities.len(), 2);
        assert_eq!(node(&mut entities, "held").id, held.id);
        assert_eq!(node(&mut entities, "gone").id, EntityId(14), "numbers are not reused");
    }

    /// A buddy that connects anew within the retention finds its entities as they were.
    #[test]
    fn time_counts_from_when_the_last_hand_let_go() {
        let mut entities = Entities::starting_after(EntityId(0));
        let held = node(&mut entities, "a");
        let id = held.id;
        entities.forget(1_000, 900);
        drop(held);
        entities.forget(1_030, 930);
        entities.forget(1_130, 1_030);
        let again = node(&mut entities, "a");
        assert_eq!(again.id, id);
        entities.forget(1_160, 1_060);
        drop(again);
        entities.forget(1_190, 1_090);
        entities.forget(1_290, 1_190);
        assert_eq!(entities.len(), 1, "what was before it was held again does not count");
        entities.forget(1_291, 1_191);
        assert!(entities.is_empty());
    }
}
