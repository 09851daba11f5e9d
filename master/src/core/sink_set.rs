//! Sets of sinks, by their place in the configuration.

/// The most sinks that a master has.
pub const MOST_SINKS: usize = 63;

/// Some of the sinks. Those that are not required are in it together, as [`SinkSet::OTHERS`]:
/// nobody waits for any of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SinkSet(u64);

impl SinkSet {
    /// No sink.
    pub const EMPTY: Self = Self(0);
    /// All that are not required.
    pub const OTHERS: Self = Self(1 << MOST_SINKS);
    /// All sinks there are.
    pub const ALL: Self = Self(u64::MAX);

    /// The sink at this place of the configuration, from 0 on; none past [`MOST_SINKS`].
    #[must_use]
    pub const fn one(index: usize) -> Self {
        if index < MOST_SINKS { Self(1 << index) } else { Self::EMPTY }
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// This one less the other.
    #[must_use]
    pub const fn without(self, less: Self) -> Self {
        Self(self.0 & !less.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of the other are in this one.
    #[must_use]
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether it has no sink.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of its members as a set.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..=MOST_SINKS).map(|index| Self(1 << index)).filter(move |one| self.has(*one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_put_together_and_taken_apart() {
        let both = SinkSet::one(0).with(SinkSet::one(62)).with(SinkSet::OTHERS);
        assert!(SinkSet::ALL.has(both) && both.has(SinkSet::OTHERS) && !both.has(SinkSet::one(1)));
        let left = both.without(SinkSet::one(0)).without(SinkSet::OTHERS);
        assert_eq!(left.each().collect::<Vec<_>>(), [SinkSet::one(62)]);
        assert!(SinkSet::one(MOST_SINKS).is_empty(), "it would be one of the others");
    }
}
