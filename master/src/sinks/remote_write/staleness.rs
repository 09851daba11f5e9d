//! Which series have ended. A thing that two rounds running have no row of is gone, and so is a
//! series that its newest row has no field for; each gets a marker right after its last sample, so
//! that whatever comes late is still in order. One round alone may miss a host that was slow.
//!
//! Markers wait until a write with them has gone through, and are there again in the next one if it
//! has not.

use std::{collections::VecDeque, sync::Arc};

use heapster_shared::{Map, tick::Tick};

use super::{
    owner::Owner,
    plan::{FieldPlan, Fields},
};

/// The value that says that a series has ended: a NaN with these bits.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Things that are remembered, at most; beyond, series end five minutes after their last sample.
const MOST_THINGS: usize = 1_000_000;
/// Markers that may wait, at most.
const MOST_ENDINGS: usize = 100_000;
/// A cluster without rounds for this long has gone, and is forgotten.
const FORGET_AFTER_MS: i64 = 3_600_000;

/// What was seen of each cluster, and the markers that wait.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    clusters: Map<Arc<str>, Cluster>,
    things: usize,
    endings: VecDeque<Ending>,
    next_number: u64,
}

#[derive(Debug, Default)]
struct Cluster {
    /// The newest round that is over.
    round: Option<Tick>,
    seen: Map<Arc<Owner>, Seen>,
}

/// The newest row of a thing.
#[derive(Debug)]
struct Seen {
    tick: Tick,
    time_ms: i64,
    fields: Arc<Fields>,
    /// Fields that had a value since the fields are these; by place, all from the 64th on.
    present: u64,
}

/// Series of a thing that may have ended.
#[derive(Debug)]
struct Ending {
    number: u64,
    cluster: Arc<str>,
    owner: Arc<Owner>,
    last: Seen,
}

/// A row as the tracker sees it.
pub(super) struct Sighting<'a> {
    pub(super) cluster: &'a Arc<str>,
    pub(super) owner: &'a Arc<Owner>,
    pub(super) fields: &'a Arc<Fields>,
    pub(super) tick: Tick,
    pub(super) time_ms: i64,
    pub(super) present: u64,
}

/// The bit that stands for a field of a row.
pub(super) const fn bit(place: usize) -> u64 {
    if place < 64 { 1 << place } else { 0 }
}

impl Tracker {
    /// A row was written.
    pub(super) fn saw(&mut self, row: &Sighting<'_>) {
        let cluster = match self.clusters.get_mut(row.cluster) {
            Some(cluster) => cluster,
            None => self.clusters.entry(Arc::clone(row.cluster)).or_default(),
        };
        let fields = || Arc::clone(row.fields);
        let Some(seen) = cluster.seen.get_mut(row.owner) else {
            if self.things < MOST_THINGS {
                self.things += 1;
                let (tick, time_ms, present) = (row.tick, row.time_ms, row.present);
                let seen = Seen { tick, time_ms, fields: fields(), present };
                cluster.seen.insert(Arc::clone(row.owner), seen);
            }
            return;
        };
        // What comes late says nothing of what is there now.
        if row.time_ms < seen.time_ms {
            return;
        }
        let mut last = None;
        if Arc::ptr_eq(&seen.fields, row.fields) {
            seen.present |= row.present;
        } else {
            let fields = std::mem::replace(&mut seen.fields, fields());
            let present = std::mem::replace(&mut seen.present, row.present);
            last = Some(Seen { tick: seen.tick, time_ms: seen.time_ms, fields, present });
        }
        (seen.tick, seen.time_ms) = (seen.tick.max(row.tick), row.time_ms);
        if let Some(last) = last {
            self.end(row.cluster, row.owner, last);
        }
    }

    /// A round of a cluster is over.
    pub(super) fn round_ended(&mut self, name: &Arc<str>, tick: Tick) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let before = match cluster.round {
            Some(before) if before >= tick => return,
            before => before,
        };
        cluster.round = Some(tick);
        if let Some(before) = before {
            let gone: Vec<_> = cluster.seen.extract_if(|_, seen| seen.tick < before).collect();
            self.things -= gone.len();
            for (owner, last) in gone {
                self.end(name, &owner, last);
            }
        }
        self.forget(tick);
    }

    fn end(&mut self, cluster: &Arc<str>, owner: &Arc<Owner>, last: Seen) {
        if self.endings.len() >= MOST_ENDINGS {
            self.endings.pop_front();
        }
        let (cluster, owner) = (Arc::clone(cluster), Arc::clone(owner));
        self.endings.push_back(Ending { number: self.next_number, cluster, owner, last });
        self.next_number += 1;
    }

    fn forget(&mut self, now: Tick) {
        let horizon = now.0.saturating_sub(FORGET_AFTER_MS);
        let things = &mut self.things;
        self.clusters.retain(|_, cluster| {
            let stays = cluster.round.is_none_or(|round| round.0 >= horizon);
            if !stays {
                *things -= cluster.seen.len();
            }
            stays
        });
    }

    /// Calls `visit` with each series that has ended and the time of its marker; gives what
    /// [`Tracker::confirm`] is to be told when they have been written.
    pub(super) fn ended(&self, mut visit: impl FnMut(&Owner, &FieldPlan, i64)) -> u64 {
        for Ending { cluster, owner, last, .. } in &self.endings {
            let now = self.clusters.get(cluster).and_then(|cluster| cluster.seen.get(owner));
            let now = now.filter(|now| now.time_ms > last.time_ms);
            for (place, field) in last.fields.fields.iter().enumerate() {
                let was_there = place >= 64 || last.present & bit(place) != 0;
                let goes_on = now.is_some_and(|now| now.fields.has(&field.parts));
                if was_there && !goes_on {
                    visit(owner, field, last.time_ms.saturating_add(1));
                }
            }
        }
        self.next_number
    }

    /// Forgets the markers before this number: the receiver has them, or will never take them.
    pub(super) fn confirm(&mut self, before: u64) {
        while self.endings.front().is_some_and(|ending| ending.number < before) {
            self.endings.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
