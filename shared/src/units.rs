//! Sizes, durations and flags as people write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A number of bytes: `65536`, `64KiB`, `1.5GiB`, `2GB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// This many mebibytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes as a length.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZES: [(&str, f64); 8] = [
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("b", 1.0),
    ("", 1.0),
];

impl FromStr for ByteSize {
    type Err = String;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let number_end = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(number_end);
        let factor = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
        let value =
            number.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        match (value, factor) {
            (Some(value), Some(factor)) => Ok(Self((value * factor) as u64)),
            _ => Err(format!(
                "`{text}` is no size: write a number of bytes, or one with KiB, MiB, GiB, kB, MB or GB"
            )),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |shift: u32| self.0 >= 1 << shift && self.0.trailing_zeros() >= shift;
        match self.0 {
            bytes if fits(30) => write!(f, "{}GiB", bytes >> 30),
            bytes if fits(20) => write!(f, "{}MiB", bytes >> 20),
            bytes if fits(10) => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Reads `15s`, `1m30s`, `2h`, `500ms`, and `0`.
///
/// # Errors
/// A sentence for the user when it is no such text, or negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = text.trim().parse::<jiff::SignedDuration>();
    parsed.ok().and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| {
        format!("`{text}` is no duration: write a number with a unit, such as 15s, 1m30s or 2h")
    })
}

/// For `#[serde(deserialize_with)]`: a duration as [`parse_duration`] reads it.
///
/// # Errors
/// As [`parse_duration`].
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]`: `true`, `1`, `t`, `yes` or nothing at all, and their opposites.
///
/// # Errors
/// For any other text.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "" | "true" | "1" | "t" | "yes" => Ok(true),
        "false" | "0" | "f" | "no" => Ok(false),
        _ => Err(D::Error::custom(format!("`{text}` is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let parsed = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        assert_eq!(parsed("64MiB"), Ok(64 << 20));
        assert_eq!(parsed("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parsed("2kB"), Ok(2000));
        assert_eq!(parsed("17"), Ok(17));
        for wrong in ["", "MiB", "-1", "1 parsec", "nan"] {
            assert!(parsed(wrong).unwrap_err().contains("is no size"), "{wrong}");
        }
        assert_eq!(ByteSize::mib(64).to_string(), "64MiB");
        assert_eq!(ByteSize(0).to_string(), "0");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in ["15", "-3s", "soon"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
