//! The report: a table in Markdown, and its place in a document.

use std::{fmt, fs, io::ErrorKind, path::Path, time::Duration};

use anyhow::Context;

use super::{Options, run::Run};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// What all runs found; it is displayed as Markdown.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) machine: String,
    pub(super) options: Options,
    pub(super) runs: Vec<Run>,
}

/// A line of the table: what it says, and how it is worked out from a run.
type Row = (&'static str, fn(&Run) -> String);

const ROWS: [Row; 16] = [
    ("rounds measured", |run| run.rounds.to_string()),
    ("hosts that gave rows in the last round", |run| run.healthy_hosts.to_string()),
    ("entities", |run| run.after.cluster.entities.to_string()),
    ("samples a second", |run| format!("{:.0}", run.samples() / run.seconds())),
    ("buddy: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.buddy.cpu, run.after.buddy.cpu))
    }),
    ("master: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.master.cpu, run.after.master.cpu))
    }),
    ("simulation: CPU ms per host poll", |run| {
        format!("{:.3}", run.cpu_per_poll(run.before.sim.cpu, run.after.sim.cpu))
    }),
    ("requests per host poll", |run| {
        let requests = run.after.sim_state.answers - run.before.sim_state.answers;
        format!("{:.1}", requests as f64 / run.polls())
    }),
    ("KiB polled per host poll", |run| {
        let bytes = run.after.sim_state.answer_bytes - run.before.sim_state.answer_bytes;
        format!("{:.0}", bytes as f64 / run.polls() / 1024.0)
    }),
    ("buddy: memory, steady / peak", |run| {
        memory(run.after.buddy.rss_bytes, run.after.buddy.peak_bytes)
    }),
    ("master: memory, steady / peak", |run| {
        memory(run.after.master.rss_bytes, run.after.master.peak_bytes)
    }),
    ("wire bytes per sample, buddy to master", |run| {
        format!("{:.2}", run.sent_bytes() / run.samples())
    }),
    ("wire bytes per row, buddy to master / back", |run| {
        let rows = (run.after.cluster.rows - run.before.cluster.rows) as f64;
        let back = run.after.received_bytes - run.before.received_bytes;
        format!("{:.1} / {:.1}", run.sent_bytes() / rows, back as f64 / rows)
    }),
    ("tick to model: median / longest", |run| {
        let mut sorted = run.latencies.clone();
        sorted.sort();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let longest = sorted.last().copied().unwrap_or_default();
        format!("{} / {}", seconds(median), seconds(longest))
    }),
    ("values compared with the truth: wrong, series missing", |run| {
        let verdict = &run.verdict;
        format!("{}: {}, {}", verdict.compared, verdict.wrong, verdict.missing)
    }),
    ("largest distance from the mean rate (2 % is the simulation's own)", |run| {
        format!("{:.2} %", run.verdict.worst * 100.0)
    }),
];

#[allow(clippy::cast_precision_loss)]
impl Run {
    fn polls(&self) -> f64 {
        self.hosts as f64 * f64::from(self.rounds)
    }

    fn seconds(&self) -> f64 {
        self.after.at.duration_since(self.before.at).as_secs_f64()
    }

    fn samples(&self) -> f64 {
        (self.after.cluster.samples - self.before.cluster.samples) as f64
    }

    fn sent_bytes(&self) -> f64 {
        (self.after.sent_bytes - self.before.sent_bytes) as f64
    }

    fn cpu_per_poll(&self, before: Duration, after: Duration) -> f64 {
        after.saturating_sub(before).as_secs_f64() * 1000.0 / self.polls()
    }
}

impl Report {
    /// What is wrong with the figures, if anything is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for run in &self.runs {
            if run.healthy_hosts != run.hosts {
                faults.push(format!("{} of {} hosts gave rows", run.healthy_hosts, run.hosts));
            }
            faults.extend(run.verdict.first_fault.clone());
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        writeln!(
            f,
            "Made by `make bench` on {}, shared by the simulation and what is measured; {} \
             containers a host, a tick every {:?}, in memory only.",
            self.machine,
            options.pods * options.containers,
            options.resolution,
        )?;
        match options.retention() {
            Some(retention) => writeln!(
                f,
                "The model was full before anything was read: {retention:?} of {:?}, which are as \
                 many ticks as 15 minutes of 15 s.",
                options.resolution
            )?,
            None => writeln!(
                f,
                "The model was not yet full: it held the few rounds of the run. `--fill-model` \
                 fills it first."
            )?,
        }
        write!(f, "\n|")?;
        for run in &self.runs {
            write!(f, " | {} hosts", run.hosts)?;
        }
        writeln!(f, " |\n|---{}|", "|--:".repeat(self.runs.len()))?;
        for (name, figure) in ROWS {
            write!(f, "| {name}")?;
            for run in &self.runs {
                write!(f, " | {}", figure(run))?;
            }
            writeln!(f, " |")?;
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss)]
fn memory(steady: u64, peak: u64) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!("{:.0} / {:.0} MiB", mib(steady), mib(peak))
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// Puts a report into a document, in the place of the one that is there; makes the document where
/// there is none.
///
/// # Errors
/// When the document cannot be read or written, or has no place for a report.
pub fn write_section(path: &Path, report: &str) -> anyhow::Result<()> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("# Benchmarks\n\n{BEGIN}\n{END}\n")
        }
        text => text.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let replaced = replace_section(&text, report).with_context(|| {
        format!(
            "{} has no lines `{BEGIN}` and `{END}`: put them where the report goes",
            path.display()
        )
    })?;
    fs::write(path, replaced).with_context(|| format!("{} cannot be written", path.display()))
}

fn replace_section(text: &str, report: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", report.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_made_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        write_section(&path, "first").unwrap();
        write_section(&path, "second").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("# Benchmarks\n\n{BEGIN}\nsecond\n{END}\n"));
        fs::write(&path, "prose").unwrap();
        assert!(write_section(&path, "third").unwrap_err().to_string().contains("bench:begin"));
    }

    /// Written twice, a document has one report, and all else stays.
    #[test]
    fn a_report_takes_the_place_of_the_last_one() {
        let text = format!("# Benchmarks\n\n{BEGIN}\nold\n{END}\n\nend\n");
        let once = replace_section(&text, "new\n").unwrap();
        assert_eq!(once, format!("# Benchmarks\n\n{BEGIN}\nnew\n{END}\n\nend\n"));
        assert_eq!(replace_section(&once, "new\n").unwrap(), once);
        assert_eq!(replace_section("no markers", "new"), None);
    }
}
