//! Ticks: the instants, on the grid of the resolution, for which hosts are polled.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant on the grid, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(pub i64);

/// The distance between ticks; ticks are its multiples since 1970, the same for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resolution(Duration);

impl Resolution {
    /// The finest resolution that is accepted.
    pub const FINEST: Duration = Duration::from_secs(1);
    /// The resolution unless told otherwise.
    pub const DEFAULT: Self = Self(Duration::from_secs(15));

    /// A resolution of at least [`Resolution::FINEST`], in whole milliseconds.
    ///
    /// # Errors
    /// A sentence for the user when it is finer than that or longer than a day.
    pub fn new(duration: Duration) -> Result<Self, String> {
        if duration < Self::FINEST || duration > Duration::from_secs(86_400) {
            return Err(format!("the resolution must lie between 1s and 24h, not at {duration:?}"));
        }
        let whole_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(Self(Duration::from_millis(whole_ms)))
    }

    /// The distance between ticks.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The distance between ticks in milliseconds.
    #[must_use]
    pub fn ms(self) -> u32 {
        u32::try_from(self.0.as_millis()).unwrap_or(u32::MAX)
    }

    /// The last tick at or before this time.
    #[must_use]
    pub fn at_or_before(self, unix_ms: i64) -> Tick {
        Tick(unix_ms - unix_ms.rem_euclid(i64::from(self.ms())))
    }

    /// The first tick after this time.
    #[must_use]
    pub fn after(self, unix_ms: i64) -> Tick {
        Tick(self.at_or_before(unix_ms).0 + i64::from(self.ms()))
    }
}

/// The time now, in milliseconds since 1970: for the edges of the program, which hand it on.
#[must_use]
pub fn unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time in milliseconds since 1970 as RFC 3339, in UTC.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| unix_ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_on_the_grid() {
        let resolution = Resolution::DEFAULT;
        assert_eq!(resolution.at_or_before(44_999), Tick(30_000));
        assert_eq!(resolution.at_or_before(45_000), Tick(45_000));
        assert_eq!(resolution.after(45_000), Tick(60_000));
        assert!(Resolution::new(Duration::from_millis(999)).is_err());
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(1_795_345_200_000), "2026-11-22T11:00:00Z");
    }
}
