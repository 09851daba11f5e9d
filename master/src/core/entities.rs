//! The entities and layouts of one cluster: who is alive, and for how long the gone are remembered.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{
    Map,
    entity::{Definition, Entity, EntityId, EntityTable, Labels, Level},
    row::Block,
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

/// The entities of a cluster, with the time each was heard of last.
#[derive(Debug)]
pub struct Entities {
    table: EntityTable,
    seen_ms: Map<EntityId, i64>,
    layouts: LayoutCache,
}

impl Entities {
    /// No entities; numbers up to `last` belong to a table that is lost.
    #[must_use]
    pub fn starting_after(last: EntityId) -> Self {
        Self {
            table: EntityTable::starting_after(last),
            seen_ms: Map::default(),
            layouts: LayoutCache::default(),
        }
    }

    /// The entity of each definition, in order.
    pub fn resolve(&mut self, list: Vec<Unresolved>, now_ms: i64) -> Vec<Arc<Entity>> {
        let mut resolved: Vec<Arc<Entity>> = Vec::with_capacity(list.len());
        for item in list {
            let parent = match item.parent {
                Parent::None => None,
                Parent::Known(parent) => Some(parent),
                Parent::Earlier(index) => resolved.get(index).cloned(),
            };
            resolved.push(self.intern(
                Definition {
                    parent,
                    level: item.level,
                    name: item.name,
                    uid: item.uid,
                    start_time_ms: item.start_time_ms,
                    labels: item.labels,
                },
                now_ms,
            ));
        }
        resolved
    }

    /// The entity of this definition.
    pub fn intern(&mut self, definition: Definition, now_ms: i64) -> Arc<Entity> {
        let entity = self.table.intern(definition);
        self.seen_ms.insert(entity.id, now_ms);
        entity
    }

    /// The layout that measures these fields.
    pub fn layout(&mut self, fields: &[Field]) -> Arc<Layout> {
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.prune();
        }
        self.layouts.layout(fields)
    }

    /// Notes that the entities of these rows are alive.
    pub fn saw(&mut self, blocks: &[Block], now_ms: i64) {
        for row in blocks.iter().flat_map(Block::rows) {
            self.seen_ms.insert(row.head.entity.id, now_ms);
        }
    }

    /// Forgets what was not heard of since `before_ms` and is in nobody's hands: a stream that
    /// still has an entity may send a row of it, which must keep its number.
    pub fn forget(&mut self, before_ms: i64) {
        let Self { table, seen_ms, layouts } = self;
        table.retain(|entity| {
            let recent = seen_ms.get(&entity.id).is_some_and(|seen| *seen >= before_ms);
            recent || Arc::strong_count(entity) > 1
        });
        let kept: heapster_shared::Set<EntityId> = table.iter().map(|entity| entity.id).collect();
        seen_ms.retain(|id, _| kept.contains(id));
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
        let resolved = entities.resolve(list, 0);
        assert!(Arc::ptr_eq(resolved[1].parent.as_ref().unwrap(), &resolved[0]));
        let child = unresolved(Parent::Known(resolved[1].clone()), Level::PodContainer, "main");
        assert_eq!(entities.resolve(vec![child], 0)[0].lineage().count(), 3);
    }

    /// Memory follows what is alive; an entity that a stream still holds keeps its number.
    #[test]
    fn the_gone_are_forgotten_unless_somebody_holds_them() {
        let mut entities = Entities::starting_after(EntityId(10));
        let held = entities.resolve(vec![unresolved(Parent::None, Level::Node, "held")], 0);
        drop(entities.resolve(vec![unresolved(Parent::None, Level::Node, "gone")], 0));
        drop(entities.resolve(vec![unresolved(Parent::None, Level::Node, "new")], 100));
        entities.forget(50);
        assert_eq!(entities.len(), 2);
        let again = entities.resolve(vec![unresolved(Parent::None, Level::Node, "held")], 100);
        assert_eq!(again[0].id, held[0].id);
        let gone = entities.resolve(vec![unresolved(Parent::None, Level::Node, "gone")], 100);
        assert_eq!(gone[0].id, EntityId(14), "numbers are not reused");
    }
}
