//! Tests of cursors: what one sink lacks, and what becomes of sinks that come and go.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const A: SinkSet = SinkSet::one(0);
const B: SinkSet = SinkSet::one(1);

fn both() -> Cursors {
    Cursors::new(&Roster::of(2))
}

fn pass(cursors: &mut Cursors, sequence: u64, sinks: SinkSet) {
    let now = cursors.version();
    cursors.passed(sequence, sinks, now);
    cursors.released(sequence, sinks, now);
}

/// The promise in one example: what one sink lacks goes to that sink only.
#[test]
fn a_frame_goes_again_to_those_that_lack_it() {
    let mut cursors = both();
    let all = A.with(B).with(SinkSet::OTHERS);
    assert_eq!(cursors.admit(1), Admission::Route(all));
    pass(&mut cursors, 1, A.with(SinkSet::OTHERS));
    assert_eq!(cursors.admit(1), Admission::Known, "B holds it");
    assert!(cursors.released(1, B, cursors.version()), "B gives it back");
    assert!(!cursors.is_delivered(1) && cursors.is_known(1));
    assert_eq!(cursors.admit(1), Admission::Route(B));
    pass(&mut cursors, 1, B);
    assert!(cursors.is_delivered(1));
    assert_eq!(cursors.admit(1), Admission::Known);
}

/// A master without required sinks acknowledges what it has handed out.
#[test]
fn without_required_sinks_the_others_decide() {
    let mut cursors = Cursors::new(&Roster::default());
    assert_eq!(cursors.admit(1), Admission::Route(SinkSet::OTHERS));
    assert!(!cursors.is_delivered(1));
    pass(&mut cursors, 1, SinkSet::OTHERS);
    assert!(cursors.is_delivered(1));
}

/// What only a sink that has gone lacked is delivered without it, at once.
#[test]
fn who_has_gone_is_not_waited_for() {
    let mut roster = Roster::of(2);
    let mut cursors = Cursors::new(&roster);
    let _ = cursors.admit(1);
    pass(&mut cursors, 1, A.with(SinkSet::OTHERS));
    assert!(cursors.is_pending(1) && !cursors.is_delivered(1));
    roster.remove(B);
    cursors.follow(&roster);
    assert!(!cursors.is_pending(1) && cursors.is_delivered(1));
}

/// Late news of a sink that has gone say nothing of the one that has its place now: otherwise that
/// one would be taken to have what it never saw.
#[test]
fn news_of_a_sink_that_has_gone_are_not_anothers() {
    let mut roster = Roster::of(1);
    let mut cursors = Cursors::new(&roster);
    let before = cursors.version();
    let _ = cursors.admit(1);
    roster.remove(A);
    while roster.required() != A {
        roster.remove(roster.required());
        roster.add();
    }
    cursors.follow(&roster);
    assert_eq!(cursors.admit(2), Admission::Route(A.with(SinkSet::OTHERS)));
    cursors.passed(2, A, before);
    cursors.released(2, A, before);
    assert!(cursors.is_pending(2));
    pass(&mut cursors, 2, SinkSet::OTHERS);
    assert!(cursors.is_pending(2) && !cursors.is_delivered(2));
    pass(&mut cursors, 2, A);
    assert!(cursors.is_delivered(2));
}

/// What came before a sink is not its own: it is neither given it nor waited for.
#[test]
fn who_comes_begins_behind_what_has_come() {
    let mut roster = Roster::of(1);
    let mut cursors = Cursors::new(&roster);
    let _ = (cursors.admit(1), cursors.admit(2));
    pass(&mut cursors, 1, SinkSet::ALL);
    pass(&mut cursors, 2, SinkSet::OTHERS);
    roster.add();
    cursors.follow(&roster);
    assert!(cursors.is_delivered(1) && !cursors.is_delivered(2));
    assert!(cursors.released(2, A, cursors.version()));
    assert_eq!(cursors.admit(2), Admission::Route(A), "it is the first one's alone");
    assert_eq!(cursors.admit(3), Admission::Route(SinkSet::OTHERS.with(A).with(B)));
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
        let now = cursors.version();
        let mut holds: BTreeSet<(u64, usize)> = BTreeSet::new();
        let mut has: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (sequence, sink, takes) in steps {
            if holds.remove(&(sequence, sink)) {
                if takes {
                    cursors.passed(sequence, sinks[sink], now);
                    has.entry(sequence).or_default().insert(sink);
                }
                let nobody = cursors.released(sequence, sinks[sink], now);
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

    /// The same while sinks come and go, held against a plain model: each sink that ever was has a
    /// number, the frames that it is owed (those that came after it did), and those that it has.
    /// Tickets of sinks that have gone speak late.
    #[test]
    fn sinks_that_come_and_go_lose_nothing_and_hold_up_nothing(
        steps in prop::collection::vec((0_u8..8, 1_u64..10, any::<prop::sample::Index>()), 0..300),
    ) {
        let mut lab = Lab::new();
        for (what, sequence, which) in steps {
            match what {
                0 => lab.add(),
                1 => lab.remove(which),
                2..=4 => lab.come(sequence)?,
                5 | 6 => lab.speak(which, true),
                _ => lab.speak(which, false),
            }
            for sequence in 1..10 {
                lab.judge(sequence)?;
            }
        }
    }
}

/// A sink of the model.
#[derive(Default)]
struct Modelled {
    bit: SinkSet,
    /// Frames that came before it did.
    before: BTreeSet<u64>,
    has: BTreeSet<u64>,
}

/// A sink's word on a frame that it was given, still to come.
struct Ticket {
    sequence: u64,
    to: SinkSet,
    sink: usize,
    as_of: u64,
}

struct Lab {
    roster: Roster,
    cursors: Cursors,
    /// All that ever were; the first stands for those that are not required.
    sinks: Vec<Modelled>,
    alive: Vec<usize>,
    tickets: Vec<Ticket>,
}

impl Lab {
    fn new() -> Self {
        let roster = Roster::default();
        let others = Modelled { bit: SinkSet::OTHERS, ..Modelled::default() };
        Self {
            cursors: Cursors::new(&roster),
            roster,
            sinks: vec![others],
            alive: vec![0],
            tickets: Vec::new(),
        }
    }

    fn add(&mut self) {
        let Some(bit) = self.roster.add() else { return };
        self.cursors.follow(&self.roster);
        let pending = (1..10).filter(|sequence| self.cursors.is_pending(*sequence));
        let before = self.sinks[0].has.iter().copied().chain(pending).collect();
        self.sinks.push(Modelled { bit, before, has: BTreeSet::new() });
        self.alive.push(self.sinks.len() - 1);
    }

    fn remove(&mut self, which: prop::sample::Index) {
        if self.alive.len() > 1 {
            let place = 1 + which.index(self.alive.len() - 1);
            let gone = self.alive.remove(place);
            self.roster.remove(self.sinks[gone].bit);
            self.cursors.follow(&self.roster);
        }
    }

    /// A frame comes, for the first time or again: it goes to those alone that are owed it, lack it
    /// and do not hold it.
    fn come(&mut self, sequence: u64) -> Result<(), TestCaseError> {
        let wanted: Vec<usize> =
            self.alive.iter().copied().filter(|sink| self.lacks(*sink, sequence)).collect();
        let bits = wanted.iter().fold(SinkSet::EMPTY, |set, sink| set.with(self.sinks[*sink].bit));
        let admission = self.cursors.admit(sequence);
        if bits.is_empty() {
            prop_assert_eq!(admission, Admission::Known);
            return Ok(());
        }
        prop_assert_eq!(admission, Admission::Route(bits));
        let as_of = self.cursors.version();
        let ticket = |sink: usize| Ticket { sequence, to: self.sinks[sink].bit, sink, as_of };
        self.tickets.extend(wanted.into_iter().map(ticket));
        Ok(())
    }

    fn lacks(&self, sink: usize, sequence: u64) -> bool {
        let modelled = &self.sinks[sink];
        let holds = |ticket: &Ticket| ticket.sink == sink && ticket.sequence == sequence;
        !modelled.has.contains(&sequence)
            && !modelled.before.contains(&sequence)
            && !self.tickets.iter().any(holds)
    }

    fn speak(&mut self, which: prop::sample::Index, takes: bool) {
        if self.tickets.is_empty() {
            return;
        }
        let Ticket { sequence, to, sink, as_of } =
            self.tickets.swap_remove(which.index(self.tickets.len()));
        if takes {
            self.cursors.passed(sequence, to, as_of);
            self.sinks[sink].has.insert(sequence);
        }
        self.cursors.released(sequence, to, as_of);
    }

    /// A frame that is acknowledged is had by every sink that is owed it, and one that all of those
    /// have is not held up by anybody else.
    fn judge(&self, sequence: u64) -> Result<(), TestCaseError> {
        let has = |sink: &usize| {
            let modelled = &self.sinks[*sink];
            modelled.has.contains(&sequence) || modelled.before.contains(&sequence)
        };
        let all = self.alive.iter().all(has);
        prop_assert_eq!(self.cursors.is_delivered(sequence), all);
        let holds =
            |ticket: &Ticket| ticket.sequence == sequence && self.alive.contains(&ticket.sink);
        prop_assert_eq!(self.cursors.is_pending(sequence), self.tickets.iter().any(holds));
        Ok(())
    }
}
