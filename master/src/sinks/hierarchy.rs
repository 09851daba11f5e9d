//! The names along the lineage of an entity, for sinks that write them as a path.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use heapster_shared::{
    entity::{Entity, Level},
    tag,
};

use super::apart;
use crate::delivery::Payload;

/// Where an entity is; a name that it has none of is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Hierarchy {
    /// The host name of its node, or the node's name where no other is known.
    pub(super) host: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its pod.
    pub(super) pod: String,
}

impl Hierarchy {
    /// The names of this entity and of what it is part of.
    pub(super) fn of(entity: &Entity) -> Self {
        let mut place = Self::default();
        tag::visit(entity, |name, value| {
            let slot = match name {
                tag::HOSTNAME => &mut place.host,
                tag::NAMESPACE_NAME => &mut place.namespace,
                tag::POD_NAME => &mut place.pod,
                _ => return,
            };
            if slot.is_empty() {
                value.clone_into(slot);
            }
        });
        if entity.level == Level::Namespace && place.namespace.is_empty() {
            entity.name.as_str().clone_into(&mut place.namespace);
        }
        place
    }
}

/// Says once that two clusters write the same paths.
#[derive(Debug, Default)]
pub(super) struct ClusterWatch {
    first: OnceLock<Arc<str>>,
    warned: AtomicBool,
}

impl ClusterWatch {
    /// Looks which clusters the rows are of; `sink` is its kind.
    pub(super) fn look(&self, sink: &str, payloads: &[Payload]) {
        if self.warned.load(Relaxed) {
            return;
        }
        for rows in apart::rows(payloads) {
            let first = self.first.get_or_init(|| Arc::clone(&rows.cluster));
            if *first != rows.cluster && !self.warned.swap(true, Relaxed) {
                tracing::warn!(
                    sink,
                    clusters = format!("{first}, {}", rows.cluster),
                    "several clusters write the same paths: put {{cluster}} into the prefix, as prefix=kubernetes.{{cluster}}"
                );
            }
        }
    }
}
