//! Who a thing is: its uid and start, and the entity that its rows name.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::entity::{Definition, Entity, EntityId};

/// Start times that are worked out from an uptime move by about this much without a restart.
const START_JITTER_MS: u64 = 2_000;

/// What tells one run of a thing from another.
#[derive(Debug)]
pub(super) struct Identity {
    /// The newest uid that is known.
    pub(super) uid: CompactString,
    /// The first start time given for this run; 0 for none.
    pub(super) start_time_ms: i64,
    /// It was started again: counters began again, and what was before is not to be compared with.
    pub(super) is_restarted: bool,
}

impl Identity {
    /// What it is known as, with what the host says of it now.
    pub(super) fn new(known: (&str, i64), now: (&str, i64)) -> Self {
        let ((known_uid, known_start_ms), (uid, start_time_ms)) = (known, now);
        let is_renamed = !uid.is_empty() && !known_uid.is_empty() && known_uid != uid;
        let is_moved = known_start_ms != 0 && !is_same_start(known_start_ms, start_time_ms);
        let is_restarted = is_renamed || is_moved;
        let keeps_uid = !is_restarted && !known_uid.is_empty();
        let keeps_start = !is_restarted && known_start_ms != 0;
        Self {
            uid: if keeps_uid { known_uid.into() } else { uid.into() },
            start_time_ms: if keeps_start { known_start_ms } else { start_time_ms },
            is_restarted,
        }
    }
}

/// Whether a start time that is given now says nothing new.
pub(super) const fn is_same_start(known_ms: i64, now_ms: i64) -> bool {
    now_ms == 0 || (known_ms != 0 && now_ms.abs_diff(known_ms) <= START_JITTER_MS)
}

/// Numbers of entities; none is given out twice.
#[derive(Debug, Default)]
pub(super) struct Ids {
    last: u32,
}

impl Ids {
    /// Makes the entity what is defined now: the same value where nothing changed, else a new one
    /// with the same number. Says whether it is a new one.
    pub(super) fn renew(&mut self, entity: &mut Option<Arc<Entity>>, now: Definition) -> bool {
        if entity.as_ref().is_some_and(|entity| describes(&now, entity)) {
            return false;
        }
        let id = entity.as_ref().map_or_else(|| self.next(), |entity| entity.id);
        let Definition { parent, level, name, uid, start_time_ms, labels } = now;
        *entity = Some(Arc::new(Entity { id, level, name, uid, start_time_ms, labels, parent }));
        true
    }

    fn next(&mut self) -> EntityId {
        self.last += 1;
        EntityId(self.last)
    }
}

fn describes(now: &Definition, entity: &Entity) -> bool {
    let address = |parent: &Option<Arc<Entity>>| parent.as_ref().map(Arc::as_ptr);
    address(&now.parent) == address(&entity.parent)
        && now.start_time_ms == entity.start_time_ms
        && now.uid == entity.uid
        && now.name == entity.name
        && now.labels == entity.labels
}
