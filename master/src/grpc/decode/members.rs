//! The entities of a segment by id, and where the newest row of each is.

use std::sync::Arc;

use heapster_shared::{Map, Set, entity::Entity};

/// Ids past the number of entities for which there is still a place in the list.
const SLACK: usize = 1024;

/// An entity of the segment.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) entity: Arc<Entity>,
    pub(super) home: Home,
}

/// Where the newest row of an entity is kept: nearly all have rows of one layout only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Home {
    /// The layout of the row; 0 for none.
    pub(super) layout: u32,
    /// Its place among the rows of that layout.
    pub(super) place: u32,
}

impl Home {
    /// There was no row yet.
    pub(super) const NONE: Self = Self { layout: 0, place: 0 };
}

/// What an id stands for.
pub(super) enum Found<'a> {
    Member(&'a mut Member),
    /// An entity of a level that this program does not know.
    Foreign,
    Nothing,
}

/// The entities of a segment. Ids grow one by one from 1 in the segments of most buddies, and lie in
/// a list then; one that lies far from all others is found in a map, so that no id costs more than
/// the entity.
#[derive(Debug, Default)]
pub(super) struct Members {
    near: Vec<Option<Member>>,
    far: Map<u32, Member>,
    foreign: Set<u32>,
    near_count: usize,
}

impl Members {
    /// Number of entities, foreign ones too.
    pub(super) fn len(&self) -> usize {
        self.near_count + self.far.len() + self.foreign.len()
    }

    /// Whether the id is defined.
    pub(super) fn contains(&self, id: u32) -> bool {
        self.entity(id).is_some() || self.foreign.contains(&id)
    }

    /// Whether the id is defined as an entity of a level that this program does not know.
    pub(super) fn is_foreign(&self, id: u32) -> bool {
        self.foreign.contains(&id)
    }

    /// The entity of an id.
    pub(super) fn entity(&self, id: u32) -> Option<&Arc<Entity>> {
        let near = self.near.get(id as usize).and_then(Option::as_ref);
        near.or_else(|| self.far.get(&id)).map(|member| &member.entity)
    }

    /// What an id stands for.
    pub(super) fn find(&mut self, id: u32) -> Found<'_> {
        match self.near.get_mut(id as usize).and_then(Option::as_mut) {
            Some(member) => Found::Member(member),
            None => match self.far.get_mut(&id) {
                Some(member) => Found::Member(member),
                None if self.foreign.contains(&id) => Found::Foreign,
                None => Found::Nothing,
            },
        }
    }

    /// Adds an entity under an id that is not taken.
    pub(super) fn insert(&mut self, id: u32, entity: Arc<Entity>) {
        let member = Member { entity, home: Home::NONE };
        let index = id as usize;
        if index >= self.near.len() && index > 2 * self.near_count + SLACK {
            self.far.insert(id, member);
            return;
        }
        if index >= self.near.len() {
            if index >= self.near.capacity() {
                let more = index + 1 - self.near.len();
                self.near.reserve_exact(more.max(self.near.len() / 8));
            }
            self.near.resize_with(index + 1, || None);
        }
        self.near[index] = Some(member);
        self.near_count += 1;
    }

    /// Adds an id of an entity that this program knows nothing of.
    pub(super) fn insert_foreign(&mut self, id: u32) {
        self.foreign.insert(id);
    }

    /// Takes an id out; where the newest row of its entity was.
    pub(super) fn remove(&mut self, id: u32) -> Option<Home> {
        let near = self.near.get_mut(id as usize).and_then(Option::take);
        self.near_count -= usize::from(near.is_some());
        let member = near.or_else(|| self.far.remove(&id));
        if member.is_none() {
            self.foreign.remove(&id);
        }
        member.map(|member| member.home)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, btree_map::Entry};

    use heapster_shared::entity::{Definition, EntityTable, Labels, Level};
    use proptest::prelude::*;

    use super::*;

    fn entity(name: &str) -> Arc<Entity> {
        EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        })
    }

    fn id() -> impl Strategy<Value = u32> {
        prop_oneof![6 => 0..40_u32, 2 => 1000..1100_u32, 1 => 2000..9000_u32, 1 => any::<u32>()]
    }

    proptest! {
        /// Near or far, an id finds what was put there last.
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((id(), 0..4_u8), 0..200)) {
            let mut members = Members::default();
            let mut model: BTreeMap<u32, Option<String>> = BTreeMap::new();
            for (index, (id, step)) in steps.into_iter().enumerate() {
                if step == 0 {
                    members.remove(id);
                    model.remove(&id);
                } else if let Entry::Vacant(place) = model.entry(id) {
                    let name = (step > 1).then(|| format!("e{index}"));
                    match &name {
                        Some(name) => members.insert(id, entity(name)),
                        None => members.insert_foreign(id),
                    }
                    place.insert(name);
                }
                prop_assert_eq!(members.len(), model.len());
                for (id, name) in &model {
                    prop_assert!(members.contains(*id));
                    prop_assert_eq!(members.is_foreign(*id), name.is_none());
                    prop_assert_eq!(members.entity(*id).map(|e| e.name.as_str()), name.as_deref());
                    let found = match members.find(*id) {
                        Found::Member(member) => Some(member.entity.name.to_string()),
                        Found::Foreign => None,
                        Found::Nothing => return Err(TestCaseError::fail("it is lost")),
                    };
                    prop_assert_eq!(&found, name);
                }
            }
        }
    }

    /// One entity under the largest id must not cost a list as long as that.
    #[test]
    fn a_far_id_takes_no_more_memory_than_a_near_one() {
        let mut members = Members::default();
        members.insert(u32::MAX, entity("far"));
        members.insert(1, entity("near"));
        assert!(members.near.len() <= SLACK + 2);
        assert_eq!(members.entity(u32::MAX).unwrap().name, "far");
    }
}
