//! One run: a cluster of one size, a master and a buddy.

use anyhow::{Context, ensure};
use heapster_shared::schema::table;

use super::{
    DEFAULT_TICKS, Options,
    api::{Cluster, Point},
    check::{self, Verdict},
    kubernetes::List,
    latency::Latencies,
    metadata,
    size::Size,
    stage::{Reading, Stage},
};
use crate::sim::{SimConfig, Truth};

/// Hosts whose rates are compared with the truth.
const CHECKED_HOSTS: usize = 20;

/// What one run found.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) size: Size,
    /// Rounds between the two readings.
    pub(super) rounds: u32,
    pub(super) before: Reading,
    pub(super) after: Reading,
    /// Cores that were busy in the busiest second between them.
    pub(super) busiest_second: f64,
    pub(super) latencies: Latencies,
    /// Rounds that came to their end with all their rows, of those that passed since the first
    /// reading.
    pub(super) complete_rounds: (usize, usize),
    /// After the last round.
    pub(super) last: Cluster,
    pub(super) verdict: Verdict,
    /// What only a Kubernetes cluster has.
    pub(super) kubernetes: Option<KubernetesFindings>,
}

/// What was found at the API server.
#[derive(Clone, Debug)]
pub(super) struct KubernetesFindings {
    /// The list of all nodes at the metrics API.
    pub(super) nodes: List,
    /// The list of all pods there.
    pub(super) pods: List,
    /// How many of each there should be.
    pub(super) expected: (usize, usize),
    /// What is missing of a pod's metadata.
    pub(super) metadata_fault: Option<String>,
}

/// Starts everybody, measures, stops everybody.
pub(super) async fn run(options: &Options, size: Size) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir().context("cannot make a folder for logs")?;
    let mut stage = Stage::start(options, size, folder.path()).await?;
    let filled = if options.fill_model { DEFAULT_TICKS } else { 2 };
    stage.wait_for_rounds(size.living(), filled).await?;
    let (before, after, busiest_second) = measure(options, &mut stage).await?;
    let mut latencies = Latencies::default();
    for _ in 0..options.latency_rounds {
        stage.watch_round(size.hosts, &mut latencies).await?;
    }
    let truth = Truth::new(sim_config(options, size), 0);
    Ok(Run {
        size,
        rounds: options.rounds,
        busiest_second,
        latencies,
        complete_rounds: complete_rounds(&stage, before.cluster.tick_unix_ms).await?,
        last: stage.cluster().await?,
        verdict: check::rates(&stage.api, &truth, size.living(), CHECKED_HOSTS).await,
        kubernetes: ask_kubernetes(options, size, &mut stage).await?,
        before,
        after,
    })
}

/// Reads, leaves everybody alone, reads again; each time just before a tick, when the round of the
/// tick before is over.
async fn measure(options: &Options, stage: &mut Stage) -> anyhow::Result<(Reading, Reading, f64)> {
    let first_ms = stage.next_tick_ms() + stage.resolution_ms() * 19 / 20;
    stage.leave_alone_until(first_ms).await?;
    let before = stage.read().await?;
    stage.busiest_second();
    stage.leave_alone_until(first_ms + stage.resolution_ms() * i64::from(options.rounds)).await?;
    let busiest_second = stage.busiest_second();
    let after = stage.read().await?;
    let elapsed_ms = after.cluster.tick_unix_ms - before.cluster.tick_unix_ms;
    let rounds = elapsed_ms / stage.resolution_ms();
    ensure!(
        rounds == i64::from(options.rounds),
        "{rounds} rounds came to their end in the time of {}: the machine is too slow for these \
         figures, or busy with something else",
        options.rounds
    );
    Ok((before, after, busiest_second))
}

fn sim_config(options: &Options, size: Size) -> SimConfig {
    SimConfig {
        hosts: size.hosts,
        pods_per_host: options.pods,
        containers_per_pod: options.containers,
        sandboxes: options.kubernetes,
        ..SimConfig::default()
    }
}

/// Ticks since one of which there is a sum over the cluster, and ticks since then.
async fn complete_rounds(stage: &Stage, since_ms: i64) -> anyhow::Result<(usize, usize)> {
    let sums = stage.api.series("", table::CPU_USAGE_RATE).await?.metrics;
    let times = || sums.iter().filter_map(Point::time_ms).filter(|time_ms| *time_ms >= since_ms);
    let newest_ms = times().max().unwrap_or(since_ms);
    let passed = (newest_ms - since_ms) / stage.resolution_ms() + 1;
    Ok((times().count(), usize::try_from(passed)?))
}

/// Asks for what takes the API server and the buddy some work, at a quiet time.
async fn ask_kubernetes(
    options: &Options,
    size: Size,
    stage: &mut Stage,
) -> anyhow::Result<Option<KubernetesFindings>> {
    let quiet_ms = stage.next_tick_ms() + stage.resolution_ms() / 2;
    let Some(kubernetes) = stage.kubernetes.clone() else { return Ok(None) };
    stage.leave_alone_until(quiet_ms).await?;
    Ok(Some(KubernetesFindings {
        nodes: kubernetes.list("nodes").await?,
        pods: kubernetes.list("pods").await?,
        expected: (size.living(), size.living() * options.pods),
        metadata_fault: metadata::fault(&stage.api).await?,
    }))
}
