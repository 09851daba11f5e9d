//! What the model is asked about, and the names that entities go by in it.

use std::fmt;

use compact_str::CompactString;
use heapster_shared::entity::{Entity, Level};

/// A thing that the API names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the fields are names
pub enum Subject {
    /// The cluster as a whole.
    Cluster,
    /// A namespace.
    Namespace { namespace: String },
    /// A node.
    Node { node: String },
    /// A container of a node that belongs to no pod.
    FreeContainer { node: String, container: String },
    /// A pod, on whatever node it is or was.
    Pod { namespace: String, pod: String },
    /// A container of a pod.
    Container { namespace: String, pod: String, container: String },
}

/// The name of an entity within its node (or within the cluster, for what has no node): the same
/// for as long as the API calls it the same, whichever table made the entity. It is read off the
/// entity wherever it is needed, and kept nowhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key<'a> {
    pub(super) level: Level,
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Key<'a> {
    pub(super) const fn new(level: Level, namespace: &'a str, pod: &'a str, name: &'a str) -> Self {
        Self { level, namespace, pod, name }
    }

    pub(super) fn of(entity: &'a Entity) -> Self {
        let (namespace, pod) = match entity.level {
            Level::Pod => (entity.namespace(), None),
            Level::PodContainer => {
                (entity.namespace(), entity.at(Level::Pod).map(|pod| pod.name.as_str()))
            }
            _ => (None, None),
        };
        let name = if entity.level == Level::Cluster { "" } else { &entity.name };
        Self::new(entity.level, namespace.unwrap_or_default(), pod.unwrap_or_default(), name)
    }

    /// Namespace and name of the pod that it is or belongs to.
    pub(super) const fn pod(&self) -> Option<(&'a str, &'a str)> {
        match self.level {
            Level::Pod => Some((self.namespace, self.name)),
            Level::PodContainer => Some((self.namespace, self.pod)),
            _ => None,
        }
    }

    /// What the ancestor called it in `debug/allkeys`.
    pub(super) fn ancestral(&self, node: &str) -> String {
        let Self { namespace, pod, name, .. } = self;
        match self.level {
            Level::Cluster => "cluster".into(),
            Level::Namespace => format!("namespace:{name}"),
            Level::Node => format!("node:{name}"),
            Level::Pod => format!("namespace:{namespace}/pod:{name}"),
            Level::PodContainer => format!("namespace:{namespace}/pod:{pod}/container:{name}"),
            Level::SysContainer => format!("node:{node}/container:{name}"),
        }
    }
}

impl Subject {
    /// Its name among the entities.
    pub(super) fn key(&self) -> Key<'_> {
        match self {
            Self::Cluster => Key::new(Level::Cluster, "", "", ""),
            Self::Namespace { namespace } => Key::new(Level::Namespace, "", "", namespace),
            Self::Node { node } => Key::new(Level::Node, "", "", node),
            Self::FreeContainer { container, .. } => {
                Key::new(Level::SysContainer, "", "", container)
            }
            Self::Pod { namespace, pod } => Key::new(Level::Pod, namespace, "", pod),
            Self::Container { namespace, pod, container } => {
                Key::new(Level::PodContainer, namespace, pod, container)
            }
        }
    }
}

/// Memory of a string beyond the value itself.
pub(super) fn heap_bytes(text: &CompactString) -> usize {
    if text.is_heap_allocated() { text.capacity() } else { 0 }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Namespace { namespace } => write!(f, "namespace `{namespace}`"),
            Self::Node { node } => write!(f, "node `{node}`"),
            Self::FreeContainer { node, container } => {
                write!(f, "container `{container}` of node `{node}`")
            }
            Self::Pod { namespace, pod } => write!(f, "pod `{pod}` of namespace `{namespace}`"),
            Self::Container { namespace, pod, container } => {
                write!(f, "container `{container}` of pod `{pod}` of namespace `{namespace}`")
            }
        }
    }
}
