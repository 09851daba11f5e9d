//! The whole-program bench: the real binaries against a simulated cluster, and what they cost.
//!
//! ```text
//! heapster-sim ◀──polls── heapster-buddy ──gRPC──▶ meter ──▶ heapster-master ◀──HTTP── this
//!  API server  ◀─watches─     │ metrics API
//!       └────────────────────▶┘
//! ```
//!
//! For each size of cluster: start all, wait until every host is in the model, read the CPU time
//! and counters, leave everybody alone for some rounds, read again; then watch how long after a tick
//! its samples are where people look, and compare rates with the truth. Nobody asks the programs
//! anything while their CPU time is taken. With `--kubernetes` the hosts are the nodes of a simulated
//! cluster, asked for what their kubelets know.

mod api;
mod check;
mod kubernetes;
mod latency;
mod machine;
mod metadata;
mod meter;
mod process;
mod programs;
mod report;
mod run;
mod size;
mod stage;
mod trust;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use heapster_shared::units::parse_duration;

pub use report::{Report, write_section};
pub use size::Portion;
use size::Size;

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
    /// Simulate a Kubernetes cluster: nodes are found by its API server and asked for the kubelet's
    /// summary, metadata is joined, and the metrics API is served
    #[arg(long)]
    pub kubernetes: bool,
    /// Run the first size once more with so many hosts that do not answer: a number or a share such
    /// as 10%; half of them are silent, the others refuse connections
    #[arg(long, value_name = "HOSTS")]
    pub dead: Option<Portion>,
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
    /// Write the report into this file, between its markers `bench` or, with `--kubernetes`,
    /// `bench-kubernetes`
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

impl Options {
    /// How long the model keeps samples, where it is told.
    fn retention(&self) -> Option<Duration> {
        self.fill_model.then(|| self.resolution * DEFAULT_TICKS)
    }

    /// The sizes, in the order of their runs.
    fn sizes(&self) -> anyhow::Result<Vec<Size>> {
        let mut sizes: Vec<_> =
            self.hosts.iter().map(|hosts| Size { hosts: *hosts, dead: 0 }).collect();
        if let (Some(dead), Some(first)) = (self.dead, self.hosts.first()) {
            sizes.insert(1, dead.dead_of(*first)?);
        }
        Ok(sizes)
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

/// Facts about this machine, without which figures say little, in a sentence.
#[must_use]
pub fn machine() -> String {
    machine::facts()
}

/// Runs the bench for every size.
///
/// # Errors
/// When a program cannot be started, stops early, or nothing comes of it in time.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut runs = Vec::new();
    for size in options.sizes()? {
        runs.push(run::run(options, size).await.with_context(|| format!("with {size}"))?);
    }
    Ok(Report { machine: machine::facts(), options: options.clone(), runs })
}
