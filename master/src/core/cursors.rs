//! Where each sink is in the log of one instance of a buddy.
//!
//! A required sink is a cursor over the log: ranges of sequence numbers that it has for good. All
//! that are not required are one more cursor, which has a frame as soon as they were offered it. A
//! frame is delivered when every cursor has passed it, and one that comes again goes to those sinks
//! only that neither have it nor hold it.
//!
//! What is remembered is bounded: of each cursor a number of ranges (see [`Delivered`]), and the
//! frames that sinks hold, whose number is bounded by what holds them.

use heapster_shared::Map;

use super::{delivered::Delivered, sink_set::SinkSet};

/// The cursors.
#[derive(Debug)]
pub struct Cursors {
    wanted: SinkSet,
    cursors: Vec<(SinkSet, Delivered)>,
    /// Frames on their way to sinks, or held by them.
    pending: Map<u64, SinkSet>,
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
    /// Cursors at the start of a log, one for each of these sinks.
    #[must_use]
    pub fn new(required: SinkSet) -> Self {
        let wanted = required.with(SinkSet::OTHERS);
        let cursors = wanted.each().map(|sink| (sink, Delivered::default())).collect();
        Self { wanted, cursors, pending: Map::default() }
    }

    /// Whom a frame is to be given to.
    pub fn admit(&mut self, sequence: u64) -> Admission {
        let held = self.pending.get(&sequence).copied().unwrap_or_default();
        let lacking = self.wanted.without(self.have(sequence)).without(held);
        if lacking.is_empty() {
            return Admission::Known;
        }
        self.pending.insert(sequence, held.with(lacking));
        Admission::Route(lacking)
    }

    /// These sinks have the frame for good.
    pub fn passed(&mut self, sequence: u64, sinks: SinkSet) {
        for (sink, delivered) in &mut self.cursors {
            if sinks.has(*sink) {
                delivered.insert(sequence);
            }
        }
    }

    /// These sinks hold the frame no more; whether nobody does now.
    pub fn released(&mut self, sequence: u64, sinks: SinkSet) -> bool {
        let Some(held) = self.pending.get_mut(&sequence) else { return true };
        *held = held.without(sinks);
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
        self.cursors.iter().all(|(_, delivered)| delivered.contains(sequence))
    }

    /// Whether the frame came here before, whatever became of it.
    #[must_use]
    pub fn is_known(&self, sequence: u64) -> bool {
        self.is_pending(sequence) || !self.have(sequence).is_empty()
    }

    /// The newest frame that any cursor has passed.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.cursors.iter().map(|(_, delivered)| delivered.last()).max().unwrap_or(0)
    }

    /// The sinks that have the frame for good.
    fn have(&self, sequence: u64) -> SinkSet {
        let have = self.cursors.iter().filter(|(_, delivered)| delivered.contains(sequence));
        have.fold(SinkSet::EMPTY, |have, (sink, _)| have.with(*sink))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const A: SinkSet = SinkSet::one(0);
    const B: SinkSet = SinkSet::one(1);

    fn both() -> Cursors {
        Cursors::new(A.with(B))
    }

    fn pass(cursors: &mut Cursors, sequence: u64, sinks: SinkSet) {
        cursors.passed(sequence, sinks);
        cursors.released(sequence, sinks);
    }

    /// The promise in one example: what one sink lacks goes to that sink only.
    #[test]
    fn a_frame_goes_again_to_those_that_lack_it() {
        let mut cursors = both();
        let all = A.with(B).with(SinkSet::OTHERS);
        assert_eq!(cursors.admit(1), Admission::Route(all));
        pass(&mut cursors, 1, A.with(SinkSet::OTHERS));
        assert_eq!(cursors.admit(1), Admission::Known, "B holds it");
        assert!(cursors.released(1, B), "B gives it back");
        assert!(!cursors.is_delivered(1) && cursors.is_known(1));
        assert_eq!(cursors.admit(1), Admission::Route(B));
        pass(&mut cursors, 1, B);
        assert!(cursors.is_delivered(1));
        assert_eq!(cursors.admit(1), Admission::Known);
    }

    /// A master without required sinks acknowledges what it has handed out.
    #[test]
    fn without_required_sinks_the_others_decide() {
        let mut cursors = Cursors::new(SinkSet::EMPTY);
        assert_eq!(cursors.admit(1), Admission::Route(SinkSet::OTHERS));
        assert!(!cursors.is_delivered(1));
        pass(&mut cursors, 1, SinkSet::OTHERS);
        assert!(cursors.is_delivered(1));
    }

    proptest! {
        /// Whatever sinks take and give back, and however often frames come: no sink is given a
        /// frame that it has or holds, and a frame is delivered exactly when all have it.
        #[test]
        fn no_sink_is_given_a_frame_twice(
            steps in prop::collection::vec((1_u64..12, 0_usize..3, any::<bool>()), 0..200),
        ) {
            let sinks = [A, B, SinkSet::OTHERS];
            let mut cursors = both();
            let mut holds: BTreeSet<(u64, usize)> = BTreeSet::new();
            let mut has: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
            for (sequence, sink, takes) in steps {
                if holds.remove(&(sequence, sink)) {
                    if takes {
                        cursors.passed(sequence, sinks[sink]);
                        has.entry(sequence).or_default().insert(sink);
                    }
                    let nobody = cursors.released(sequence, sinks[sink]);
                    prop_assert_eq!(nobody, !holds.iter().any(|(held, _)| *held == sequence));
                } else if let Admission::Route(to) = cursors.admit(sequence) {
                    for (index, one) in sinks.iter().enumerate().filter(|(_, one)| to.has(**one)) {
                        let had = has.get(&sequence).is_some_and(|has| has.contains(&index));
                        prop_assert!(!had, "{one:?} has {sequence}");
                        prop_assert!(holds.insert((sequence, index)), "{one:?} holds {sequence}");
                    }
                }
                let all = has.get(&sequence).map_or(0, BTreeSet::len) == sinks.len();
                prop_assert_eq!(cursors.is_delivered(sequence), all);
            }
        }
    }
}
