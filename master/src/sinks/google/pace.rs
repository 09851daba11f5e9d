//! When each entity was written last. Cloud Monitoring takes the points of a series in the order of
//! their times, some seconds apart, and refuses others; this says beforehand which those are.
//!
//! All series of an entity share its times, so that what is kept is small. What a write is about to
//! send is known to it alone until it has been taken. Of a write that ended before its end, what was
//! taken is known one by one: the write is tried again as a whole, and these are not sent again.

use heapster_shared::{Map, Set};

/// The last row of an entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    end_ms: i64,
    layout: u64,
    /// Whether the row before it had the same layout.
    pub(super) follows: bool,
    /// Fields whose totals began anew without a new start of the entity, and when.
    anew: Vec<(usize, i64)>,
}

/// What is to become of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is written; this is what to remember when it has been.
    Write(Seen),
    /// It has been written.
    Written,
    /// It is left out, for it is too close to the one before.
    TooClose,
    /// It would be refused, and why.
    Refused(&'static str),
}

/// What was written.
#[derive(Debug)]
pub(super) struct Pace {
    gap_ms: i64,
    max_age_ms: i64,
    seen: Map<u64, Seen>,
    sweep_at: usize,
    /// Entities and times that were taken in writes that have not ended well yet.
    unsettled: Set<(u64, i64)>,
}

/// How far ahead of the clock a point may be.
const AHEAD_MS: i64 = 5 * 60_000;
/// An entity that was not written for this long is forgotten when room is made.
const FORGET_MS: i64 = 3_600_000;
const FIRST_SWEEP: usize = 4096;
/// More than the rows that a queue can hold: what is past it belongs to payloads that were dropped.
const MOST_UNSETTLED: usize = 1 << 20;

impl Pace {
    pub(super) fn new(gap_ms: i64, max_age_ms: i64) -> Self {
        Self {
            gap_ms,
            max_age_ms,
            seen: Map::default(),
            sweep_at: FIRST_SWEEP,
            unsettled: Set::default(),
        }
    }

    /// What is to become of a row of an entity, after those that this write `planned` already.
    pub(super) fn turn(
        &self,
        planned: &Map<u64, Seen>,
        entity: u64,
        time_ms: i64,
        layout: u64,
        now_ms: i64,
    ) -> Turn {
        if time_ms > now_ms.saturating_add(AHEAD_MS) {
            return Turn::Refused(
                "a sample lies in the future: set the clocks of its host and of this one",
            );
        }
        if time_ms < now_ms.saturating_sub(self.max_age_ms) {
            return Turn::Refused("a sample is older than Cloud Monitoring takes (max_age)");
        }
        let Some(last) = planned.get(&entity).or_else(|| self.seen.get(&entity)) else {
            return Turn::Write(Seen { end_ms: time_ms, layout, follows: false, anew: Vec::new() });
        };
        match time_ms - last.end_ms {
            0 => Turn::Written,
            ..0 if self.unsettled.contains(&(entity, time_ms)) => Turn::Written,
            ..0 => Turn::Refused("a sample is older than the last one of its series"),
            apart if apart < self.gap_ms => Turn::TooClose,
            _ => Turn::Write(last.next(time_ms, layout)),
        }
    }

    /// Remembers what was taken.
    pub(super) fn took(&mut self, rows: impl IntoIterator<Item = (u64, Seen)>) {
        for (entity, seen) in rows {
            self.make_room(seen.end_ms);
            self.unsettled.insert((entity, seen.end_ms));
            self.seen.insert(entity, seen);
        }
    }

    /// Forgets the single rows of a write that has ended well, and is not tried again.
    pub(super) fn settle(&mut self, rows: &[(u64, i64)]) {
        for row in rows {
            self.unsettled.remove(row);
        }
    }

    fn make_room(&mut self, now_ms: i64) {
        if self.seen.len() >= self.sweep_at {
            self.seen.retain(|_, seen| now_ms - seen.end_ms < FORGET_MS);
            self.sweep_at = FIRST_SWEEP.max(self.seen.len() * 2);
        }
        if self.unsettled.len() >= MOST_UNSETTLED {
            self.unsettled.clear();
        }
    }
}

impl Seen {
    /// The row after this one. Fields of another layout have other places.
    fn next(&self, end_ms: i64, layout: u64) -> Self {
        let follows = layout == self.layout;
        let anew = if follows { self.anew.clone() } else { Vec::new() };
        Self { end_ms, layout, follows, anew }
    }

    /// A total began anew at this time.
    pub(super) fn begin(&mut self, field: usize, start_ms: i64) {
        self.anew.retain(|(other, _)| *other != field);
        self.anew.push((field, start_ms));
    }

    /// When a total of an entity with this start began.
    pub(super) fn start(&self, field: usize, entity_ms: i64) -> i64 {
        let anew = self.anew.iter().find(|(other, _)| *other == field);
        anew.map_or(entity_ms, |(_, start_ms)| entity_ms.max(*start_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_345_200_000;

    fn turn(pace: &Pace, planned: &Map<u64, Seen>, time_ms: i64) -> Turn {
        pace.turn(planned, 1, time_ms, 7, NOW)
    }

    fn written(pace: &Pace, planned: &Map<u64, Seen>, time_ms: i64) -> Seen {
        let Turn::Write(seen) = turn(pace, planned, time_ms) else { panic!("at {time_ms}") };
        seen
    }

    #[test]
    fn rows_are_apart_in_order_and_of_these_days() {
        let mut pace = Pace::new(10_000, 60_000);
        let none = Map::default();
        pace.took([(1, written(&pace, &none, NOW - 30_000))]);
        assert_eq!(turn(&pace, &none, NOW - 30_000), Turn::Written);
        assert_eq!(turn(&pace, &none, NOW - 20_001), Turn::TooClose);
        assert!(matches!(turn(&pace, &none, NOW - 30_001), Turn::Refused(_)));
        assert!(matches!(turn(&pace, &none, NOW - 60_001), Turn::Refused(_)));
        assert!(matches!(turn(&pace, &none, NOW + AHEAD_MS + 1), Turn::Refused(_)));
        let planned = Map::from_iter([(1, written(&pace, &none, NOW - 20_000))]);
        assert_eq!(turn(&pace, &planned, NOW - 15_000), Turn::TooClose);
        // It was never said that what is planned was taken.
        assert!(matches!(turn(&pace, &none, NOW - 15_000), Turn::Write(_)));
    }

    /// A write of several rows of an entity that ended half way is tried again from its first row.
    #[test]
    fn what_was_taken_of_an_unfinished_write_is_known() {
        let mut pace = Pace::new(10_000, 60_000);
        let none = Map::default();
        for time_ms in [NOW - 45_000, NOW - 30_000] {
            pace.took([(1, written(&pace, &none, time_ms))]);
        }
        assert_eq!(turn(&pace, &none, NOW - 45_000), Turn::Written);
        pace.settle(&[(1, NOW - 45_000), (1, NOW - 30_000)]);
        assert!(pace.unsettled.is_empty());
        assert!(matches!(turn(&pace, &none, NOW - 45_000), Turn::Refused(_)));
    }

    /// A total that went back keeps its new start, until the entity itself starts anew.
    #[test]
    fn a_new_start_is_kept() {
        let pace = Pace::new(10_000, 60_000);
        let mut seen = written(&pace, &Map::default(), NOW);
        seen.begin(3, NOW - 14_999);
        let next = seen.next(NOW + 15_000, 7);
        assert_eq!(next.start(3, NOW - 50_000), NOW - 14_999);
        assert_eq!(next.start(4, NOW - 50_000), NOW - 50_000);
        assert_eq!(next.start(3, NOW + 1), NOW + 1);
        assert_eq!(seen.next(NOW + 15_000, 8).start(3, 5), 5);
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let mut pace = Pace::new(10_000, 60_000);
        for number in 0..20_000_u64 {
            let end_ms = NOW + i64::try_from(number).unwrap() * 10_000;
            pace.took([(number, Seen { end_ms, layout: 0, follows: false, anew: Vec::new() })]);
        }
        assert!(pace.seen.len() <= 2 * FIRST_SWEEP, "{}", pace.seen.len());
    }
}
