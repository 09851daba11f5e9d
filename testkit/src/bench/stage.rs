//! The programs of a run, and the moments at which they are read.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use heapster_shared::tick::unix_ms;
use tokio::time::sleep;

use super::{
    Options,
    api::{Api, Cluster, SimState},
    meter::Meter,
    process::{Process, Usage},
};

/// How long programs may take to start and the first rows to come, beside the rounds themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that is read at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) master: Usage,
    pub(super) buddy: Usage,
    pub(super) sim: Usage,
    pub(super) sim_state: SimState,
    pub(super) cluster: Cluster,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
}

/// The programs and the ways to ask them.
pub(super) struct Stage {
    sim: Process,
    master: Process,
    buddy: Process,
    meter: Meter,
    /// The master.
    pub(super) api: Api,
    sim_api: Api,
    resolution: Duration,
}

impl Stage {
    /// Starts all programs; their logs and files are in the folder.
    pub(super) async fn start(
        options: &Options,
        hosts: usize,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let [sim_port, http_port, grpc_port] = free_ports()?;
        let hosts_file = folder.join("hosts.json");
        let sim_arguments = sim_arguments(options, hosts, sim_port, &hosts_file);
        let mut sim = Process::start(&options.program("heapster-sim")?, &sim_arguments, folder)?;
        wait_for_file(&mut sim, &hosts_file).await?;

        let http = SocketAddr::from(([127, 0, 0, 1], http_port));
        let grpc = SocketAddr::from(([127, 0, 0, 1], grpc_port));
        let master_arguments = master_arguments(options, http, grpc);
        let program = options.program("heapster-master")?;
        let mut master = Process::start(&program, &master_arguments, folder)?;
        wait_for_port(&mut master, http).await?;

        let meter = Meter::start(grpc).await.context("the meter cannot listen")?;
        let buddy_arguments = buddy_arguments(meter.address, &hosts_file);
        let buddy = Process::start(&options.program("heapster-buddy")?, &buddy_arguments, folder)?;
        let first_host = SocketAddr::from(([127, 16, 0, 1], sim_port));
        let (api, sim_api) = (Api::new(http)?, Api::new(first_host)?);
        Ok(Self { sim, master, buddy, meter, api, sim_api, resolution: options.resolution })
    }

    pub(super) fn resolution_ms(&self) -> i64 {
        i64::try_from(self.resolution.as_millis()).unwrap_or(i64::MAX)
    }

    /// The tick after this moment.
    pub(super) fn next_tick_ms(&self) -> i64 {
        (unix_ms() / self.resolution_ms() + 1) * self.resolution_ms()
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        self.sim.check_alive()?;
        self.master.check_alive()?;
        self.buddy.check_alive()
    }

    /// The cluster under measurement.
    pub(super) async fn cluster(&self) -> anyhow::Result<Cluster> {
        self.api.cluster().await?.context("the master knows no cluster any more")
    }

    /// Waits until every host answered and so many rounds are over.
    pub(super) async fn wait_for_rounds(
        &mut self,
        hosts: usize,
        rounds: u32,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE + self.resolution * (rounds + 2);
        let mut first_tick_ms = None;
        loop {
            self.check_alive()?;
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
                    bail!("only {healthy} of {hosts} hosts give rows; {}", self.last_words());
                }
            }
            if Instant::now() > deadline {
                bail!("no round came to its end; {}", self.last_words());
            }
            sleep(self.resolution.min(Duration::from_secs(1))).await;
        }
    }

    fn last_words(&self) -> String {
        let (master, buddy) = (self.master.last_lines(), self.buddy.last_lines());
        format!("the master's last lines:\n{master}\nthe buddy's last lines:\n{buddy}")
    }

    /// Reads everything at once.
    pub(super) async fn read(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            at: Instant::now(),
            master: self.master.usage()?,
            buddy: self.buddy.usage()?,
            sim: self.sim.usage()?,
            sim_state: self.sim_api.sim_state().await?,
            cluster: self.cluster().await?,
            sent_bytes: self.meter.sent(),
            received_bytes: self.meter.received(),
        })
    }

    /// Lets them work until a time, and asks nobody anything.
    pub(super) async fn leave_alone_until(&mut self, unix_target_ms: i64) -> anyhow::Result<()> {
        loop {
            self.check_alive()?;
            let rest = u64::try_from(unix_target_ms - unix_ms()).unwrap_or(0);
            if rest == 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(rest.min(500))).await;
        }
    }

    /// Waits until a tick's round is over.
    async fn wait_for_tick(&mut self, tick_ms: i64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE + self.resolution;
        // Each answer lists every host: asked too often the question would be what is measured.
        let pause = Duration::from_millis(50).max(self.resolution / 150);
        while self.cluster().await?.tick_unix_ms < tick_ms {
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!("a round does not come to its end; {}", self.last_words());
            }
            sleep(pause).await;
        }
        Ok(())
    }

    /// The time from the next tick to the end of its round.
    pub(super) async fn tick_to_model(&mut self) -> anyhow::Result<Duration> {
        let tick_ms = self.next_tick_ms();
        self.leave_alone_until(tick_ms).await?;
        self.wait_for_tick(tick_ms).await?;
        Ok(Duration::from_millis(u64::try_from(unix_ms() - tick_ms).unwrap_or(0)))
    }
}

fn sim_arguments(options: &Options, hosts: usize, port: u16, hosts_file: &Path) -> Vec<String> {
    pairs(&[
        ("--hosts", hosts.to_string()),
        ("--pods", options.pods.to_string()),
        ("--containers", options.containers.to_string()),
        ("--port", port.to_string()),
        ("--write-hosts", hosts_file.display().to_string()),
    ])
}

fn master_arguments(options: &Options, http: SocketAddr, grpc: SocketAddr) -> Vec<String> {
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut arguments = pairs(&[
        ("--listen", http.to_string()),
        ("--grpc-listen", grpc.to_string()),
        ("--resolution", milliseconds(options.resolution)),
    ]);
    arguments.push("--insecure".to_owned());
    if let Some(retention) = options.retention() {
        arguments.extend(pairs(&[("--model-retention", milliseconds(retention))]));
    }
    for sink in &options.sinks {
        arguments.extend(pairs(&[("--sink", sink.clone())]));
    }
    arguments
}

fn buddy_arguments(master: SocketAddr, hosts_file: &Path) -> Vec<String> {
    let mut arguments = pairs(&[
        ("--master", format!("http://{master}")),
        ("--cluster", "bench".to_owned()),
        ("--discovery", format!("static:{}", hosts_file.display())),
        ("--source", "cadvisor".to_owned()),
    ]);
    arguments.push("--insecure".to_owned());
    arguments
}

fn pairs(options: &[(&str, String)]) -> Vec<String> {
    options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]).collect()
}

/// Ports that were free a moment ago, all different.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let bind = || TcpListener::bind("127.0.0.1:0").context("no port is free");
    let listeners = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

async fn wait_for_file(of: &mut Process, path: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        of.check_alive()?;
        if Instant::now() > deadline {
            bail!("{} was never written; {}", path.display(), of.last_lines());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn wait_for_port(of: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        of.check_alive()?;
        if Instant::now() > deadline {
            bail!("nobody listens on {address}; {}", of.last_lines());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
