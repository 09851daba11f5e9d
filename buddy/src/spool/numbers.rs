//! The numbered frames of a segment: what became of each, and when it was measured.
//!
//! Numbers follow one another, and answers come mostly in order, so ranges say it all in a few words
//! however many frames there are, also where the frames themselves are on disk.

mod ranges;

use std::{collections::VecDeque, ops::RangeInclusive};

use super::Fate;
use ranges::Ranges;

/// What is known of the numbered frames of a segment.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The first and the last.
    ends: Option<(u64, u64)>,
    settled: Ranges,
    /// Of those that are not settled: to be sent again.
    retry: Ranges,
    /// From this frame on the tick is this one.
    ticks: VecDeque<(u64, i64)>,
    /// Frames with events that are not settled, with their sizes.
    events: VecDeque<(u64, usize)>,
    event_bytes: usize,
}

impl Numbers {
    /// Adds the next frame.
    pub(crate) fn push(&mut self, sequence: u64, tick_unix_ms: i64, event_bytes: usize) {
        let first = self.ends.map_or(sequence, |(first, _)| first);
        self.ends = Some((first, sequence));
        if self.ticks.back().is_none_or(|(_, tick)| *tick != tick_unix_ms) {
            self.ticks.push_back((sequence, tick_unix_ms));
        }
        if event_bytes > 0 {
            self.events.push_back((sequence, event_bytes));
            self.event_bytes += event_bytes;
        }
    }

    /// Notes what became of frames; a settled one stays settled.
    pub(super) fn settle(&mut self, sequences: &RangeInclusive<u64>, fate: Fate) {
        let Some((first, last)) = self.ends else { return };
        let range = (*sequences.start().max(&first), *sequences.end().min(&last));
        if range.0 > range.1 {
            return;
        }
        match fate {
            Fate::Settled => {
                self.settled.insert(range);
                self.retry.remove(range);
                let (settled, gone) = (&self.settled, &mut self.event_bytes);
                self.events.retain(|(sequence, bytes)| {
                    let keep = !settled.contains(*sequence);
                    *gone -= if keep { 0 } else { *bytes };
                    keep
                });
                self.forget_ticks();
            }
            Fate::Retry => {
                self.retry.insert(range);
                for settled in self.settled.iter() {
                    self.retry.remove(settled);
                }
            }
            Fate::Waiting => self.retry.remove(range),
        }
    }

    /// Those of which all before are settled are not asked for any more.
    fn forget_ticks(&mut self) {
        let next = self.settled_through().map_or(0, |through| through + 1);
        while self.ticks.get(1).is_some_and(|(from, _)| *from <= next) {
            self.ticks.pop_front();
        }
    }

    /// The last frame.
    pub(crate) fn last(&self) -> Option<u64> {
        self.ends.map(|(_, last)| last)
    }

    /// All frames up to this one are settled; `None` where the first is not.
    pub(super) fn settled_through(&self) -> Option<u64> {
        let (first, _) = self.ends?;
        self.settled.first().filter(|(from, _)| *from == first).map(|(_, through)| through)
    }

    /// Frames that are not settled.
    pub(super) fn unsettled(&self) -> usize {
        let all = self.ends.map_or(0, |(first, last)| last - first + 1);
        usize::try_from(all - self.settled.count()).unwrap_or(usize::MAX)
    }

    /// Whether this frame is one of them and is not settled.
    pub(super) fn is_unsettled(&self, sequence: u64) -> bool {
        self.has_any(&(sequence..=sequence)) && !self.settled.contains(sequence)
    }

    /// Whether one was not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.unsettled() as u64 > self.retry.count()
    }

    /// What was to be sent again waits for an answer again.
    pub(super) fn wait_again(&mut self) {
        self.retry = Ranges::default();
    }

    /// Whether one of them is in this range.
    pub(super) fn has_any(&self, sequences: &RangeInclusive<u64>) -> bool {
        self.ends
            .is_some_and(|(first, last)| first <= *sequences.end() && last >= *sequences.start())
    }

    /// Bytes of frames with events that are not settled.
    pub(super) const fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// The first and last tick of what is not settled; between them some may be.
    pub(super) fn unsettled_ticks(&self) -> Option<(i64, i64)> {
        let (first, last) = self.ends.filter(|_| self.unsettled() > 0)?;
        let from = self.settled_through().map_or(first, |through| through + 1);
        let until = self.settled.last().filter(|(_, until)| *until == last);
        let until = until.map_or(last, |(settled_from, _)| settled_from - 1);
        let mut spans = self.ticks.iter().enumerate().filter(|(place, (since, _))| {
            let before = self.ticks.get(place + 1).map_or(u64::MAX, |(next, _)| *next);
            *since <= until && before > from
        });
        let (_, (_, tick)) = spans.next()?;
        Some(
            spans.fold((*tick, *tick), |(low, high), (_, (_, tick))| {
                (low.min(*tick), high.max(*tick))
            }),
        )
    }

    /// Memory that it takes.
    pub(super) fn size(&self) -> usize {
        (self.ticks.len() + self.events.len() + self.settled.len() + self.retry.len()) * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u64) -> Numbers {
        let mut numbers = Numbers::default();
        for sequence in 11..11 + count {
            let tick = i64::try_from(sequence / 2).unwrap() * 10;
            numbers.push(sequence, tick, if sequence % 4 == 0 { 7 } else { 0 });
        }
        numbers
    }

    /// Held against a list with an entry for each frame, over all orders of a few answers.
    #[test]
    fn answers_in_any_order_come_to_the_same() {
        use Fate::{Retry, Settled};
        let answers = [
            (1, 12, Settled),
            (14, 14, Settled),
            (12, 17, Retry),
            (16, 99, Settled),
            (13, 13, Settled),
        ];
        for turn in 0..answers.len() {
            let mut numbers = numbers(8);
            let mut list = [Fate::Waiting; 8];
            for step in 0..answers.len() {
                let (from, to, fate) = answers[(turn + step * 2) % answers.len()];
                numbers.settle(&(from..=to), fate);
                for (sequence, known) in (11..).zip(&mut list) {
                    if (from..=to).contains(&sequence) && *known != Settled {
                        *known = fate;
                    }
                }
                let is = |wanted: Fate| list.iter().filter(|fate| **fate == wanted).count();
                assert_eq!(numbers.unsettled(), 8 - is(Settled));
                assert_eq!(numbers.is_waiting(), is(Fate::Waiting) > 0);
                let prefix = list.iter().take_while(|fate| **fate == Settled).count() as u64;
                assert_eq!(numbers.settled_through(), (prefix > 0).then_some(10 + prefix));
                let left = (11..).zip(list).filter(|(_, fate)| *fate != Settled);
                let events = left.clone().filter(|(sequence, _)| sequence % 4 == 0).count();
                assert_eq!(numbers.event_bytes(), events * 7);
                let ticks: Vec<i64> = left.map(|(sequence, _)| sequence / 2 * 10).collect();
                let expected = ticks.iter().min().zip(ticks.iter().max());
                let expected = expected.map(|(from, to)| (*from, *to));
                assert_eq!(numbers.unsettled_ticks(), expected);
            }
        }
    }

    /// A segment that lasts for weeks keeps nothing of the ticks that are settled.
    #[test]
    fn settled_ticks_are_forgotten() {
        let mut numbers = numbers(10_000);
        numbers.settle(&(0..=10_000), Fate::Settled);
        assert_eq!(numbers.unsettled_ticks(), Some((50_000, 50_050)));
        assert!(numbers.size() < 300, "{}", numbers.size());
    }
}
