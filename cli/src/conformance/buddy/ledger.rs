//! The numbered frames of one start of a buddy: what came first under each number, and what the
//! buddy was told of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heapster_proto::v1::{Frame, delivery::Outcome, frame::Kind};

use super::{FINAL, RESEND, RETRY, reader::Breach};

/// An answer, or an Open, may be under way for this long.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(1);

/// What is said with RETRY.
pub(super) const RETRY_AFTER_MS: u32 = 1500;
/// The least that a buddy has to wait then; that is generous, for what is told is no exact date.
const RETRY_AT_LEAST: Duration = Duration::from_millis(1000);

/// What a frame is, as far as it can be told again when it comes again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Face {
    pub(super) kind: &'static str,
    pub(super) tick: u64,
}

impl Face {
    /// The face of a numbered frame.
    pub(super) fn of(frame: &Frame) -> Self {
        let (kind, tick) = match &frame.kind {
            Some(Kind::Batch(batch)) => ("Batch", batch.tick_unix_ms),
            Some(Kind::RoundEnd(end)) => ("RoundEnd", end.tick_unix_ms),
            Some(Kind::Events(_)) => ("Events", 0),
            _ => ("frame of an unknown kind", 0),
        };
        Self { kind, tick }
    }
}

#[derive(Debug)]
struct Sent {
    face: Face,
    answer: Option<(Outcome, Instant)>,
    /// The answer may have been lost with its stream: the buddy may send the frame again.
    unheard: bool,
}

impl Sent {
    fn is_settled(&self, before: Instant) -> bool {
        let is_final = |(outcome, at)| outcome != Outcome::Retry && at < before;
        !self.unheard && self.answer.is_some_and(is_final)
    }

    /// It comes again, and not as late as it should.
    fn too_soon(&self, sequence: u64, now: Instant) -> Option<Breach> {
        let (Outcome::Retry, put_off) = self.answer? else { return None };
        let waited = now.saturating_duration_since(put_off);
        let what = format!(
            "the frame {sequence} came again {waited:.1?} after RETRY, which said retry_after_ms: {RETRY_AFTER_MS}"
        );
        (waited < RETRY_AT_LEAST).then_some((RETRY, what))
    }

    const fn is_pending(&self) -> bool {
        matches!(self.answer, None | Some((Outcome::Retry, _)))
    }
}

/// The frames by their numbers.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<u64, Sent>);

/// How a stream started: what it may send again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    delivered_through: u64,
    first_pending: u64,
    opened: Instant,
}

impl Ledger {
    /// A stream opens and says that so much was delivered.
    pub(super) fn replay(&self, delivered_through: u64, now: Instant) -> Replay {
        let pending = self.0.iter().find(|(_, sent)| sent.is_pending());
        let first_pending = pending.map_or(u64::MAX, |(sequence, _)| *sequence);
        Replay { delivered_through, first_pending, opened: now }
    }

    /// A frame came; what is wrong with its number, and whether it is to be answered.
    pub(super) fn take(
        &mut self,
        sequence: u64,
        face: Face,
        replay: &Replay,
        now: Instant,
    ) -> (Vec<Breach>, bool) {
        let mut found = Vec::new();
        let counts = sequence > replay.delivered_through;
        let Some(known) = self.0.get_mut(&sequence) else {
            self.0.insert(sequence, Sent { face, answer: None, unheard: false });
            return (found, counts);
        };
        if !counts {
            if known.is_pending() {
                found.push((RESEND, format!(
                    "delivered_through is {}, but the frame {sequence} was never answered with DELIVERED",
                    replay.delivered_through
                )));
            }
            return (found, counts);
        }
        if known.face != face {
            let (was, is) = (&known.face, &face);
            found.push((
                RESEND,
                format!(
                    "the sequence {sequence} was a {} of tick {} and came again as a {} of tick {}",
                    was.kind, was.tick, is.kind, is.tick
                ),
            ));
        }
        found.extend(known.too_soon(sequence, now));
        let told_before = replay.opened.checked_sub(UNDER_WAY).unwrap_or(replay.opened);
        if known.is_settled(told_before) && sequence < replay.first_pending {
            found.push((FINAL, format!(
                "the frame {sequence} was answered for good and came again above delivered_through ({})",
                replay.delivered_through
            )));
        }
        known.unheard = true;
        (found, counts)
    }

    /// The buddy is told what became of a frame.
    pub(super) fn answer(&mut self, sequence: u64, outcome: Outcome, now: Instant) {
        if let Some(sent) = self.0.get_mut(&sequence) {
            sent.answer = Some((outcome, now));
            sent.unheard = false;
        }
    }

    /// A stream ended: whether the newest answers came through nobody knows.
    pub(super) fn stream_ended(&mut self, now: Instant) {
        for sent in self.0.values_mut() {
            let is_new = |(_, at)| now.saturating_duration_since(at) < UNDER_WAY;
            sent.unheard |= sent.answer.is_some_and(is_new);
        }
    }

    /// The highest number so far.
    pub(super) fn last(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    /// Numbers below the highest that have not come: what was written while there was no live stream
    /// comes on the other one, so that they may be missing for a while.
    pub(super) fn missing(&self) -> Option<u64> {
        let numbers = self.0.keys().zip(1..);
        numbers.filter(|(number, place)| *number != place).map(|(_, place)| place).next()
    }

    /// Frames that were not answered for good.
    pub(super) fn pending(&self) -> Vec<u64> {
        let pending = self.0.iter().filter(|(_, sent)| sent.is_pending());
        pending.map(|(sequence, _)| *sequence).collect()
    }

    /// Whether the frame was answered with DELIVERED or REJECTED.
    pub(super) fn is_final(&self, sequence: u64) -> bool {
        self.0.get(&sequence).is_some_and(|sent| !sent.is_pending())
    }

    /// Frames of this kind that came.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.0.values().filter(|sent| sent.face.kind == kind).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(tick: u64) -> Face {
        Face { kind: "Batch", tick }
    }

    /// Takes frames 1 to 4, of which 3 was put off and 4 is not answered.
    fn ledger(now: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        let replay = ledger.replay(0, now);
        for sequence in 1..=4 {
            assert_eq!(ledger.take(sequence, face(sequence), &replay, now), (vec![], true));
        }
        ledger.answer(1, Outcome::Delivered, now);
        ledger.answer(2, Outcome::Rejected, now);
        ledger.answer(3, Outcome::Retry, now);
        assert_eq!(ledger.pending(), [3, 4]);
        ledger
    }

    #[test]
    fn what_is_pending_may_come_again_and_nothing_before_it() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let checks = |through, sequence, tick| -> Vec<&'static str> {
            let mut ledger = ledger(now);
            let replay = ledger.replay(through, later);
            let (found, _) = ledger.take(sequence, face(tick), &replay, later);
            found.into_iter().map(|(check, _)| check).collect()
        };
        assert_eq!(checks(2, 3, 3), [] as [&str; 0]);
        assert_eq!(checks(2, 1, 1), [] as [&str; 0], "read for what later rows are increases over");
        assert_eq!(checks(0, 2, 2), [FINAL]);
        assert_eq!(checks(3, 3, 3), [RESEND], "it was never delivered");
        assert_eq!(checks(2, 4, 9), [RESEND], "another frame under the same number");
        assert_eq!(checks(2, 5, 5), [] as [&str; 0]);
    }

    /// A frame that was put off may come when its time is there, and not at once; one that had no
    /// answer may come at any time.
    #[test]
    fn what_was_put_off_waits() {
        let now = Instant::now();
        let checks = |sequence, after_ms| -> Vec<&'static str> {
            let mut ledger = ledger(now);
            let replay = ledger.replay(2, now);
            let later = now + Duration::from_millis(after_ms);
            let (found, _) = ledger.take(sequence, face(sequence), &replay, later);
            found.into_iter().map(|(check, _)| check).collect()
        };
        assert_eq!(checks(3, 100), [RETRY]);
        assert_eq!(checks(3, u64::from(RETRY_AFTER_MS)), [] as [&str; 0]);
        assert_eq!(checks(4, 100), [] as [&str; 0]);
    }

    /// An answer that was under way when its stream ended may be lost: until the frame is answered
    /// again it may come on each of the streams that follow, be it long after.
    #[test]
    fn an_answer_that_may_be_lost_is_given_again() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        let replay = ledger.replay(0, now);
        ledger.take(1, face(1), &replay, now);
        ledger.answer(1, Outcome::Delivered, now);
        ledger.stream_ended(now + Duration::from_millis(10));
        for after_ms in [5000, 9000] {
            let later = now + Duration::from_millis(after_ms);
            let replay = ledger.replay(0, later);
            assert_eq!(ledger.take(1, face(1), &replay, later), (vec![], true), "{after_ms}");
        }
        ledger.answer(1, Outcome::Delivered, now);
        let later = now + Duration::from_secs(20);
        let replay = ledger.replay(0, later);
        let (found, _) = ledger.take(1, face(1), &replay, later);
        assert_eq!(found[0].0, FINAL, "it was told again, and long ago");
    }

    /// A number may be late, on the other stream, but not missing for good.
    #[test]
    fn a_number_that_never_came_is_missing() {
        let now = Instant::now();
        let mut ledger = ledger(now);
        assert_eq!(ledger.missing(), None);
        let replay = ledger.replay(4, now);
        ledger.take(7, face(7), &replay, now);
        assert_eq!(ledger.missing(), Some(5));
        ledger.take(5, face(5), &replay, now);
        ledger.take(6, face(6), &replay, now);
        assert_eq!(ledger.missing(), None);
    }
}
