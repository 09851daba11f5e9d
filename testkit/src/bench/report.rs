//! The report: a table in Markdown, with whatever makes its figures doubtful.

mod rows;
mod section;

use std::fmt;

pub use section::write_section;

use super::{Options, run::Run, trust};

/// What all runs found; it is displayed as Markdown.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) machine: String,
    pub(super) options: Options,
    pub(super) runs: Vec<Run>,
}

impl Report {
    /// The name of its place in a document.
    #[must_use]
    pub fn section(&self) -> &'static str {
        if self.options.kubernetes { "bench-kubernetes" } else { "bench" }
    }

    /// What is wrong with the figures, if anything is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.runs.iter().flat_map(faults).collect()
    }

    /// Reasons to doubt figures that are not wrong.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        self.runs.iter().flat_map(trust::doubts).collect()
    }
}

fn faults(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let (size, healthy) = (run.size, run.last.healthy_hosts());
    if healthy != size.living() {
        faults.push(format!("{healthy} of {} hosts gave rows", size.living()));
    }
    let (complete, passed) = run.complete_rounds;
    if complete != passed {
        faults.push(format!("only {complete} of {passed} rounds were complete"));
    }
    faults.extend(run.verdict.first_fault.clone());
    if let Some(kubernetes) = &run.kubernetes {
        faults.extend(kubernetes.metadata_fault.clone());
        let found = (kubernetes.nodes.items, kubernetes.pods.items);
        if found != kubernetes.expected {
            let expected = kubernetes.expected;
            faults.push(format!("the metrics API has {found:?} nodes and pods, not {expected:?}"));
        }
    }
    faults.into_iter().map(|fault| format!("{size}: {fault}")).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.circumstances(f)?;
        write!(f, "\n|")?;
        for run in &self.runs {
            write!(f, " | {}", run.size)?;
        }
        writeln!(f, " |\n|---{}|", "|--:".repeat(self.runs.len()))?;
        for (name, figure) in rows::of(&self.runs) {
            write!(f, "| {name}")?;
            for run in &self.runs {
                write!(f, " | {}", figure(run))?;
            }
            writeln!(f, " |")?;
        }
        let doubts = self.doubts();
        if !doubts.is_empty() {
            writeln!(f, "\n**To be doubted**\n")?;
            doubts.iter().try_for_each(|doubt| writeln!(f, "- {doubt}"))?;
        }
        Ok(())
    }
}

impl Report {
    /// Where and how the figures were made.
    fn circumstances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let command = if options.kubernetes { "make bench-kubernetes" } else { "make bench" };
        writeln!(
            f,
            "Made by `{command}` on {}, shared by the simulation and what is measured; {} \
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
        if self.runs.iter().any(|run| run.size.dead > 0) {
            writeln!(
                f,
                "Of the dead hosts one half takes connections and never answers, the other half \
                 refuses them; what they cost is counted with the polls of those that live."
            )?;
        }
        Ok(())
    }
}
