//! Numbers as Kubernetes writes them: quantities in their canonical form, and durations.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// CPU in use, in billionths of a core: `250m`, `1999563718n`, `2`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cpu(pub(super) u64);

/// Bytes: `24996Ki`, `25Mi`, `1234567`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Memory(pub(super) u64);

/// Milliseconds: `14.999s`, `1m0s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window(pub(super) u32);

/// Milliseconds since 1970, as whole seconds: `2026-11-22T11:13:20Z`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time(pub(super) i64);

const DECIMAL: [&str; 7] = ["n", "u", "m", "", "k", "M", "G"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The number without the factors of `base` that a suffix can stand for.
fn reduced(number: u64, base: u64, suffixes: &[&'static str]) -> (u64, &'static str) {
    let (mut rest, mut place) = (number, 0);
    while rest != 0 && rest.is_multiple_of(base) && place + 1 < suffixes.len() {
        rest /= base;
        place += 1;
    }
    (rest, suffixes[place])
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let (number, suffix) = reduced(self.0, 1000, &DECIMAL);
        write!(f, "{number}{suffix}")
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Kubernetes writes what is less than 1 KiB in the decimal form.
        let (number, suffix) = if self.0 < 1024 {
            reduced(self.0, 1000, &DECIMAL[3..])
        } else {
            reduced(self.0, 1024, &BINARY)
        };
        write!(f, "{number}{suffix}")
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        if seconds == 0 && millis > 0 {
            return write!(f, "{millis}ms");
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}", seconds % 60)?;
        if millis > 0 {
            f.write_str(".")?;
            f.write_str(format!("{millis:03}").trim_end_matches('0'))?;
        }
        f.write_str("s")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded down, as Kubernetes does; what is out of range is no time of a sample.
        let time = Timestamp::from_second(self.0.div_euclid(1000)).unwrap_or_default();
        write!(f, "{time}")
    }
}

macro_rules! written_as_text {
    ($($name:ty),*) => {
        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

written_as_text!(Cpu, Memory, Window, Time);

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms that Go's `resource.Quantity` gives for these numbers.
    #[test]
    fn quantities_are_canonical() {
        for (nanocores, expected) in [
            (0, "0"),
            (1, "1n"),
            (1_999_563_718, "1999563718n"),
            (77_373_160, "77373160n"),
            (250_000_000, "250m"),
            (1_500_000, "1500u"),
            (2_000_000_000, "2"),
            (1_000_000_000_000, "1k"),
        ] {
            assert_eq!(Cpu(nanocores).to_string(), expected);
        }
        for (bytes, expected) in [
            (0, "0"),
            (1000, "1k"),
            (1023, "1023"),
            (1024, "1Ki"),
            (25_595_904, "24996Ki"),
            (25 << 20, "25Mi"),
            (1_234_567, "1234567"),
            (3 << 30, "3Gi"),
        ] {
            assert_eq!(Memory(bytes).to_string(), expected);
        }
    }

    /// The forms that Go's `time.Duration` gives.
    #[test]
    fn durations_and_times_are_those_of_go() {
        for (millis, expected) in [
            (0, "0s"),
            (999, "999ms"),
            (10_320, "10.32s"),
            (14_999, "14.999s"),
            (15_000, "15s"),
            (60_000, "1m0s"),
            (61_050, "1m1.05s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(Window(millis).to_string(), expected);
        }
        assert_eq!(Time(1_795_346_000_999).to_string(), "2026-11-22T11:13:20Z");
        assert_eq!(Time(-1).to_string(), "1969-12-31T23:59:59Z");
    }
}
