//! A set of numbers, as ranges.

/// Ranges in order, with gaps between them; both ends belong to each.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(super) fn insert(&mut self, (from, to): (u64, u64)) {
        let Self(ranges) = self;
        // Those that touch it become one with it.
        let first = ranges.partition_point(|(_, end)| end.saturating_add(1) < from);
        let past = ranges.partition_point(|(start, _)| *start <= to.saturating_add(1));
        let joined = ranges[first..past]
            .iter()
            .fold((from, to), |(low, high), (start, end)| (low.min(*start), high.max(*end)));
        ranges.splice(first..past, [joined]);
    }

    pub(super) fn remove(&mut self, (from, to): (u64, u64)) {
        let Self(ranges) = self;
        let first = ranges.partition_point(|(_, end)| *end < from);
        let past = ranges.partition_point(|(start, _)| *start <= to);
        if first >= past {
            return;
        }
        let (low, high) = (ranges[first].0, ranges[past - 1].1);
        let left = (low < from).then(|| (low, from - 1));
        let right = (high > to).then(|| (to + 1, high));
        ranges.splice(first..past, left.into_iter().chain(right));
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let Self(ranges) = self;
        let at = ranges.partition_point(|(_, end)| *end < number);
        ranges.get(at).is_some_and(|(start, _)| *start <= number)
    }

    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.0.first().copied()
    }

    pub(super) fn last(&self) -> Option<(u64, u64)> {
        self.0.last().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// Numbers in it.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start + 1).sum()
    }

    /// Ranges that it takes to say so.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as a set that has each number.
        #[test]
        fn ranges_are_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u64..40, 0_u64..8), 1..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (adds, from, more) in steps {
                let to = from + more;
                if adds {
                    ranges.insert((from, to));
                    set.extend(from..=to);
                } else {
                    ranges.remove((from, to));
                    set.retain(|number| !(from..=to).contains(number));
                }
                prop_assert!((0..60).all(|number| ranges.contains(number) == set.contains(&number)));
                prop_assert_eq!(ranges.count(), set.len() as u64);
                let parted = ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
                prop_assert!(parted, "{:?}", ranges);
            }
        }
    }
}
