//! Programs under test and what is asked of them.

use std::{path::PathBuf, time::Duration};

use heapster_testkit::{
    http::{self, Answer},
    peer::free_ports,
    process::Process,
    sim::{SimCluster, SimConfig},
};
use rustix::process::Signal;
use serde_json::Value;

/// Names a folder whose `heapster` is run in place of the one that was built for the tests, such as
/// `target/dist`.
const PROGRAMS: &str = "HEAPSTER_TEST_PROGRAMS";
pub(crate) use heapster_testkit::process::{SOON, eventually};

/// The program under test.
pub(crate) fn program() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_heapster"));
    std::env::var_os(PROGRAMS).map_or_else(built, |folder| PathBuf::from(folder).join("heapster"))
}

/// Starts `heapster` with these arguments.
pub(crate) fn heapster(arguments: &[&str]) -> Process {
    Process::start(&program(), arguments).unwrap()
}

/// A master, and where it is, the same over restarts.
pub(crate) struct Master {
    pub(crate) process: Process,
    arguments: Vec<String>,
    http: u16,
    grpc: u16,
}

impl Master {
    /// Starts `heapster master` at one tick a second, and waits until it serves.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::start_at("1s", more)
    }

    /// The same at another resolution.
    pub(crate) fn start_at(resolution: &str, more: &[&str]) -> Self {
        let [http, grpc] = free_ports().unwrap();
        let (listen, grpc_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
        let fixed = ["master", "--insecure", "--resolution", resolution];
        let addresses = ["--listen", &listen, "--grpc-listen", &grpc_listen];
        let arguments = fixed.iter().chain(&addresses).chain(more);
        let arguments: Vec<String> = arguments.map(|argument| (*argument).to_owned()).collect();
        let process = Process::start(&program(), &arguments).unwrap();
        let mut master = Self { process, arguments, http, grpc };
        master.wait_until_ready();
        master
    }

    fn wait_until_ready(&mut self) {
        self.process.line("waiting for buddies", SOON).unwrap();
        let api = self.api();
        let ready = || (api.ask("/readyz").status == 200).then_some(());
        eventually(ready, || self.process.output());
    }

    /// Starts it again, after it was killed or stopped, at the same addresses.
    pub(crate) fn start_again(&mut self) {
        self.process = Process::start(&program(), &self.arguments).unwrap();
        self.wait_until_ready();
    }

    /// Where buddies connect to, as a URL.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Where its API is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub(crate) fn api(&self) -> Api {
        Api(self.url())
    }
}

/// The API of a running master.
pub(crate) struct Api(pub(crate) String);

/// A point of a series: milliseconds since 1970, and the value.
pub(crate) type Point = (i64, f64);

impl Api {
    pub(crate) fn ask(&self, path: &str) -> Answer {
        http::get(&format!("{}{path}", self.0)).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let Answer { status, body, .. } = self.ask(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Names, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = serde_json::from_value(self.get(path)).unwrap();
        names.sort();
        names
    }

    /// The points of a series; none while the thing is not known.
    pub(crate) fn series(&self, path: &str) -> Vec<Point> {
        let answer = self.ask(path);
        if answer.status == 404 {
            return Vec::new();
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let point = |point: &Value| {
            let time: jiff::Timestamp = point["timestamp"].as_str()?.parse().ok()?;
            Some((time.as_millisecond(), point["value"].as_f64()?))
        };
        answer["metrics"].as_array().unwrap().iter().map(|one| point(one).unwrap()).collect()
    }

    /// A series, once it has so many points.
    pub(crate) fn points(&self, path: &str, count: usize) -> Vec<Point> {
        self.points_after(path, 0, count)
    }

    /// The points of a series after this time, in milliseconds since 1970, once they are so many.
    pub(crate) fn points_after(&self, path: &str, after_ms: i64, count: usize) -> Vec<Point> {
        let newer = || self.series(path).into_iter().filter(|(time_ms, _)| *time_ms > after_ms);
        eventually(
            || Some(newer().collect()).filter(|points: &Vec<Point>| points.len() >= count),
            || format!("{path} has too few points: {:?}\n{}", self.series(path), self.validate()),
        )
    }

    pub(crate) fn validate(&self) -> String {
        self.ask("/validate").body
    }

    /// `/validate`, once it says this.
    pub(crate) fn validate_says(&self, text: &str) -> String {
        eventually(
            || Some(self.validate()).filter(|page| page.contains(text)),
            || format!("wanted {text:?} in:\n{}", self.validate()),
        )
    }
}

/// The arguments of a buddy, in words, that every test has.
pub(crate) fn start_buddy(master: &Master, more: &[&str]) -> Process {
    start_buddy_at(&master.grpc_url(), more)
}

/// The same for a master at this URL.
pub(crate) fn start_buddy_at(url: &str, more: &[&str]) -> Process {
    let fixed = ["buddy", "--insecure", "--master", url];
    heapster(&fixed.iter().chain(more).copied().collect::<Vec<_>>())
}

/// A simulated cluster and the file that lists its hosts.
pub(crate) struct Lab {
    pub(crate) sim: SimCluster,
    pub(crate) hosts: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    /// Hosts that take a new sample at each request, so that each tick has a row.
    pub(crate) async fn start(hosts: usize, pods: usize, containers: usize) -> Self {
        let config = SimConfig {
            hosts,
            pods_per_host: pods,
            containers_per_pod: containers,
            housekeeping: Duration::ZERO,
            ..SimConfig::default()
        };
        let sim = SimCluster::start(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("hosts.json");
        std::fs::write(&hosts, sim.hosts_json()).unwrap();
        Self { sim, hosts, folder }
    }

    pub(crate) fn discovery(&self) -> String {
        format!("static:{}", self.hosts.display())
    }

    /// Starts a buddy for it, under a cluster's name.
    pub(crate) fn buddy(&self, master: &Master, cluster: &str, more: &[&str]) -> Process {
        let discovery = self.discovery();
        let fixed = ["--cluster", cluster, "--discovery", &discovery, "--source", "cadvisor"];
        start_buddy(master, &fixed.iter().chain(more).copied().collect::<Vec<_>>())
    }
}

/// Ends a program as a power cut would.
pub(crate) fn cut_off(process: &mut Process) {
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
}

/// What the rounds of a buddy gave so far, by its own log: of each its hosts that failed and its
/// rows.
pub(crate) fn rounds(output: &str) -> Vec<Round> {
    let number = |line: &str, key: &str| {
        let value = line.split(key).nth(1)?.split(' ').next()?;
        value.parse::<usize>().ok()
    };
    let round = |line: &str| {
        Some(Round {
            hosts: number(line, " hosts=")?,
            failed: number(line, " failed=")? + number(line, " late=")?,
            rows: number(line, " rows=")?,
        })
    };
    output.lines().filter(|line| line.contains("round complete")).filter_map(round).collect()
}

/// See [`rounds`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Round {
    pub(crate) hosts: usize,
    pub(crate) failed: usize,
    pub(crate) rows: usize,
}
