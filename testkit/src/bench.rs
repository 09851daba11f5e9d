//! The whole-program bench: the real binaries against a simulated cluster, and what they cost.
//!
//! ```text
//! heapster-sim ◀──polls── heapster-buddy ──gRPC──▶ meter ──▶ heapster-master ◀──HTTP── this
//! ```
//!
//! For each size of cluster: start all, wait until every host is in the model, read the CPU time
//! and counters, leave everybody alone for some rounds, read again; then watch how long after a tick
//! its round is complete, and compare rates with the truth. Nobody asks the master anything while
//! its CPU time is taken.

mod api;
mod check;
mod machine;
mod meter;
mod process;
mod report;
mod run;
mod stage;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use heapster_shared::units::parse_duration;

pub use report::{Report, write_section};

/// Ticks that the model holds by default: 15 minutes of 15 s.
const DEFAULT_TICKS: u32 = 60;

/// Measures what Heapster's programs cost on a simulated cluster.
#[derive(Clone, Debug, Parser)]
#[command(name = "heapster-bench", version)]
pub struct Options {
    /// Folder of the programs to measure; by default the one that this program is in
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Sizes of cluster, one run for each
    #[arg(long, value_name = "COUNT,...", value_delimiter = ',', default_value = "100,1000")]
    pub hosts: Vec<usize>,
    /// Pods on each host
    #[arg(long, default_value_t = 30)]
    pub pods: usize,
    /// Containers in each pod
    #[arg(long, default_value_t = 2)]
    pub containers: usize,
    /// Distance between ticks
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub resolution: Duration,
    /// Rounds over which CPU time and bytes are measured
    #[arg(long, default_value_t = 4)]
    pub rounds: u32,
    /// Rounds over which the time from tick to model is measured, after the others
    #[arg(long, default_value_t = 3)]
    pub latency_rounds: u32,
    /// Fill the model with the 60 ticks that it holds by default before measuring; with a finer
    /// resolution it takes less time, and holds as much
    #[arg(long)]
    pub fill_model: bool,
    /// Sinks of the master beside the model
    #[arg(long = "sink", value_name = "SPEC")]
    pub sinks: Vec<String>,
    /// Write the report into this file, between its `bench` markers
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

impl Options {
    /// How long the model keeps samples, where it is told.
    fn retention(&self) -> Option<Duration> {
        self.fill_model.then(|| self.resolution * DEFAULT_TICKS)
    }

    fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let folder = match &self.bin_dir {
            Some(folder) => folder.clone(),
            None => own.parent().map(PathBuf::from).unwrap_or_default(),
        };
        let path = folder.join(name);
        anyhow::ensure!(
            path.is_file(),
            "{} is not there: build it (cargo build --release --workspace) or say --bin-dir",
            path.display()
        );
        Ok(path)
    }
}

/// Runs the bench for every size.
///
/// # Errors
/// When a program cannot be started, stops early, or nothing comes of it in time.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut runs = Vec::new();
    for hosts in &options.hosts {
        runs.push(run::run(options, *hosts).await.with_context(|| format!("with {hosts} hosts"))?);
    }
    Ok(Report { machine: machine::facts(), options: options.clone(), runs })
}
