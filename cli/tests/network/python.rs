//! The example buddies in Python, written from the `.proto` alone, against the real master.

use std::{
    fs,
    path::{Path, PathBuf},
};

use heapster_testkit::{
    peer::{PeerError, Python},
    process::Process,
    real_peer,
};
use serde_json::{Value, json};

use crate::support::{Api, Master, SOON, cut_off, eventually};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/buddies/python")
}

async fn python() -> Result<Python, PeerError> {
    Python::with_stubs(&examples().join("generate")).await
}

/// Starts an example for the cluster `lab` of a master.
fn start(python: &Python, script: &str, master: &Master, more: &[&str]) -> Process {
    let mut command = python.command();
    command.arg(examples().join(script)).args(["--master", &master.grpc_url()]).args(more);
    Process::start_with(&mut command).unwrap()
}

/// The cluster `lab`, once it is as wanted.
fn lab(api: &Api, buddy: &Process, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = || {
        let clusters = api.get("/api/v1/clusters");
        let lab = clusters.as_array()?.iter().find(|one| one["name"] == "lab")?.clone();
        wanted(&lab).then_some(lab)
    };
    eventually(find, || format!("{}\n{}", api.ask("/api/v1/clusters").body, buddy.output()))
}

fn host_names(lab: &Value) -> Vec<&str> {
    let hosts = lab["hosts"].as_array().unwrap().iter();
    hosts.map(|host| host["host"]["name"].as_str().unwrap()).collect()
}

/// Writes a file so that a reader finds either the old one or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// What is promised to authors: this much suffices.
#[test]
fn discovering_takes_under_a_hundred_lines() {
    let text = fs::read_to_string(examples().join("discover.py")).unwrap();
    let lines = text.lines().count();
    assert!(lines < 100, "{lines} lines");
}

/// The hosts of the file are the master's hosts, with all that the file says of them; a change
/// follows, a file that cannot be read leaves the last good list and is told, and a master that was
/// cut off and started again has the list again.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_the_file_are_the_masters() {
    let python = real_peer!(python());
    let mut master = Master::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts.json");
    let hosts = json!([
        {"name": "web-1", "addresses": ["10.0.0.1", "web-1.lab"], "labels": {"rack": "a"},
         "endpoints": [{"kind": "cadvisor", "port": 4194}]},
        {"id": "m-2", "name": "web-2", "ready": false, "state": "in repair"},
    ]);
    replace(&file, &hosts.to_string());
    let arguments = ["--cluster", "lab", file.to_str().unwrap()];
    let mut buddy = start(&python, "discover.py", &master, &arguments);
    let found = lab(&master.api(), &buddy, |lab| host_names(lab).len() == 2);
    let [first, second] = [&found["hosts"][0]["host"], &found["hosts"][1]["host"]];
    assert_eq!(first["id"], "web-1");
    assert_eq!(first["addresses"], json!(["10.0.0.1", "web-1.lab"]));
    assert_eq!(first["labels"], json!({"rack": "a"}));
    assert_eq!(first["endpoints"][0]["port"], 4194);
    assert_eq!(first["ready"], true);
    assert_eq!(
        (&second["id"], &second["ready"], &second["state"]),
        (&json!("m-2"), &json!(false), &json!("in repair"))
    );

    replace(&file, r#"[{"name": "web-3"}]"#);
    lab(&master.api(), &buddy, |lab| host_names(lab) == ["web-3"]);
    replace(&file, "[{");
    let broken = lab(&master.api(), &buddy, |lab| lab["discoveries"][0]["ok"] == false);
    assert_eq!(host_names(&broken), ["web-3"], "the last good list stands");
    let error = broken["discoveries"][0]["error"].as_str().unwrap();
    assert!(error.contains("JSONDecodeError"), "{error}");

    replace(&file, r#"[{"name": "web-4"}]"#);
    lab(&master.api(), &buddy, |lab| host_names(lab) == ["web-4"]);
    cut_off(&mut master.process);
    master.start_again();
    lab(&master.api(), &buddy, |lab| host_names(lab) == ["web-4"] && lab["buddies"] == 1);
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
    lab(&master.api(), &buddy, |lab| lab["buddies"] == 0);
}

/// Hosts from standard input, and a refusal: it is printed, and ends the buddy where it is final.
#[tokio::test(flavor = "multi_thread")]
async fn standard_input_and_refusals_are_heard() {
    let python = real_peer!(python());
    let master = Master::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts.json");
    fs::write(&file, r#"[{"name": "piped"}]"#).unwrap();
    let mut refused = start(&python, "discover.py", &master, &["--cluster", "a b", "hosts.json"]);
    let status = refused.wait(SOON).unwrap();
    assert_eq!(status.code(), Some(1), "{}", refused.output());
    assert!(refused.output().contains("is no name of a cluster"), "{}", refused.output());

    let mut inner = python.command();
    inner.arg(examples().join("discover.py")).args(["--master", &master.grpc_url()]);
    inner.args(["--cluster", "lab", "-"]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", r#"file=$1; shift; exec "$@" < "$file""#, "sh"]).arg(&file);
    shell.arg(inner.get_program()).args(inner.get_args()).env_clear();
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let buddy = Process::start_with(&mut shell).unwrap();
    lab(&master.api(), &buddy, |lab| host_names(lab) == ["piped"]);
}

/// A `/proc` of known values: two cores, 4 GiB of which 1 GiB is free and 1 GiB inactive cache.
fn write_proc(folder: &Path, busy_ticks: u64) {
    let stat = format!(
        "cpu  {busy_ticks} 0 0 700 300 0 0 0 50 0\ncpu0 0 0\ncpu1 0 0\nctxt 1\nbtime 1700000000\n"
    );
    let meminfo = "MemTotal: 4194304 kB\nMemFree: 1048576 kB\nInactive(file): 1048576 kB\nHugePages_Free: 0\n";
    replace(&folder.join("stat"), &stat);
    replace(&folder.join("meminfo"), meminfo);
    replace(&folder.join("loadavg"), "0.25 0.5 0.75 1/2 3\n");
}

const NODE: &str = "/api/v1/model/nodes/py/metrics";

/// The rows of the buddy have its measurements, each value as it was read, and rates that follow
/// from its counter; its host is one that is polled.
#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_with_their_values() {
    let python = real_peer!(python());
    let master = Master::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    write_proc(folder.path(), 1000);
    let proc = folder.path().to_str().unwrap();
    let arguments = ["--cluster", "lab", "--name", "py", "--proc", proc];
    let mut buddy = start(&python, "rows.py", &master, &arguments);
    let api = master.api();
    let newest = |metric: &str| api.points(&format!("{NODE}/{metric}"), 2).last().unwrap().1;
    assert_eq!(newest("cpu/usage"), 10e9, "1000 ticks of a hundredth of a second");
    assert_eq!(newest("cpu/node_capacity"), 2000.0);
    assert_eq!(newest("memory/node_capacity"), 4_294_967_296.0);
    assert_eq!(newest("memory/usage"), 3_221_225_472.0);
    assert_eq!(newest("memory/working_set"), 2_147_483_648.0);
    assert_eq!(newest("custom/load/1m"), 0.25);
    let (at_ms, uptime_ms) = *api.points(&format!("{NODE}/uptime"), 1).last().unwrap();
    assert_eq!(uptime_ms, at_ms as f64 - 1_700_000_000_000.0, "since btime");
    assert_eq!(newest("cpu/usage_rate"), 0.0, "the counter stands still");

    write_proc(folder.path(), 1100);
    let risen = || {
        let rates = api.series(&format!("{NODE}/cpu/usage_rate"));
        rates.windows(2).find(|pair| pair[1].1 > 0.0).map(|pair| (pair[0].0, pair[1]))
    };
    let (before_ms, (at_ms, rate)) =
        eventually(risen, || format!("{}\n{}", api.validate(), buddy.output()));
    let wanted = 1e6 / (at_ms - before_ms) as f64;
    assert!((rate - wanted).abs() <= 1.0, "a second of CPU between two samples: {rate}, {wanted}");
    assert_eq!(newest("cpu/usage"), 11e9);

    let lab = lab(&api, &buddy, |lab| lab["hosts"][0]["state"]["ok"] == true);
    assert_eq!(lab["hosts"][0]["state"]["source"], "proc");
    assert_eq!(lab["rejected_rows"], 0);
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
}

/// A master that was away has the rows of all ticks in the end, those included that it missed, and
/// each once.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_outage_follow() {
    let python = real_peer!(python());
    let mut master = Master::start(&[]);
    let arguments = ["--cluster", "lab", "--name", "py"];
    let mut buddy = start(&python, "rows.py", &master, &arguments);
    let uptime = format!("{NODE}/uptime");
    let cut_ms = master.api().points(&uptime, 2).last().unwrap().0;
    cut_off(&mut master.process);
    buddy.line("rows: ", SOON).unwrap();
    // The outage lasts for some ticks, by the clock that ticks go by.
    let now_ms = || jiff::Timestamp::now().as_millisecond();
    eventually(|| (now_ms() > cut_ms + 5500).then_some(()), || buddy.output());
    let back_ms = now_ms();
    master.start_again();
    let api = master.api();
    // A machine that is busy may miss a tick, but not two of a second each.
    let whole = || {
        let times: Vec<i64> = api.series(&uptime).into_iter().map(|point| point.0).collect();
        let (first, last) = (*times.first()?, *times.last()?);
        let no_gap = times.windows(2).all(|pair| (1..2500).contains(&(pair[1] - pair[0])));
        (no_gap && first < cut_ms + 2500 && last > back_ms).then_some(())
    };
    let seen = || format!("cut at {cut_ms}, back at {back_ms}: {:?}", api.series(&uptime));
    eventually(whole, || format!("{}\n{}", seen(), buddy.output()));
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
}

/// The examples' own tests: credit, RETRY and what follows from it, against a played master.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_own_tests_pass() {
    let python = real_peer!(python());
    let mut command = python.command();
    command.args(["-m", "unittest", "-v", "test_ingest"]).current_dir(examples());
    let mut tests = Process::start_with(&mut command).unwrap();
    let status = tests.wait(SOON).unwrap();
    assert!(status.success(), "{}", tests.output());
}
