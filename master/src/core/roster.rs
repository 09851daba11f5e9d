//! The required sinks as they are now: each has a place, which is its bit in a [`SinkSet`].
//!
//! Sinks come and go while logs go on, and what was sent under way of one that has gone must not be
//! taken for news of the one that has its place now. So each place knows the version of the roster
//! in which it was given, and whoever remembers a place remembers the version too. Places are given
//! in turn, so that it takes 63 changes before one is given again at all.

use std::collections::BTreeMap;

use super::sink_set::{MOST_SINKS, SinkSet};

/// See the module's header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roster {
    version: u64,
    /// Places that are taken, each with the version in which it was given.
    places: BTreeMap<usize, u64>,
    /// The place to try first.
    next: usize,
}

impl Roster {
    /// A roster of this many required sinks, at the places from 0 on; for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn of(required: usize) -> Self {
        let mut roster = Self::default();
        while roster.places.len() < required && roster.add().is_some() {}
        roster
    }

    /// Gives a place to one more sink; nothing where all are taken.
    pub fn add(&mut self) -> Option<SinkSet> {
        let mut places = (0..MOST_SINKS).map(|step| (self.next + step) % MOST_SINKS);
        let place = places.find(|place| !self.places.contains_key(place))?;
        self.version += 1;
        self.places.insert(place, self.version);
        self.next = (place + 1) % MOST_SINKS;
        Some(SinkSet::one(place))
    }

    /// Takes the places of these sinks back.
    pub fn remove(&mut self, sinks: SinkSet) {
        self.version += 1;
        self.places.retain(|place, _| !sinks.has(SinkSet::one(*place)));
    }

    /// The required sinks.
    #[must_use]
    pub fn required(&self) -> SinkSet {
        let sinks = self.places.keys().map(|place| SinkSet::one(*place));
        sinks.fold(SinkSet::EMPTY, SinkSet::with)
    }

    /// The required sinks, each with the version in which it came.
    pub fn sinks(&self) -> impl Iterator<Item = (SinkSet, u64)> {
        self.places.iter().map(|(place, since)| (SinkSet::one(*place), *since))
    }

    /// Grows with each change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that was given back is the last to be given again, and is told from what it was.
    #[test]
    fn places_are_given_in_turn() {
        let mut roster = Roster::of(2);
        let (first, since) = roster.sinks().next().unwrap();
        roster.remove(first);
        assert_eq!(roster.required(), SinkSet::one(1));
        for place in 2..MOST_SINKS {
            assert_eq!(roster.add(), Some(SinkSet::one(place)));
        }
        assert_eq!(roster.add(), Some(first));
        assert!(roster.sinks().any(|(sink, again)| sink == first && again > since));
        assert_eq!(roster.add(), None, "all are taken");
    }
}
