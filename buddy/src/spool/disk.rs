//! The log on disk: one file a segment, appended to as frames are written.
//!
//! A file is `heapster-spool 2\n` and then records, each with its length and checksum: the
//! segment's Open, what it begins with where it goes on from another one (definitions and a
//! checkpoint), and its frames. So each file is a recorded stream that can be replayed by itself, up
//! to the first record that is broken. Names sort by age. What the master has acknowledged is noted
//! beside them now and then (`delivered`), and a file that is settled is removed.
//!
//! Beside them `counters` has the newest samples of all hosts, for rates that go on ([`counters`]).
//!
//! Crash cases: a file that ends within a record, or has zeros at its end, was being written;
//! everything before is good. A file without an Open was just begun. A mark that is old, missing or
//! torn means that frames are sent again that were acknowledged already.

pub mod counters;
mod directory;
mod file;
pub(crate) mod marks;
mod record;
mod scan;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use heapster_shared::units::parse_duration;

pub use directory::{Directory, Unavailable};
pub use file::SegmentFile;
pub(crate) use record::size_on_disk;
pub use record::{End, Kind, Part, Record, read_part};
pub use scan::{Damage, Scanned, scan};

/// What the disk holds where nothing else is said.
pub const MOST_DISK_BYTES: usize = 1 << 30;

/// Where the log is kept, and how.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Made where it is missing; no two programs use it at once.
    pub directory: PathBuf,
    /// Of all files together.
    pub most_bytes: usize,
    /// When what was written is made to outlast a power cut.
    pub fsync: Fsync,
}

/// When what was written is made to outlast a loss of power. A crash of the program alone loses
/// nothing that was written, whatever is chosen here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fsync {
    /// After each write, of which there are some with each host or group of hosts.
    Always,
    /// This long after a write at the latest: a power cut loses what is newer.
    Interval(Duration),
    /// When the system sees fit: a power cut loses the last half minute or so.
    Never,
}

impl Default for Fsync {
    fn default() -> Self {
        Self::Interval(Duration::from_secs(1))
    }
}

impl std::str::FromStr for Fsync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "always" => Ok(Self::Always),
            None if text == "never" => Ok(Self::Never),
            None if text == "interval" => Ok(Self::default()),
            Some(("interval", duration)) => {
                let interval = parse_duration(duration)?;
                let longest = Duration::from_secs(60);
                match interval.is_zero() || interval > longest {
                    true => Err("the interval must be longer than 0 and at most 60s".to_owned()),
                    false => Ok(Self::Interval(interval)),
                }
            }
            _ => Err("write always, interval, interval=DURATION or never".to_owned()),
        }
    }
}

impl std::fmt::Display for Fsync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Interval(interval) => write!(f, "interval={}ms", interval.as_millis()),
            Self::Never => f.write_str("never"),
        }
    }
}
