//! The programs of a run, with their arguments.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::time::sleep;

use super::{Options, kubernetes, meter::Meter, process::Process, size::Size};
use crate::peer::free_ports;

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where everybody listens and what is written where.
struct Places {
    sim_port: u16,
    http: SocketAddr,
    grpc: SocketAddr,
    metrics_api: SocketAddr,
    hosts_file: PathBuf,
    kubeconfig: PathBuf,
}

/// All programs, running.
pub(super) struct Programs {
    pub(super) sim: Process,
    pub(super) master: Process,
    pub(super) buddy: Process,
    pub(super) meter: Meter,
    /// The master's HTTP.
    pub(super) http: SocketAddr,
    /// The first host of the simulation, for its own page.
    pub(super) first_host: SocketAddr,
    /// How to find the API server, where there is one.
    pub(super) kubeconfig: Option<PathBuf>,
}

impl Programs {
    /// Starts all programs; their logs and files are in the folder.
    pub(super) async fn start(
        options: &Options,
        size: Size,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let places = Places::new(folder)?;
        let start = |name: &str, arguments: Vec<String>| {
            Process::start(&options.program(name)?, &arguments, folder)
        };
        let mut sim = start("heapster-sim", sim_arguments(options, size, &places))?;
        let written = if options.kubernetes { &places.kubeconfig } else { &places.hosts_file };
        wait_for_file(&mut sim, written).await?;
        let mut master = start("heapster-master", master_arguments(options, &places))?;
        wait_for_port(&mut master, places.http).await?;
        let meter = Meter::start(places.grpc).await.context("the meter cannot listen")?;
        let mut arguments = buddy_arguments(meter.address);
        arguments.extend(if options.kubernetes {
            kubernetes_arguments(&places)?
        } else {
            cadvisor_arguments(&places)
        });
        let buddy = start("heapster-buddy", arguments)?;
        Ok(Self {
            sim,
            master,
            buddy,
            meter,
            http: places.http,
            first_host: SocketAddr::from(([127, 16, 0, 1], places.sim_port)),
            kubeconfig: options.kubernetes.then_some(places.kubeconfig),
        })
    }

    /// An error if any of them has stopped.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        self.sim.check_alive()?;
        self.master.check_alive()?;
        self.buddy.check_alive()
    }

    /// What they said last.
    pub(super) fn last_words(&self) -> String {
        let (master, buddy) = (self.master.last_lines(), self.buddy.last_lines());
        format!("the master's last lines:\n{master}\nthe buddy's last lines:\n{buddy}")
    }
}

impl Places {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let [sim_port, http, grpc, metrics_api] = free_ports()?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            sim_port,
            http: local(http),
            grpc: local(grpc),
            metrics_api: local(metrics_api),
            hosts_file: folder.join("hosts.json"),
            kubeconfig: folder.join("kubeconfig"),
        })
    }
}

fn sim_arguments(options: &Options, size: Size, places: &Places) -> Vec<String> {
    let mut arguments = pairs(&[
        ("--hosts", size.hosts.to_string()),
        ("--pods", options.pods.to_string()),
        ("--containers", options.containers.to_string()),
        ("--port", places.sim_port.to_string()),
        ("--write-hosts", places.hosts_file.display().to_string()),
    ]);
    // Half of the dead are silent, the other half are not there at all.
    let silent = size.dead.div_ceil(2);
    for (count, behaviour) in [(silent, "silent"), (size.dead - silent, "refuses")] {
        arguments.extend(pairs(&[("--behave", format!("{count}={behaviour}"))]));
    }
    if options.kubernetes {
        arguments.push("--kubernetes".to_owned());
        arguments.extend(pairs(&[
            ("--kubeconfig", places.kubeconfig.display().to_string()),
            ("--metrics-api", places.metrics_api.to_string()),
        ]));
    }
    arguments
}

fn master_arguments(options: &Options, places: &Places) -> Vec<String> {
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut arguments = pairs(&[
        ("--listen", places.http.to_string()),
        ("--grpc-listen", places.grpc.to_string()),
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

fn buddy_arguments(master: SocketAddr) -> Vec<String> {
    let mut arguments =
        pairs(&[("--master", format!("http://{master}")), ("--cluster", "bench".to_owned())]);
    arguments.push("--insecure".to_owned());
    arguments
}

fn cadvisor_arguments(places: &Places) -> Vec<String> {
    pairs(&[
        ("--discovery", format!("static:{}", places.hosts_file.display())),
        ("--source", "cadvisor".to_owned()),
    ])
}

/// As in a cluster, where the service account's files are found without being named.
fn kubernetes_arguments(places: &Places) -> anyhow::Result<Vec<String>> {
    let account = kubernetes::folder(&places.kubeconfig)?;
    let file = |name| account.join(name).display().to_string();
    Ok(pairs(&[
        ("--discovery", format!("kubernetes:?kubeconfig={}", places.kubeconfig.display())),
        ("--source", format!("summary?ca={}&token_file={}", file("ca.crt"), file("token"))),
        ("--metrics-listen", places.metrics_api.to_string()),
    ]))
}

fn pairs(options: &[(&str, String)]) -> Vec<String> {
    options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]).collect()
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
