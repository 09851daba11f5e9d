//! How big a cluster is, and how much of it is dead.

use std::{fmt, str::FromStr};

/// The hosts of one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    /// All hosts.
    pub(super) hosts: usize,
    /// Those, the last ones, that do not answer.
    pub(super) dead: usize,
}

impl Size {
    /// Hosts that answer.
    pub(super) fn living(self) -> usize {
        self.hosts - self.dead
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hosts", self.hosts)?;
        if self.dead > 0 {
            write!(f, ", {} of them dead", self.dead)?;
        }
        Ok(())
    }
}

/// Some of the hosts: a number of them, or a share such as `10%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Portion {
    /// So many.
    Count(usize),
    /// So many of a hundred.
    Percent(u8),
}

impl Portion {
    /// The size that a cluster has when these of its hosts are dead.
    ///
    /// # Errors
    /// When none or more than half of them would be.
    pub(super) fn dead_of(self, hosts: usize) -> anyhow::Result<Size> {
        let dead = match self {
            Self::Count(count) => count,
            Self::Percent(percent) => hosts * usize::from(percent) / 100,
        };
        anyhow::ensure!(
            dead > 0 && dead <= hosts / 2,
            "--dead: {dead} of {hosts} hosts: it must be one at least and half of them at most"
        );
        Ok(Size { hosts, dead })
    }
}

impl FromStr for Portion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        read.ok_or_else(|| format!("`{text}` is neither a number of hosts nor a share such as 10%"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_numbers_or_shares() {
        let dead = |text: &str, hosts| text.parse::<Portion>().unwrap().dead_of(hosts);
        assert_eq!(dead("7", 100).unwrap(), Size { hosts: 100, dead: 7 });
        assert_eq!(dead("10%", 1000).unwrap(), Size { hosts: 1000, dead: 100 });
        for (text, hosts) in [("0", 100), ("51", 100), ("10%", 9)] {
            assert!(dead(text, hosts).is_err(), "{text} of {hosts}");
        }
        for wrong in ["", "%", "-1", "300%", "some"] {
            assert!(wrong.parse::<Portion>().is_err(), "{wrong}");
        }
    }
}
