//! The first minutes of a user: the real `heapster standalone` on this machine's own kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use heapster_testkit::process::Process;
use serde_json::Value;

const HEAPSTER: &str = env!("CARGO_BIN_EXE_heapster");
const SOON: Duration = Duration::from_secs(20);

struct Standalone {
    process: Process,
    url: String,
}

impl Standalone {
    fn start(more: &[&str]) -> Self {
        let fixed = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"];
        let arguments = fixed.iter().chain(more);
        let mut process = Process::start(Path::new(HEAPSTER), arguments).unwrap();
        let line = process.line("http://127.0.0.1:", SOON).unwrap();
        let url = &line[line.find("http://").unwrap()..];
        Self { process, url: url.trim().trim_end_matches('/').to_owned() }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let answer = heapster_testkit::http::get(&format!("{}{path}", self.url)).unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body)))
    }

    /// The points of a series, once there are `count` of them, as (time, value).
    fn points(&self, path: &str, count: usize) -> Vec<(jiff::Timestamp, f64)> {
        let deadline = Instant::now() + SOON;
        loop {
            let (status, answer) = self.get(path);
            let points: Vec<_> = answer["metrics"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|point| {
                    let time = point["timestamp"].as_str().unwrap().parse().unwrap();
                    (time, point["value"].as_f64().unwrap())
                })
                .collect();
            if points.len() >= count {
                return points;
            }
            assert!(Instant::now() < deadline, "{path}: {status} {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// Jiffies that the machine's CPUs have worked, as /proc/stat counts them.
fn busy_ns() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks = fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7];
    ticks * 1e9 / rustix::param::clock_ticks_per_second() as f64
}

/// One core is kept busy; the sum of the rates over the ticks is the CPU time that the kernel
/// counted meanwhile.
#[test]
fn rates_agree_with_the_kernel() {
    let standalone = Standalone::start(&[]);
    let node = hostname();
    let path = format!("/api/v1/model/nodes/{node}/metrics/cpu/usage_rate");
    let usage = format!("/api/v1/model/nodes/{node}/metrics/cpu/usage");
    standalone.points(&path, 1);
    assert_eq!(standalone.get("/api/v1/model/nodes/").1, serde_json::json!([node]));

    let (before, began) = (busy_ns(), Instant::now());
    let first = standalone.points(&usage, 1).last().unwrap().1;
    while began.elapsed() < Duration::from_secs(6) {
        std::hint::black_box(fs::read("/proc/self/stat").unwrap());
    }
    let last = standalone.points(&usage, 1).last().unwrap().1;
    let truth = busy_ns() - before;
    // The two windows are the same but for a part of a tick at either end.
    let measured = last - first;
    assert!((measured - truth).abs() < truth * 0.25, "measured {measured} ns of {truth} ns");

    let counters = standalone.points(&usage, 5);
    let rates = standalone.points(&path, 4);
    for window in counters.windows(2) {
        let seconds = (window[1].0 - window[0].0).total(jiff::Unit::Second).unwrap();
        let expected = (window[1].1 - window[0].1) / seconds / 1e6;
        let (_, rate) = rates.iter().find(|(time, _)| *time == window[1].0).expect("a rate");
        // The interval is measured in whole milliseconds of a second.
        assert!((rate - expected).abs() <= expected * 0.005 + 1.0, "{rate} for {expected}");
    }
}

#[test]
fn it_says_what_it_found_and_prints_a_line_a_tick() {
    let mut standalone = Standalone::start(&[]);
    let (next, line) = standalone.process.line_after(0, "CPU", SOON).unwrap();
    assert!(line.contains("1 node, "), "{line}");
    standalone.process.line_after(next, "CPU", SOON).unwrap();
    let output = standalone.process.output();
    assert!(output.contains(&hostname()), "{output}");
    assert!(output.contains("--sink 'influxdb:http://127.0.0.1:8086?db=k8s'"), "{output}");
    let page = heapster_testkit::http::get(&standalone.url).unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&hostname()), "{}", page.body);
    let (status, health) = standalone.get("/healthz");
    assert_eq!((status, health), (200, Value::String("ok".into())));
}

/// An orderly end is quick and no error.
#[test]
fn it_ends_when_asked() {
    let mut standalone = Standalone::start(&[]);
    let status = standalone.process.terminate(Duration::from_secs(10)).unwrap();
    assert!(status.success(), "{status}: {}", standalone.process.output());
}

/// What a user would get wrong first: one sentence each, and an exit code.
#[test]
fn mistakes_are_told_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let any_port = ["--listen", "127.0.0.1:0"];
    let cases: [(&[&str], &str); 7] = [
        (&["--listen", &taken], "another program has the port"),
        (&["--sink", "influx:http://h"], "unknown sink `influx`; the known ones are"),
        (&["--sink", "influxdb:http://h?dbs=x"], "unknown option `dbs`"),
        (&["--source", "cadviser"], "unknown source `cadviser`"),
        (&["--discovery", "zookeeper:x"], "unknown discovery `zookeeper`"),
        (&["--resolution", "15"], "write a number with a unit"),
        (&["--config", "/nowhere.toml"], "cannot read /nowhere.toml"),
    ];
    for (arguments, expected) in cases {
        let listen: &[&str] = if arguments[0] == "--listen" { &[] } else { &any_port };
        let arguments = ["standalone"].iter().chain(listen).chain(arguments);
        let mut process = Process::start(Path::new(HEAPSTER), arguments).unwrap();
        let status = process.wait(SOON).unwrap();
        let output = process.output();
        assert!(!status.success(), "{output}");
        assert!(output.contains(expected), "wanted {expected:?} in:\n{output}");
        assert!(!output.contains("panicked"), "{output}");
    }
}

/// A file that has changed is taken over while the program watches this machine.
#[test]
fn sinks_of_the_file_are_taken_over_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heapster.toml");
    fs::write(&file, "model_retention = '10m'\n").unwrap();
    let program = Standalone::start(&["--config", file.to_str().unwrap()]);
    let log = || {
        let (_, sinks) = program.get("/api/v1/sinks");
        let mut all = sinks.as_array().unwrap().iter();
        all.find(|sink| sink["name"] == "log").map(|log| log["delivered"].as_u64().unwrap())
    };
    assert_eq!(log(), None);
    fs::write(&file, "sink = ['log']\n").unwrap();
    program.process.signal(rustix::process::Signal::HUP).unwrap();
    let deadline = Instant::now() + SOON;
    while log().unwrap_or(0) == 0 {
        assert!(Instant::now() < deadline, "{}", program.process.output());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let mut process = Process::start(Path::new(HEAPSTER), ["completions", shell]).unwrap();
        assert!(process.wait(SOON).unwrap().success());
        process.line("standalone", SOON).unwrap();
    }
}
