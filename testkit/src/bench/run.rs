//! One run: a cluster of one size, a master and a buddy.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::{
    DEFAULT_TICKS, Options,
    check::{self, Verdict},
    stage::{Reading, Stage},
};
use crate::sim::{SimConfig, Truth};

/// Hosts whose rates are compared with the truth.
const CHECKED_HOSTS: usize = 20;

/// What one run found.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) hosts: usize,
    /// Rounds between the two readings.
    pub(super) rounds: u32,
    pub(super) before: Reading,
    pub(super) after: Reading,
    /// From each tick to the end of its round.
    pub(super) latencies: Vec<Duration>,
    /// Hosts that answered in the last round.
    pub(super) healthy_hosts: usize,
    pub(super) verdict: Verdict,
}

/// Starts everybody, measures, stops everybody.
pub(super) async fn run(options: &Options, hosts: usize) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir().context("cannot make a folder for logs")?;
    let mut stage = Stage::start(options, hosts, folder.path()).await?;
    let filled = if options.fill_model { DEFAULT_TICKS } else { 2 };
    stage.wait_for_rounds(hosts, filled).await?;

    // Just before a tick, when the round of the tick before is over.
    let first_ms = stage.next_tick_ms() + stage.resolution_ms() * 19 / 20;
    stage.leave_alone_until(first_ms).await?;
    let before = stage.read().await?;
    stage.leave_alone_until(first_ms + stage.resolution_ms() * i64::from(options.rounds)).await?;
    let after = stage.read().await?;
    let elapsed_ms = after.cluster.tick_unix_ms - before.cluster.tick_unix_ms;
    let rounds = u32::try_from(elapsed_ms / stage.resolution_ms()).unwrap_or(0);
    ensure!(
        rounds == options.rounds,
        "{rounds} rounds came to their end in the time of {}: the machine is too slow for these \
         figures, or busy with something else",
        options.rounds
    );

    let mut latencies = Vec::new();
    for _ in 0..options.latency_rounds {
        latencies.push(stage.tick_to_model().await?);
    }
    let config = SimConfig {
        hosts,
        pods_per_host: options.pods,
        containers_per_pod: options.containers,
        ..SimConfig::default()
    };
    let verdict = check::rates(&stage.api, &Truth::new(config, 0), CHECKED_HOSTS).await;
    let healthy_hosts = stage.cluster().await?.healthy_hosts();
    Ok(Run { hosts, rounds, before, after, latencies, healthy_hosts, verdict })
}
