//! What a run found.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{Options, oracle::Findings};

/// Of each kind of finding so many are shown.
const SHOWN: usize = 5;

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) seed: u64,
    pub(super) options: Options,
    /// Faults by their names.
    pub(super) counts: BTreeMap<&'static str, usize>,
    pub(super) took: Duration,
    /// Rows that hosts gave, and those among them that must be delivered.
    pub(super) rows: (usize, usize),
    pub(super) findings: [(&'static str, Findings); 2],
    pub(super) rates: usize,
    pub(super) impossible_rates: Vec<String>,
    /// The most memory of each program, in bytes.
    pub(super) peaks: BTreeMap<String, u64>,
    pub(super) longest_stop: Duration,
    /// After the last fault the first row polled since was in both databases; `None` for never.
    pub(super) fresh_after: Option<Duration>,
    /// After the last fault everything that must be was there.
    pub(super) delivered_after: Duration,
    pub(super) disks_were_filled: bool,
    pub(super) notes: Vec<String>,
}

impl Report {
    /// The seed of the run.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many faults happened.
    #[must_use]
    pub fn fault_count(&self) -> usize {
        self.counts.values().sum()
    }

    /// Rows that must be delivered.
    #[must_use]
    pub const fn promised_rows(&self) -> usize {
        self.rows.1
    }

    /// The section of a document that it belongs to.
    #[must_use]
    pub fn section(&self) -> String {
        format!("torture-{}", self.options.spool.name())
    }

    /// What happened that a reader may want to know.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Every promise that was broken, in a sentence with examples; none where all is well.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut check = |what: String, rows: &[String]| {
            if !rows.is_empty() {
                let some = rows[..rows.len().min(SHOWN)].join("; ");
                broken.push(format!("{what}: {}, such as {some}", rows.len()));
            }
        };
        for (database, findings) in &self.findings {
            check(format!("rows lost in {database}"), &findings.lost);
            check(format!("rows in {database} that were never measured"), &findings.foreign);
            check(format!("rows with a wrong value in {database}"), &findings.wrong);
        }
        check("rates that cannot be".to_owned(), &self.impossible_rates);
        for (program, peak) in &self.peaks {
            let ceiling = self.ceiling(program);
            if *peak > ceiling {
                broken.push(format!("{program} took {} of {}", mib(*peak), mib(ceiling)));
            }
        }
        if self.fresh_after.is_none() {
            broken.push("no fresh row came after the last fault".to_owned());
        }
        broken
    }

    fn ceiling(&self, program: &str) -> u64 {
        match program {
            "master" => self.options.master_ceiling.0,
            _ => self.options.buddy_ceiling.0,
        }
    }

    fn peak(&self, of: impl Fn(&str) -> bool) -> u64 {
        let own = self.peaks.iter().filter(|(name, _)| of(name));
        own.map(|(_, peak)| *peak).max().unwrap_or_default()
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (polled, must) = self.rows;
        writeln!(f, "| what | figure |\n|---|---|")?;
        writeln!(f, "| rows that hosts gave | {polled} |")?;
        writeln!(f, "| of them promised | {must} |")?;
        for (database, findings) in &self.findings {
            let Findings { lost, foreign, wrong, found, twice } = findings;
            writeln!(f, "| in {database} | {found}, of which {twice} came twice |")?;
            writeln!(
                f,
                "| lost, never measured, wrong in {database} | {}, {}, {} |",
                lost.len(),
                foreign.len(),
                wrong.len()
            )?;
        }
        let impossible = self.impossible_rates.len();
        writeln!(f, "| rates, negative or too high | {}, {impossible} |", self.rates)?;
        let fresh = self.fresh_after.map_or("never".to_owned(), |after| format!("{after:.1?}"));
        writeln!(
            f,
            "| after the last fault: a fresh row, everything | {fresh}, {:.1?} |",
            self.delivered_after
        )?;
        writeln!(f, "| longest orderly stop | {:.1?} |", self.longest_stop)?;
        writeln!(
            f,
            "| most memory: master, a buddy | {}, {} |",
            mib(self.peak(|name| name == "master")),
            mib(self.peak(|name| name != "master"))
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { clusters, hosts, .. } = self.options;
        writeln!(
            f,
            "Seed {}, spool: {}, {} faults in {:.0?}, {clusters} clusters of {hosts} hosts, polled every {:?}{}.\n",
            self.seed,
            self.options.spool.name(),
            self.fault_count(),
            self.took,
            self.options.resolution,
            if cfg!(debug_assertions) { ", debug builds" } else { "" }
        )?;
        self.write_rows(f)?;
        writeln!(f, "\n| fault | times |\n|---|---|")?;
        for (name, count) in &self.counts {
            writeln!(f, "| {name} | {count} |")?;
        }
        if !self.disks_were_filled {
            writeln!(f, "\nNo disk could be mounted, so none was filled.")?;
        }
        Ok(())
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
