//! Times as Go writes them: RFC 3339 with up to nine digits of a second.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// Milliseconds since 1970; negative for Go's zero time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(in crate::source) struct Timestamp(pub(in crate::source) i64);

impl Timestamp {
    /// The time that the text says, what is finer than milliseconds cut off.
    pub(in crate::source) fn parse(text: &str) -> Option<Self> {
        parse(text.as_bytes()).map(Self)
    }

    /// A time that something really happened at; Go's zero time stands for "unknown".
    pub(in crate::source) fn known(self) -> Option<i64> {
        (self.0 > 0).then_some(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl de::Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2006-01-02T15:04:05.999999999Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
        Timestamp::parse(text).ok_or_else(invalid)
    }
}

/// The time in milliseconds since 1970, what is finer cut off.
fn parse(text: &[u8]) -> Option<i64> {
    let (clock, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| clock[*at] != *separator) {
        return None;
    }
    let days = days_since_1970(
        number(&clock[..4])?,
        within(number(&clock[5..7])?, 1, 12)?,
        within(number(&clock[8..10])?, 1, 31)?,
    );
    let hours = within(number(&clock[11..13])?, 0, 23)?;
    let minutes = within(number(&clock[14..16])?, 0, 59)?;
    let seconds = within(number(&clock[17..])?, 0, 60)?;
    let (millis, zone) = fraction(rest)?;
    let offset_minutes = zone_minutes(zone)?;
    let minutes = (days * 24 + hours) * 60 + minutes - offset_minutes;
    Some((minutes * 60 + seconds) * 1000 + millis)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn within(value: i64, least: i64, most: i64) -> Option<i64> {
    (least..=most).contains(&value).then_some(value)
}

/// Milliseconds of `.123456789`, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = text.split_first() else {
        return Some((0, text));
    };
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at(end);
    let millis = (0..3).map(|at| digits.get(at).map_or(0, |digit| i64::from(digit - b'0')));
    let millis = millis.fold(0, |value, digit| value * 10 + digit);
    (!digits.is_empty()).then_some((millis, zone))
}

/// Minutes east of Greenwich of `Z` or `+hh:mm`.
fn zone_minutes(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = number(&[*h1, *h2])? * 60 + number(&[*m1, *m2])?;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

/// Days from 1970-01-01, in the Gregorian calendar, with years that begin in March so that the leap
/// day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_as_go_writes_them() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T10:49:13.2687476Z", 1_795_344_553_268),
            ("2026-11-22T10:49:13.2Z", 1_795_344_553_200),
            ("2026-11-22T12:19:13.268747600+01:30", 1_795_344_553_268),
            ("2024-02-29T23:59:59.999999999-00:01", 1_709_251_259_999),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
        assert!(parse(b"0001-01-01T00:00:00Z").is_some_and(|time| time < 0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let wrong = [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T10:49:13",
            "2026-13-22T10:49:13Z",
            "2026-11-22T24:49:13Z",
            "2026-11-22T10:49:13.Z",
            "2026-11-22 10:49:13Z",
            "2026-11-22T10:49:13Zx",
            "2026-11-2éT10:49:13Z",
        ];
        for text in wrong {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        /// Agrees with an independent implementation at any time of four-digit years.
        #[test]
        fn agrees_with_jiff(millis in -62_135_596_800_000_i64..253_402_207_200_000) {
            let text = jiff::Timestamp::from_millisecond(millis).unwrap().to_string();
            prop_assert_eq!(parse(text.as_bytes()), Some(millis));
        }
    }
}
