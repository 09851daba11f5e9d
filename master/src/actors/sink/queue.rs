//! What waits for a sink and what it is writing, bounded in bytes together.
//!
//! What is fresh is written before what is backfilled, and pushes it out where there is no room for
//! both. Sources take turns: one that floods the queue delays and pushes out only itself.

mod lane;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use self::lane::Lane;
use super::slip::Slip;
use crate::{
    core::room::{Place, Room},
    delivery::{Origin, Payload},
};

/// What goes when the queue is full. Of what is backfilled it is the newcomer, and what waits of it
/// goes before anything fresh does; else it is the oldest payload of the source that has the most
/// bytes waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FullPolicy {
    /// It is dropped and counted: this sink has a hole, and nobody else notices.
    DropOldest,
    /// It is given back with [`crate::delivery::Outcome::Retry`] and counted: its sender keeps it,
    /// and sends it again later, for those sinks that lack it.
    GiveBackOldest,
}

/// A payload on its way to the peer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) payload: Payload,
    pub(super) slip: Slip,
    /// Samples or events in it.
    pub(super) samples: u64,
    origin: Origin,
    since: Instant,
    /// Whether it has to be written by itself, since a batch that it was part of was refused.
    alone: bool,
    /// What it takes of the sink's room, for as long as the sink has it.
    place: Option<Place>,
}

impl Entry {
    /// Takes its room, whether there is any or not.
    pub(super) fn new(
        payload: Payload,
        origin: Origin,
        slip: Slip,
        now: Instant,
        room: &Arc<Room>,
    ) -> Self {
        let samples = payload.samples();
        let place = Some(room.take(payload.size_bytes()));
        Self { payload, slip, samples, origin, since: now, alone: false, place }
    }

    fn bytes(&self) -> usize {
        self.place.as_ref().map_or(0, Place::bytes)
    }

    /// The tick of rows, or the time of the oldest event.
    pub(super) fn unix_ms(&self) -> i64 {
        match &self.payload {
            Payload::Rows(batch) => batch.tick.0,
            Payload::Events(batch) => batch.events.first().map_or(0, |event| event.last_unix_ms),
            Payload::RoundEnd { tick, .. } => tick.0,
        }
    }

    /// It is nothing of the sink's any more.
    fn let_go(mut self) -> Self {
        self.place = None;
        self
    }
}

/// Entries of each source in the order in which they came. Those taken out to be written still
/// count, until they are dropped or given back.
#[derive(Debug)]
pub(super) struct Queue {
    room: Arc<Room>,
    fresh: Lane,
    backfill: Lane,
}

impl Queue {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { room, fresh: Lane::default(), backfill: Lane::default() }
    }

    /// Adds an entry, which has its place in this queue's room; gives those that had to go for it,
    /// which may be the entry itself. One that is larger than the whole queue is taken when there
    /// is nothing else, since it would never be written otherwise.
    #[must_use]
    pub(super) fn push(&mut self, entry: Entry) -> Vec<Entry> {
        let own_bytes = entry.bytes();
        let (limit, before) = (self.room.limit(), self.room.used() - own_bytes);
        if entry.origin.backfill {
            let fits = before < limit / 2 && before + own_bytes <= limit;
            if before > 0 && !fits {
                return vec![entry.let_go()];
            }
            self.backfill.push(entry);
            return Vec::new();
        }
        self.fresh.push(entry);
        let mut gone = Vec::new();
        while self.room.used() > limit && self.room.used() > own_bytes {
            let popped = self.backfill.pop_of_heaviest().or_else(|| self.fresh.pop_of_heaviest());
            let Some(entry) = popped else { break };
            gone.push(entry.let_go());
        }
        gone
    }

    /// Takes entries, until they have this many samples: first what is fresh. What is being written
    /// cannot be pushed out, so that it may have half of the room, and the other half is shared.
    pub(super) fn take_batch(&mut self, samples: u64) -> Vec<Entry> {
        let mut batch: Vec<Entry> = Vec::new();
        let mut taken = 0;
        while taken < samples && (batch.is_empty() || self.under_way() < self.room.limit() / 2) {
            let alone = self.next().is_some_and(|entry| entry.alone);
            if alone && !batch.is_empty() {
                break;
            }
            let Some(entry) = self.fresh.pop().or_else(|| self.backfill.pop()) else { break };
            taken += entry.samples;
            batch.push(entry);
            if alone {
                break;
            }
        }
        batch
    }

    /// Bytes that were taken out and are held still.
    fn under_way(&self) -> usize {
        self.room.used().saturating_sub(self.fresh.bytes() + self.backfill.bytes())
    }

    fn next(&self) -> Option<&Entry> {
        self.fresh.next().or_else(|| self.backfill.next())
    }

    /// Puts a batch that was not written back where it was.
    pub(super) fn give_back(&mut self, batch: Vec<Entry>, alone: bool) {
        for mut entry in batch.into_iter().rev() {
            entry.alone |= alone;
            let lane = if entry.origin.backfill { &mut self.backfill } else { &mut self.fresh };
            lane.push_front(entry);
        }
    }

    /// Takes all that waits.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let next = || self.fresh.pop().or_else(|| self.backfill.pop());
        std::iter::from_fn(next).collect()
    }

    /// When a batch is to be written: at once when enough waits, else when the oldest entry has
    /// waited for the interval. `None` when nothing waits.
    pub(super) fn due(&mut self, batch_samples: u64, interval: Duration) -> Option<Instant> {
        let oldest = [self.fresh.oldest(), self.backfill.oldest()].into_iter().flatten().min()?;
        let enough = self.fresh.samples() + self.backfill.samples() >= batch_samples;
        let at_once = enough || self.next().is_some_and(|entry| entry.alone);
        Some(if at_once { oldest } else { oldest + interval })
    }

    /// What it holds, with what is being written, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.room.used()
    }

    /// The first entry of each source.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &Entry> {
        self.fresh.fronts().chain(self.backfill.fronts())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.backfill.is_empty()
    }
}
