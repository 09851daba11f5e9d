//! Where each sink is in the log of one instance of a buddy.
//!
//! A required sink is a cursor over the log: ranges of sequence numbers that it has for good. All
//! that are not required are one more cursor, which has a frame as soon as they were offered it. A
//! frame is delivered when every cursor has passed it, and one that comes again goes to those sinks
//! only that neither have it nor hold it.
//!
//! Sinks come and go while the log goes on ([`Cursors::follow`]). One that comes begins behind what
//! has come already: that is taken for its own. Of one that has gone nothing is waited for any more.
//! What is said of a sink is said as of a version of the [`Roster`], so that late news of one that
//! has gone are not taken for news of another at its place.
//!
//! What is remembered is bounded: of each cursor a number of ranges (see [`Delivered`]), and the
//! frames that sinks hold, whose number is bounded by what holds them.

use heapster_shared::Map;

use super::{delivered::Delivered, roster::Roster, sink_set::SinkSet};

/// The cursors.
#[derive(Debug)]
pub struct Cursors {
    /// Of the roster that they follow.
    version: u64,
    cursors: Vec<Cursor>,
    /// Frames on their way to sinks, or held by them.
    pending: Map<u64, SinkSet>,
}

#[derive(Debug)]
struct Cursor {
    sink: SinkSet,
    /// The version of the roster in which the sink came.
    since: u64,
    delivered: Delivered,
}

/// What a frame is to the cursors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Every sink that should have it has it or holds it: nobody is to be given it.
    Known,
    /// These sinks are to be given it, and are noted to hold it from then on.
    Route(SinkSet),
}

impl Cursors {
    /// Cursors at the start of a log.
    #[must_use]
    pub fn new(roster: &Roster) -> Self {
        let all = std::iter::once((SinkSet::OTHERS, 0)).chain(roster.sinks());
        let cursor = |(sink, since)| Cursor { sink, since, delivered: Delivered::default() };
        Self {
            version: roster.version(),
            cursors: all.map(cursor).collect(),
            pending: Map::default(),
        }
    }

    /// Takes over which sinks there are; whether they are others than before.
    pub fn follow(&mut self, roster: &Roster) -> bool {
        if self.version == roster.version() {
            return false;
        }
        self.version = roster.version();
        let stays = |cursor: &Cursor| {
            let mut sinks = roster.sinks();
            cursor.sink == SinkSet::OTHERS || sinks.any(|sink| sink == (cursor.sink, cursor.since))
        };
        let gone: Vec<Cursor> = self.cursors.extract_if(.., |cursor| !stays(cursor)).collect();
        for held in self.pending.values_mut() {
            *held = gone.iter().fold(*held, |held, cursor| held.without(cursor.sink));
        }
        self.pending.retain(|_, held| !held.is_empty());
        let known =
            |cursors: &[Cursor], new| cursors.iter().any(|had| (had.sink, had.since) == new);
        let new: Vec<_> = roster.sinks().filter(|new| !known(&self.cursors, *new)).collect();
        for (sink, since) in new {
            let delivered = self.came();
            self.cursors.push(Cursor { sink, since, delivered });
        }
        true
    }

    /// The version of the roster that they follow.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whom a frame is to be given to.
    pub fn admit(&mut self, sequence: u64) -> Admission {
        let held = self.pending.get(&sequence).copied().unwrap_or_default();
        let wanted = self.sinks(|_| true);
        let lacking = wanted.without(self.have(sequence)).without(held);
        if lacking.is_empty() {
            return Admission::Known;
        }
        self.pending.insert(sequence, held.with(lacking));
        Admission::Route(lacking)
    }

    /// These sinks, as of a version, have the frame for good.
    pub fn passed(&mut self, sequence: u64, sinks: SinkSet, as_of: u64) {
        for cursor in &mut self.cursors {
            if sinks.has(cursor.sink) && cursor.since <= as_of {
                cursor.delivered.insert(sequence);
            }
        }
    }

    /// These sinks, as of a version, hold the frame no more; whether nobody does now.
    pub fn released(&mut self, sequence: u64, sinks: SinkSet, as_of: u64) -> bool {
        let meant = self.sinks(|cursor| cursor.since <= as_of).only(sinks);
        let Some(held) = self.pending.get_mut(&sequence) else { return true };
        *held = held.without(meant);
        let nobody = held.is_empty();
        if nobody {
            self.pending.remove(&sequence);
        }
        nobody
    }

    /// Whether a sink holds the frame, or it is on its way to one.
    #[must_use]
    pub fn is_pending(&self, sequence: u64) -> bool {
        self.pending.contains_key(&sequence)
    }

    /// Whether every cursor has passed the frame.
    #[must_use]
    pub fn is_delivered(&self, sequence: u64) -> bool {
        self.cursors.iter().all(|cursor| cursor.delivered.contains(sequence))
    }

    /// Whether the frame came here before, whatever became of it.
    #[must_use]
    pub fn is_known(&self, sequence: u64) -> bool {
        self.is_pending(sequence) || !self.have(sequence).is_empty()
    }

    /// The newest frame that any cursor has passed.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.delivered.last()).max().unwrap_or(0)
    }

    /// What has come already: those that are not required were offered it, or are about to be.
    fn came(&self) -> Delivered {
        let others = self.cursors.iter().find(|cursor| cursor.sink == SinkSet::OTHERS);
        let mut came = others.map(|cursor| cursor.delivered.clone()).unwrap_or_default();
        self.pending.keys().for_each(|sequence| came.insert(*sequence));
        came
    }

    /// The sinks that have the frame for good.
    fn have(&self, sequence: u64) -> SinkSet {
        self.sinks(|cursor| cursor.delivered.contains(sequence))
    }

    fn sinks(&self, are_meant: impl Fn(&Cursor) -> bool) -> SinkSet {
        let meant = self.cursors.iter().filter(|cursor| are_meant(cursor));
        meant.fold(SinkSet::EMPTY, |sinks, cursor| sinks.with(cursor.sink))
    }
}

#[cfg(test)]
mod tests;
