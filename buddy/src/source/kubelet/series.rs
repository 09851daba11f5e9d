//! Samples of Prometheus' text put together by the things that they are of.

use heapster_shared::row::Cell;

use crate::source::{
    fetch::FetchError,
    prometheus::{Line, Malformed, Sample},
};

/// By names that others chose: whoever may start pods in the cluster.
pub(super) type ByName<K, T> = hashbrown::HashMap<K, T, foldhash::quality::RandomState>;

/// Things in the order in which they are named first. Families name the same things in the same
/// order, so a thing is mostly the one after the thing before.
pub(in crate::source) struct Grouped<K, T> {
    things: Vec<(K, T)>,
    places: ByName<K, usize>,
    next: usize,
}

impl<K, T> Default for Grouped<K, T> {
    fn default() -> Self {
        Self { things: Vec::new(), places: ByName::default(), next: 0 }
    }
}

impl<K: Copy + Eq + std::hash::Hash, T: Default> Grouped<K, T> {
    /// The thing with this key.
    pub(in crate::source) fn of(&mut self, key: K) -> &mut T {
        let expected = self.things.get(self.next).is_some_and(|(known, _)| *known == key);
        let place = if expected { self.next } else { self.find(key) };
        self.next = place + 1;
        &mut self.things[place].1
    }

    fn find(&mut self, key: K) -> usize {
        let Self { things, places, .. } = self;
        *places.entry(key).or_insert_with(|| {
            things.push((key, T::default()));
            things.len() - 1
        })
    }

    /// All of them.
    pub(in crate::source) fn things(&self) -> &[(K, T)] {
        &self.things
    }
}

/// A value with the time at which it was taken.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(in crate::source) struct Timed {
    pub(in crate::source) value: f64,
    /// 0 where the line has none.
    pub(in crate::source) time_ms: i64,
}

impl From<&Sample<'_>> for Timed {
    fn from(sample: &Sample<'_>) -> Self {
        Self { value: sample.value, time_ms: sample.time_ms.unwrap_or(0) }
    }
}

/// A value as an integer, multiplied; absent where it is not finite or no counter can have it.
#[allow(clippy::cast_possible_truncation)]
pub(in crate::source) fn cell(value: f64, factor: f64) -> Cell {
    /// The first number that is too large for 64 bits with a sign.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    let value = (value * factor).round();
    if (0.0..TOO_LARGE).contains(&value) { Cell::int(value as i64) } else { Cell::ABSENT }
}

/// Seconds since 1970 in milliseconds; 0 where it is no time.
pub(in crate::source) fn seconds_to_ms(value: f64) -> i64 {
    cell(value, 1000.0).as_int().unwrap_or(0)
}

/// The error for a line that ought to be a sample.
pub(in crate::source) fn malformed(url: &str, line: &Line<'_>, _: Malformed) -> FetchError {
    FetchError::failed(url, format!("the answer is no text of Prometheus: {}", line.describe()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_found_in_any_order() {
        let mut grouped = Grouped::<&str, Vec<u32>>::default();
        for (index, key) in ["a", "b", "c", "a", "c", "b", "b", "a"].into_iter().enumerate() {
            grouped.of(key).push(index as u32);
        }
        let things = grouped.things();
        assert_eq!(things, [("a", vec![0, 3, 7]), ("b", vec![1, 5, 6]), ("c", vec![2, 4])]);
    }

    #[test]
    fn what_is_no_counter_is_absent() {
        assert_eq!(cell(4_057.018_431_124, 1e9), Cell::int(4_057_018_431_124));
        assert_eq!(cell(0.0, 1.0), Cell::int(0));
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e19] {
            assert!(cell(value, 1.0).is_absent(), "{value}");
        }
        assert_eq!(seconds_to_ms(1_795_346_319.25), 1_795_346_319_250);
    }
}
