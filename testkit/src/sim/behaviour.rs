//! How a host behaves: well, slowly, not at all, or dishonestly.

use std::{str::FromStr, time::Duration};

use heapster_shared::units::parse_duration;

/// How a host behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Behaviour {
    /// As a host should.
    #[default]
    Healthy,
    /// Answers after this long.
    Slow(Duration),
    /// Refuses connections, and drops those that are open.
    Refuses,
    /// Accepts connections and requests, and never answers.
    Silent,
    /// Answers 200 with what is no JSON.
    Garbage,
    /// Answers 500.
    ServerError,
    /// Promises a whole answer and closes the connection half way.
    Truncated,
    /// Answers with JSON that never ends.
    Endless,
    /// Sets its counters back this often, and says nothing of it: the start times stay.
    CountersBack(Duration),
    /// Its clock is off by so many milliseconds.
    ClockOff(i64),
    /// Restarts each container this often: same name, new id and start time, counters from 0.
    Restarting(Duration),
    /// Replaces each pod this often by one of another name, not all at once.
    Churning(Duration),
    /// Has pods of every kind in its first slots: plain, static, with an init container and a
    /// restarted one, being deleted, succeeded, pending ([`super::PodState`]).
    Varied,
    /// Its kubelet has just started: values are zero, or missing, or not there yet.
    Starting,
    /// Its kubelet still sees control groups of the dead: its first pod a second time under an older
    /// uid, and the first container of its second pod twice.
    Leftovers,
    /// Runs Windows, where a kubelet says less.
    Windows,
}

impl Behaviour {
    /// How long a container lives before its successor takes its place; `None` for ever.
    pub(super) fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Restarting(lifetime) | Self::Churning(lifetime) => Some(lifetime),
            _ => None,
        }
    }

    /// What the host's clock shows more than the true time, in milliseconds.
    pub(super) fn clock_offset_ms(self) -> i64 {
        match self {
            Self::ClockOff(offset_ms) => offset_ms,
            _ => 0,
        }
    }
}

/// The words of [`Behaviour::from_str`], for help texts and errors.
pub(super) const KNOWN: &str = "healthy, slow:DURATION, refuses, silent, garbage, error, truncated, \
     endless, counters-back:DURATION, clock-off:DURATION or clock-off:-DURATION, \
     restarting:DURATION, churning:DURATION, varied, starting, leftovers, windows";

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, argument) = text.split_once(':').unwrap_or((text, ""));
        let duration = || match parse_duration(argument)? {
            Duration::ZERO => Err(format!("`{text}`: the duration must be more than nothing")),
            duration => Ok(duration),
        };
        match word {
            "slow" => duration().map(Self::Slow),
            "counters-back" => duration().map(Self::CountersBack),
            "clock-off" => offset_ms(argument).map(Self::ClockOff),
            "restarting" => duration().map(Self::Restarting),
            "churning" => duration().map(Self::Churning),
            _ if text.contains(':') => {
                Err(format!("unknown behaviour `{text}`; the known ones are {KNOWN}"))
            }
            "healthy" => Ok(Self::Healthy),
            "refuses" => Ok(Self::Refuses),
            "silent" => Ok(Self::Silent),
            "garbage" => Ok(Self::Garbage),
            "error" => Ok(Self::ServerError),
            "truncated" => Ok(Self::Truncated),
            "endless" => Ok(Self::Endless),
            "varied" => Ok(Self::Varied),
            "starting" => Ok(Self::Starting),
            "leftovers" => Ok(Self::Leftovers),
            "windows" => Ok(Self::Windows),
            _ => Err(format!("unknown behaviour `{text}`; the known ones are {KNOWN}")),
        }
    }
}

fn offset_ms(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = text.strip_prefix('-').map_or((1, text), |magnitude| (-1, magnitude));
    let milliseconds = parse_duration(magnitude)?.as_millis();
    i64::try_from(milliseconds)
        .map(|milliseconds| sign * milliseconds)
        .map_err(|_| format!("`{text}` is too far off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_are_read_as_written() {
        let read = |text: &str| text.parse::<Behaviour>();
        assert_eq!(read("slow:3s"), Ok(Behaviour::Slow(Duration::from_secs(3))));
        assert_eq!(read("clock-off:-5m"), Ok(Behaviour::ClockOff(-300_000)));
        assert_eq!(read("refuses"), Ok(Behaviour::Refuses));
        assert_eq!(read("windows"), Ok(Behaviour::Windows));
        for wrong in ["", "nice", "slow", "slow:0", "refuses:3s", "churning:soon"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("nice").unwrap_err().contains("counters-back"));
    }
}
