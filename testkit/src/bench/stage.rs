//! The stage of a run: its programs, and the moments at which they are read.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use heapster_shared::tick::unix_ms;
use tokio::time::sleep;

use super::{
    Options,
    api::{Api, Cluster, SimState},
    kubernetes::Kubernetes,
    latency::{self, Latencies},
    machine::{LoadMeter, MachineTime},
    process::Usage,
    programs::Programs,
    size::Size,
};

/// How long the first rows may take to come, beside the rounds themselves.
const PATIENCE: Duration = Duration::from_secs(60);
/// What each host adds to that: at first all want a connection, and kubelets their certificates.
const PATIENCE_FOR_HOST: Duration = Duration::from_millis(20);

/// All that is read at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) master: Usage,
    pub(super) buddy: Usage,
    pub(super) sim: Usage,
    /// This program itself.
    pub(super) bench: Usage,
    pub(super) machine: MachineTime,
    pub(super) sim_state: SimState,
    /// Requests to the API server; 0 without one.
    pub(super) api_requests: u64,
    pub(super) cluster: Cluster,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
}

/// The programs and the ways to ask them.
pub(super) struct Stage {
    programs: Programs,
    /// The master.
    pub(super) api: Api,
    /// The API server, where there is one.
    pub(super) kubernetes: Option<Kubernetes>,
    sim_api: Api,
    resolution: Duration,
    load: LoadMeter,
}

impl Stage {
    /// Starts all programs; their logs and files are in the folder.
    pub(super) async fn start(
        options: &Options,
        size: Size,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let programs = Programs::start(options, size, folder).await?;
        Ok(Self {
            api: Api::new(programs.http)?,
            kubernetes: programs.kubeconfig.as_deref().map(Kubernetes::open).transpose()?,
            sim_api: Api::new(programs.first_host)?,
            programs,
            resolution: options.resolution,
            load: LoadMeter::start(),
        })
    }

    pub(super) fn resolution_ms(&self) -> i64 {
        i64::try_from(self.resolution.as_millis()).unwrap_or(i64::MAX)
    }

    /// The tick after this moment.
    pub(super) fn next_tick_ms(&self) -> i64 {
        (unix_ms() / self.resolution_ms() + 1) * self.resolution_ms()
    }

    /// The cluster under measurement.
    pub(super) async fn cluster(&self) -> anyhow::Result<Cluster> {
        self.api.cluster().await?.context("the master knows no cluster any more")
    }

    /// Waits until so many hosts answered and so many rounds are over.
    pub(super) async fn wait_for_rounds(
        &mut self,
        hosts: usize,
        rounds: u32,
    ) -> anyhow::Result<()> {
        let for_hosts = PATIENCE_FOR_HOST * u32::try_from(hosts)?;
        let deadline = Instant::now() + PATIENCE + for_hosts + self.resolution * (rounds + 2);
        let mut first_tick_ms = None;
        loop {
            self.programs.check_alive()?;
            // Until it is up the master answers nothing, and then for a while an empty list.
            let cluster = self.api.cluster().await.ok().flatten();
            if let Some(cluster) = cluster.filter(|cluster| cluster.tick_unix_ms > 0) {
                let first = *first_tick_ms.get_or_insert(cluster.tick_unix_ms);
                let passed_ms = cluster.tick_unix_ms - first;
                let enough = passed_ms >= self.resolution_ms() * i64::from(rounds);
                if enough && cluster.healthy_hosts() == hosts {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    let healthy = cluster.healthy_hosts();
                    let words = self.programs.last_words();
                    bail!("{healthy} hosts give rows, not {hosts}; {words}");
                }
            }
            if Instant::now() > deadline {
                bail!("no round came to its end; {}", self.programs.last_words());
            }
            sleep(self.resolution.min(Duration::from_secs(1))).await;
        }
    }

    /// Reads everything at once.
    pub(super) async fn read(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            at: Instant::now(),
            master: self.programs.master.usage()?,
            buddy: self.programs.buddy.usage()?,
            sim: self.programs.sim.usage()?,
            bench: Usage::own()?,
            machine: MachineTime::now(),
            sim_state: self.sim_api.sim_state().await?,
            api_requests: match &self.kubernetes {
                Some(kubernetes) => kubernetes.requests().await?,
                None => 0,
            },
            cluster: self.cluster().await?,
            sent_bytes: self.programs.meter.sent(),
            received_bytes: self.programs.meter.received(),
        })
    }

    /// Cores that were busy in the busiest second since this was asked last.
    pub(super) fn busiest_second(&mut self) -> f64 {
        std::mem::replace(&mut self.load, LoadMeter::start()).busiest()
    }

    /// Lets them work until a time, and asks nobody anything.
    pub(super) async fn leave_alone_until(&mut self, unix_target_ms: i64) -> anyhow::Result<()> {
        loop {
            self.programs.check_alive()?;
            self.load.sample();
            let rest = u64::try_from(unix_target_ms - unix_ms()).unwrap_or(0);
            if rest == 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(rest.min(500))).await;
        }
    }

    /// Watches the round of the next tick.
    pub(super) async fn watch_round(
        &mut self,
        hosts: usize,
        found: &mut Latencies,
    ) -> anyhow::Result<()> {
        let tick_ms = self.next_tick_ms();
        self.leave_alone_until(tick_ms - self.resolution_ms() / 20).await?;
        let patience = PATIENCE + self.resolution;
        let kubernetes = self.kubernetes.as_ref();
        let watched = latency::watch(&self.api, kubernetes, hosts, tick_ms, patience, found).await;
        self.programs.check_alive()?;
        watched.with_context(|| self.programs.last_words())
    }
}
