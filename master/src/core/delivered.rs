//! Which sequence numbers of a buddy's log are settled for good: ranges, and few of them, since a
//! log is delivered nearly in order.

use std::collections::BTreeMap;

/// Ranges remembered at most. Past it the lowest is forgotten: frames of it that come again are
/// delivered a second time, which is allowed.
const MAX_RANGES: usize = 1024;

/// A set of sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// First to last, both included; never touching.
    ranges: BTreeMap<u64, u64>,
}

impl Delivered {
    /// Whether this number is in the set.
    #[must_use]
    pub fn contains(&self, sequence: u64) -> bool {
        let at_or_before = self.ranges.range(..=sequence).next_back();
        at_or_before.is_some_and(|(_, last)| *last >= sequence)
    }

    /// Adds a number.
    pub fn insert(&mut self, sequence: u64) {
        if self.contains(sequence) {
            return;
        }
        let before = self.ranges.range(..sequence).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((first, last)) if last.checked_add(1) == Some(sequence) => first,
            _ => sequence,
        };
        let next = sequence.checked_add(1);
        let last = next.and_then(|next| self.ranges.remove(&next)).unwrap_or(sequence);
        self.ranges.insert(first, last);
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_first();
        }
    }

    /// The largest number of the set; 0 for none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the order of arrival, the ranges hold what a plain set holds.
        #[test]
        fn behaves_like_a_set(sequences in prop::collection::vec(1_u64..60, 0..80)) {
            let mut delivered = Delivered::default();
            let mut model = BTreeSet::new();
            for sequence in sequences {
                delivered.insert(sequence);
                model.insert(sequence);
                for probe in 0..62 {
                    prop_assert_eq!(delivered.contains(probe), model.contains(&probe));
                }
                prop_assert_eq!(delivered.last(), *model.last().unwrap());
            }
        }
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut delivered = Delivered::default();
        for sequence in 1..=2 * MAX_RANGES as u64 {
            delivered.insert(2 * sequence);
        }
        assert_eq!(delivered.ranges.len(), MAX_RANGES);
        assert!(delivered.contains(4 * MAX_RANGES as u64));
        assert!(!delivered.contains(2));
    }
}
