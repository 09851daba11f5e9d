//! Everything that runs in a run.

use std::{net::SocketAddr, ops::Range, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use rand::{SeedableRng, rngs::StdRng};
use tokio::task::block_in_place;

use super::{
    Options, SpoolKind,
    database::{self, Point},
    disk::Disk,
    memory::Watch,
    oracle::{self, Oracle, Witness},
    program::{Program, SOON},
    proxy::Proxy,
};
use crate::{
    peer::{Influxdb, VictoriaMetrics, free_ports},
    sim::{SimCluster, SimConfig},
};

/// Pods of each host, and containers of each pod.
const PODS: usize = 2;
const CONTAINERS: usize = 2;

/// A buddy, its cluster, its disk and its way to the master.
pub(super) struct Buddy {
    pub(super) program: Program,
    pub(super) sim: Arc<SimCluster>,
    pub(super) disk: Disk,
    pub(super) way: Proxy,
    /// Rows that were polled in these times, in milliseconds since 1970, may be lost.
    pub(super) lost_ms: Vec<Range<i64>>,
    /// Up to here all that it must deliver was seen in both databases, and must stay there.
    settled_ms: i64,
    /// When its disk was full.
    pub(super) full_ms: Option<Range<i64>>,
}

/// Everything.
pub(super) struct Lab {
    pub(super) spool: SpoolKind,
    pub(super) resolution: Duration,
    pub(super) master: Program,
    pub(super) buddies: Vec<Buddy>,
    pub(super) influxdb: Influxdb,
    pub(super) influxdb_way: Proxy,
    pub(super) victoria: VictoriaMetrics,
    pub(super) victoria_way: Proxy,
    pub(super) memory: Watch,
    pub(super) random: StdRng,
    /// What happened that a reader should know.
    pub(super) notes: Vec<String>,
    /// The longest that an orderly stop took.
    pub(super) longest_stop: Duration,
    http: SocketAddr,
    _folder: tempfile::TempDir,
}

/// What both databases have.
pub(super) struct Stored {
    pub(super) influxdb: Vec<Point>,
    pub(super) victoria: Vec<Point>,
}

impl Lab {
    /// Starts everything.
    pub(super) async fn start(options: &Options, seed: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (influxdb, victoria) = tokio::try_join!(Influxdb::start(), VictoriaMetrics::start())?;
        let influxdb_way = Proxy::start(address_of(&influxdb.url())?).await?;
        let victoria_way = Proxy::start(address_of(&victoria.url())?).await?;
        let [http, grpc] = free_ports()?.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
        let sinks = [
            format!("influxdb:http://{}?db=k8s", influxdb_way.address),
            format!("influxdb:http://{}?org=o&bucket=b&token=t", victoria_way.address),
        ];
        let memory = Watch::start();
        let master = start_master_program(options, http, grpc, &sinks)?;
        memory.follow(&master.name, master.id());
        let mut buddies = Vec::new();
        for number in 0..options.clusters {
            buddies.push(Buddy::start(options, seed, number, grpc, folder.path()).await?);
            let program = &buddies[number].program;
            memory.follow(&program.name, program.id());
        }
        let mut lab = Self {
            spool: options.spool,
            resolution: options.resolution,
            master,
            buddies,
            influxdb,
            influxdb_way,
            victoria,
            victoria_way,
            memory,
            random: StdRng::seed_from_u64(seed ^ 1),
            notes: Vec::new(),
            longest_stop: Duration::ZERO,
            http,
            _folder: folder,
        };
        lab.wait_for_master().await?;
        Ok(lab)
    }

    /// Why the disks of spools cannot be filled, if they cannot.
    pub(super) fn no_own_disk(&self) -> Option<&str> {
        self.buddies.iter().find_map(|buddy| buddy.disk.no_own_disk.as_deref())
    }

    pub(super) async fn start_master(&mut self) -> anyhow::Result<()> {
        self.master.start_again()?;
        self.memory.follow(&self.master.name, self.master.id());
        self.wait_for_master().await
    }

    async fn wait_for_master(&mut self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        while tokio::net::TcpStream::connect(self.http).await.is_err() {
            block_in_place(|| self.master.check_alive())?;
            let late = tokio::time::Instant::now() > deadline;
            anyhow::ensure!(!late, "the master does not listen; {}", self.master.last_words());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub(super) fn stop_master(&mut self) -> anyhow::Result<()> {
        let took = block_in_place(|| self.master.terminate())?;
        self.longest_stop = self.longest_stop.max(took);
        Ok(())
    }

    pub(super) fn start_buddy(&mut self, buddy: usize) -> anyhow::Result<()> {
        let program = &mut self.buddies[buddy].program;
        program.start_again()?;
        self.memory.follow(&program.name, program.id());
        Ok(())
    }

    pub(super) fn stop_buddy(&mut self, buddy: usize) -> anyhow::Result<()> {
        let took = block_in_place(|| self.buddies[buddy].program.terminate())?;
        self.longest_stop = self.longest_stop.max(took);
        Ok(())
    }

    /// An error where a program that should run has ended.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        block_in_place(|| {
            self.master.check_alive()?;
            self.buddies.iter_mut().try_for_each(|buddy| buddy.program.check_alive())
        })
    }

    /// What is in the databases; an error while one of them does not answer.
    pub(super) async fn stored(&self) -> anyhow::Result<Stored> {
        Ok(Stored {
            influxdb: database::influxdb(&self.influxdb).await?,
            victoria: database::victoria_metrics(&self.victoria).await?,
        })
    }

    /// Looks up to when all that each buddy must deliver is in both databases, where they can be asked.
    pub(super) async fn settle(&mut self) {
        let asked = tokio::time::timeout(Duration::from_secs(3), self.stored()).await;
        let Ok(Ok(stored)) = asked else { return };
        let oracle = self.oracle();
        for (number, buddy) in self.buddies.iter_mut().enumerate() {
            buddy.settled_ms = buddy.settled_ms.max(oracle.settled_ms(number, &stored));
        }
    }

    /// The time up to which all that a buddy must deliver was seen in both databases.
    pub(super) async fn settled_ms(&mut self, buddy: usize) -> i64 {
        self.settle().await;
        self.buddies[buddy].settled_ms
    }

    /// What must be in the databases, by what hosts and buddies say up to now.
    pub(super) fn oracle(&self) -> Oracle {
        let witness = |buddy: &Buddy| Witness {
            sim: Arc::clone(&buddy.sim),
            lives: buddy.program.lives(),
            lost_ms: buddy.lost_ms.clone(),
        };
        Oracle::of(self.buddies.iter().map(witness).collect())
    }

    /// The last words of every program.
    pub(super) fn last_words(&self) -> String {
        let programs = self.buddies.iter().map(|buddy| &buddy.program).chain([&self.master]);
        programs.map(Program::last_words).collect::<Vec<_>>().join("\n")
    }

    /// Writes what the programs said in all their lives.
    pub(super) fn keep_logs(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        for program in self.buddies.iter().map(|buddy| &buddy.program).chain([&self.master]) {
            let lives = program.lives().into_iter().map(|life| {
                let (began, ended) = (life.began_ms, life.ended_ms.unwrap_or_default());
                format!("=== {began} to {ended}: {:?}\n{}\n", life.end, life.output)
            });
            std::fs::write(folder.join(&program.name), lives.collect::<String>())?;
        }
        Ok(())
    }
}

impl Buddy {
    async fn start(
        options: &Options,
        seed: u64,
        number: usize,
        grpc: SocketAddr,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let config = SimConfig {
            hosts: options.hosts,
            pods_per_host: PODS,
            containers_per_pod: CONTAINERS,
            // A new sample at each request, so that each tick has a row.
            housekeeping: Duration::ZERO,
            seed: seed.wrapping_add(number as u64),
            ..SimConfig::default()
        };
        let sim = Arc::new(SimCluster::start(config).await?);
        sim.log_polls();
        let name = oracle::cluster_name(number);
        let hosts = folder.join(format!("hosts-{name}.json"));
        std::fs::write(&hosts, sim.hosts_json())?;
        let way = Proxy::start(grpc).await?;
        let disk = Disk::new(folder, &name)?;
        let resolution = format!("{}ms", options.resolution.as_millis());
        let timeout = format!("{}ms", options.resolution.as_millis() * 9 / 10);
        let (path, mut arguments) = options.program("buddy")?;
        arguments.extend(words(&[
            ("--master", &format!("http://{}", way.address)),
            ("--cluster", &name),
            ("--buddy-id", &name),
            ("--discovery", &format!("static:{}", hosts.display())),
            ("--source", "cadvisor"),
            ("--resolution", &resolution),
            ("--host-timeout", &timeout),
            ("--spool", &disk.spool().display().to_string()),
        ]));
        arguments.push("--insecure".to_owned());
        let program = Program::start(&format!("buddy-{name}"), path, arguments)?;
        Ok(Self { program, sim, disk, way, lost_ms: Vec::new(), settled_ms: 0, full_ms: None })
    }
}

fn start_master_program(
    options: &Options,
    http: SocketAddr,
    grpc: SocketAddr,
    sinks: &[String],
) -> anyhow::Result<Program> {
    let (path, mut arguments) = options.program("master")?;
    arguments.extend(words(&[
        ("--listen", &http.to_string()),
        ("--grpc-listen", &grpc.to_string()),
        ("--resolution", &format!("{}ms", options.resolution.as_millis())),
    ]));
    for sink in sinks {
        let quick = "required=true&flush_interval=100ms&retry_first=100ms&retry_longest=1s";
        arguments.extend(words(&[("--sink", &format!("{sink}&{quick}"))]));
    }
    arguments.push("--insecure".to_owned());
    Program::start("master", path, arguments)
}

fn words(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    let address = url.strip_prefix("http://").context("no URL of a peer")?;
    address.parse().with_context(|| format!("{url} has no address"))
}
