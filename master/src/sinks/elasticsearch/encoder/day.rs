//! The day of a time, as the names of indices have it.

use jiff::{Timestamp, tz::TimeZone};

const DAY_MS: i64 = 86_400_000;

/// Remembers the last one: rows come in the order of their times, or nearly so.
#[derive(Debug, Default)]
pub(super) struct Day {
    number: i64,
    text: String,
}

impl Day {
    /// `2026.11.22`, in UTC.
    pub(super) fn of(&mut self, time_ms: i64) -> &str {
        let number = time_ms.div_euclid(DAY_MS);
        if number != self.number || self.text.is_empty() {
            // A time that no calendar has goes with the first day there is.
            let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
            self.text = time.to_zoned(TimeZone::UTC).strftime("%Y.%m.%d").to_string();
            self.number = number;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_midnight_utc() {
        let mut day = Day::default();
        assert_eq!(day.of(0), "1970.01.01");
        assert_eq!(day.of(1_795_391_999_999), "2026.11.22");
        assert_eq!(day.of(1_795_392_000_000), "2026.11.23");
        assert_eq!(day.of(-1), "1969.12.31");
        assert_eq!(day.of(i64::MAX), "1970.01.01");
    }
}
