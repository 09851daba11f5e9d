//! Polls of the real machine, the truth about a process from `/proc`, and a control group that is
//! removed again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use heapster_buddy::source::{self, PlainReading, Source, Subject};
use heapster_shared::{
    entity::Labels,
    host::Host,
    row::Cell,
    schema::{Field, MetricId},
};

/// How long a process is watched. CPU time of processes counts in ticks of 10 ms, so 1 % of 2 s.
const WINDOW: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// Says why a test cannot run here; where CI promises that it can, that is a failure.
pub(crate) fn cannot(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
    eprintln!("not run: {reason}");
}

/// This machine, through the source.
pub(crate) struct Machine {
    pub(crate) source: Box<dyn Source>,
    host: Host,
    runtime: tokio::runtime::Runtime,
}

impl Machine {
    pub(crate) fn new(options: &str) -> Self {
        let source = source::build(format!("cgroup:{options}").parse().unwrap()).unwrap();
        let host = source.own_host().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { source, host, runtime }
    }

    fn poll(&self) -> Vec<PlainReading> {
        self.runtime.block_on(self.source.poll(&self.host)).unwrap().to_plain()
    }

    /// The reading of the group of this name.
    pub(crate) fn find(&self, wanted: &str) -> Option<PlainReading> {
        let is_it = |reading: &PlainReading| matches!(&reading.subject, Subject::SysContainer { name, .. } if name == wanted);
        self.poll().into_iter().find(is_it)
    }

    /// The reading of the machine as a whole, which comes first.
    pub(crate) fn node(&self) -> PlainReading {
        let first = self.poll().swap_remove(0);
        assert!(matches!(first.subject, Subject::Node { .. }));
        first
    }
}

fn cell(reading: &PlainReading, metric: MetricId) -> Cell {
    let wanted = Field::plain(metric.def());
    let found = reading.values.iter().find(|(field, _)| *field == wanted);
    found.unwrap_or_else(|| panic!("no {} in {reading:?}", metric.def().name)).1
}

/// An integer of a reading.
pub(crate) fn counter(reading: &PlainReading, metric: MetricId) -> i64 {
    cell(reading, metric).as_int().unwrap()
}

/// A double of a reading.
pub(crate) fn real(reading: &PlainReading, metric: MetricId) -> f64 {
    cell(reading, metric).as_real().unwrap()
}

/// The labels of a reading.
pub(crate) fn labels(reading: &PlainReading) -> &Labels {
    match &reading.subject {
        Subject::SysContainer { labels, .. } | Subject::Node { labels } => labels,
        other => panic!("a cgroup is no {other:?}"),
    }
}

/// A group and its process, watched for a while.
pub(crate) struct Window {
    pub(crate) name: String,
    pub(crate) last: PlainReading,
    measured_cores: f64,
    true_cores: f64,
}

/// Windows that are looked at while a busy machine gives the load too little to measure.
const MOST_WINDOWS: usize = 6;
/// CPU of a load, in cores, below which the kernel's hundredths of a second say little.
const MEASURABLE_CORES: f64 = 0.3;

/// Polls twice and asks the kernel for the process's own CPU time as near to each poll as possible;
/// again, when the load had hardly any.
pub(crate) fn measure(machine: &Machine, name: &str, pid: u32) -> Window {
    let mut windows = (0..MOST_WINDOWS).map(|_| measure_once(machine, name, pid));
    let measurable = |window: &Window| window.true_cores >= MEASURABLE_CORES;
    windows.find(measurable).unwrap_or_else(|| measure_once(machine, name, pid))
}

fn measure_once(machine: &Machine, name: &str, pid: u32) -> Window {
    let look = || {
        let reading = machine.find(name).unwrap_or_else(|| panic!("{name} is not there"));
        (reading, process_cpu(pid), Instant::now())
    };
    let (first, first_cpu, first_at) = look();
    thread::sleep(WINDOW);
    let (last, last_cpu, last_at) = look();
    let usage = heapster_shared::schema::table::CPU_USAGE;
    let used_ns = (counter(&last, usage) - counter(&first, usage)) as f64;
    let interval_ms = (last.time_ms - first.time_ms) as f64;
    let true_cores = (last_cpu - first_cpu).as_secs_f64() / (last_at - first_at).as_secs_f64();
    let measured_cores = used_ns / (interval_ms * 1e6);
    Window { name: name.to_owned(), last, measured_cores, true_cores }
}

impl Window {
    pub(crate) fn assert_cpu_within(&self, tolerance: f64) {
        assert!(self.true_cores > 0.02, "the load got no CPU: {} cores", self.true_cores);
        assert_near("CPU rate in cores", self.measured_cores, self.true_cores, tolerance);
    }
}

/// Fails when a value is off by more than a part of the truth.
pub(crate) fn assert_near(what: &str, measured: f64, truth: f64, tolerance: f64) {
    let off = (measured - truth) / truth;
    eprintln!("{what}: measured {measured}, truth {truth}, off by {:.2} %", off * 100.0);
    assert!(off.abs() <= tolerance, "{what}: measured {measured}, truth {truth}");
}

/// CPU time of a process and of its children that have ended, from `/proc/PID/stat`.
fn process_cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = &stat[stat.rfind(')').unwrap() + 2..];
    let times = after_name.split(' ').skip(11).take(4).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(times.sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second())
}

/// Anonymous memory that a process has in RAM.
pub(crate) fn anonymous_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// CPU time of the machine, from the first line of `/proc/stat`.
pub(crate) fn machine_cpu_ns() -> i64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<i64> = stat
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else {
        panic!("{fields:?}")
    };
    let tick_ns = 1_000_000_000 / i64::try_from(rustix::param::clock_ticks_per_second()).unwrap();
    (user + nice + system + irq + softirq + steal) * tick_ns
}

/// Tries until it is so; fails after a while.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not happen in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The mount points of the controllers that are measured.
pub(crate) fn controllers() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let names = ["cpuacct", "memory", "blkio"];
    names.iter().map(|name| root.join(name)).filter(|path| path.is_dir()).collect()
}

/// The mount point of the unified tree, where there is one.
pub(crate) fn unified() -> Option<PathBuf> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    places.into_iter().find(|place| place.join("cgroup.controllers").exists())
}

/// A control group that is removed when it is dropped.
pub(crate) struct OwnGroup {
    pub(crate) name: String,
    directories: Vec<PathBuf>,
}

impl OwnGroup {
    /// Makes a group in trees that are mounted here.
    pub(crate) fn create(suffix: &str, trees: Vec<PathBuf>) -> io::Result<Self> {
        let name = format!("heapster-test-{}-{suffix}", std::process::id());
        let mut group = Self { name: name.clone(), directories: Vec::new() };
        for controller in trees {
            let directory = controller.join(&name);
            fs::create_dir(&directory)?;
            group.directories.push(directory);
        }
        if group.directories.is_empty() {
            return Err(io::Error::other("nothing of that kind below /sys/fs/cgroup"));
        }
        Ok(group)
    }

    /// Moves a process in.
    pub(crate) fn enter(&self, pid: u32) {
        for directory in &self.directories {
            fs::write(directory.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            remove_group(directory);
        }
    }
}

/// Removes a group, which the kernel refuses for a moment after its last process has ended.
pub(crate) fn remove_group(directory: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = fs::remove_dir(directory) {
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        if Instant::now() > deadline {
            eprintln!("cannot remove {}: {error}", directory.display());
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
