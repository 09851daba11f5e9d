//! Entities: the things that are measured, and the table that gives each its number.

mod labels;
mod table;

use std::{fmt, sync::Arc};

use compact_str::CompactString;
use serde::Serialize;

pub use labels::Labels;
pub use table::{Definition, EntityTable};

/// What a row is about, from the whole to the part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Sums over the cluster.
    Cluster,
    /// Sums over a namespace.
    Namespace,
    /// A host as a whole.
    Node,
    /// A pod.
    Pod,
    /// A container of a pod.
    PodContainer,
    /// A container or control group that belongs to no pod.
    SysContainer,
}

impl Level {
    /// The value of the label `type`, as the ancestor wrote it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace => "ns",
            Self::Node => "node",
            Self::Pod => "pod",
            Self::PodContainer => "pod_container",
            Self::SysContainer => "sys_container",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Number of an entity within the table that made it; never reused by that table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct EntityId(pub u32);

/// A thing that is measured. When its labels, uid or start time change, a new value with the same
/// [`EntityId`] takes its place, so `Arc::ptr_eq` tells whether anything changed.
#[derive(Debug)]
pub struct Entity {
    /// The same for as long as its name, level and parent are the same.
    pub id: EntityId,
    /// What kind of thing it is.
    pub level: Level,
    /// Name, unique among what has the same parent and namespace.
    pub name: CompactString,
    /// Tells it from an earlier thing of the same name; empty where none is known.
    pub uid: CompactString,
    /// Its counters count from here, in milliseconds since 1970; 0 when not known.
    pub start_time_ms: i64,
    /// Its own labels; those of its parents apply too.
    pub labels: Labels,
    /// The whole that it is a part of.
    pub parent: Option<Arc<Entity>>,
}

impl Entity {
    /// The label of this name, its own or the nearest parent's.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.lineage().find_map(|entity| entity.labels.get(name))
    }

    /// This entity, its parent, and so on up.
    pub fn lineage(&self) -> impl Iterator<Item = &Entity> {
        std::iter::successors(Some(self), |entity| entity.parent.as_deref())
    }

    /// The nearest of itself and its parents at this level.
    #[must_use]
    pub fn at(&self, level: Level) -> Option<&Entity> {
        self.lineage().find(|entity| entity.level == level)
    }

    /// The namespace that it belongs to: its own name, or the label of its pod.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self.level {
            Level::Namespace => Some(&self.name),
            _ => self.label(crate::tag::NAMESPACE_NAME),
        }
    }
}
