//! The torture oracle: real programs between simulated hosts and real databases, while faults happen to
//! all of them under a seed; afterwards every row is asked for.
//!
//! ```text
//! hosts ◀─polls─ buddy ──proxy──▶ master ──proxy──▶ InfluxDB
//!   │ what they answered   │ its rounds  └──proxy──▶ VictoriaMetrics
//!   └──────────▶ oracle ◀──┘                              │
//!                  ▲───────────── what is there ──────────┘
//! ```
//!
//! Hosts know what they answered and when; a buddy's log says which rounds it completed. A row of a
//! completed round *must* be in both databases with its value, whatever happened since, except where
//! the buddy's own state was destroyed before it could have been delivered: what that costs depends
//! on the spool, and is a parameter ([`SpoolKind`]). Any other row *may* be there. What no host ever
//! answered must not be.

mod database;
mod disk;
mod fault;
mod lab;
mod memory;
mod oracle;
mod plan;
mod program;
mod proxy;
mod report;
mod run;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use heapster_shared::units::{ByteSize, parse_duration};

pub use report::Report;
pub use run::run;

/// Tortures Heapster's programs, and looks whether anything was lost.
#[derive(Clone, Debug, Parser)]
#[command(name = "heapster-torture", version)]
pub struct Options {
    /// Where the faults begin; the same seed gives the same faults in the same order. A random one
    /// without it
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many faults happen
    #[arg(long, default_value_t = 60)]
    pub faults: usize,
    /// What the buddies' spool is, which decides what the kill of a buddy may cost
    #[arg(long, value_enum, default_value = "memory")]
    pub spool: SpoolKind,
    /// Folder of the programs; by default the one that this program is in. `heapster-master` and
    /// `heapster-buddy` are used, or `heapster` for both
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Distance between ticks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub resolution: Duration,
    /// Clusters, each with a buddy
    #[arg(long, default_value_t = 2)]
    pub clusters: usize,
    /// Hosts of each cluster
    #[arg(long, default_value_t = 2)]
    pub hosts: usize,
    /// Memory that the master may never pass
    #[arg(long, value_name = "SIZE", default_value = "160MiB")]
    pub master_ceiling: ByteSize,
    /// Memory that a buddy may never pass
    #[arg(long, value_name = "SIZE", default_value = "96MiB")]
    pub buddy_ceiling: ByteSize,
    /// After the last fault everything must be delivered within this time
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = parse_duration)]
    pub patience: Duration,
    /// Write the report into this file, between its markers `torture-memory` or `torture-disk`
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Keep the programs' logs in this folder
    #[arg(long, value_name = "DIR")]
    pub keep_logs: Option<PathBuf>,
}

/// Where a buddy's rows wait for their acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SpoolKind {
    /// In memory, on disk from an orderly stop to the next start: a killed buddy loses what was not
    /// delivered.
    Memory,
    /// On disk as they are polled: a killed buddy loses nothing that was written, and what is broken
    /// on disk costs no more than was not delivered.
    Disk,
}

impl SpoolKind {
    /// The word by which it is chosen.
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

impl Options {
    /// A program, and the arguments with which it is the master or a buddy.
    fn program(&self, role: &str) -> anyhow::Result<(PathBuf, Vec<String>)> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let own = own.parent().map(PathBuf::from).unwrap_or_default();
        let folder = self.bin_dir.clone().unwrap_or(own);
        let slim = folder.join(format!("heapster-{role}"));
        if slim.is_file() {
            return Ok((slim, Vec::new()));
        }
        let whole = folder.join("heapster");
        anyhow::ensure!(
            whole.is_file(),
            "neither {} nor {} is there: build them, or say --bin-dir",
            slim.display(),
            whole.display()
        );
        Ok((whole, vec![role.to_owned()]))
    }
}
