//! The spool on disk, with real programs: a buddy that is killed, two on one directory, and disks that
//! are full, cannot be written, or go away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use heapster_testkit::process::Process;
use serde_json::Value;

use crate::support::{Lab, Master, SOON, cut_off, eventually, program, rounds};

const DOWN: &str = "the spool cannot be kept on disk: rows are kept in memory until it can";
const UP: &str = "the spool is on disk again";

/// Waits until the buddy has polled so many rounds more; what was polled so far is on disk then.
fn more_rounds(buddy: &Process, count: usize) {
    let before = rounds(&buddy.output()).len();
    let enough = || (rounds(&buddy.output()).len() >= before + count).then_some(());
    eventually(enough, || buddy.output());
}

/// Of the rounds that a buddy completed, but for so many of the last: the rows.
fn rows(buddy: &Process, but: usize) -> usize {
    let rounds = rounds(&buddy.output());
    rounds[..rounds.len() - but].iter().map(|round| round.rows).sum()
}

/// What a file of the sink `log` has of a metric: of each thing that is polled the values by time.
fn samples(log: &Path, metric: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut all: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for row in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if matches!(row["labels"]["type"].as_str(), None | Some("ns" | "cluster")) {
            continue;
        }
        let samples = row["samples"].as_array().into_iter().flatten();
        for value in samples.filter(|sample| sample["metric"] == metric) {
            let (time, value) = (row["time"].to_string(), value["value"].as_f64().unwrap());
            all.entry(row["labels"].to_string()).or_default().insert(time, value);
        }
    }
    all
}

fn count(samples: &BTreeMap<String, BTreeMap<String, f64>>) -> usize {
    samples.values().map(BTreeMap::len).sum()
}

/// A buddy is killed in the middle of an outage of the master, again and again. What each of its lives
/// had written is delivered in the end, once; at most the last moment before each kill is missing.
/// Rates go on with nothing made up: of each thing all values are near the truth, and there is one
/// less than samples.
#[tokio::test(flavor = "multi_thread")]
async fn a_buddy_that_is_killed_loses_nothing_that_was_written() {
    let lab = Lab::start(2, 1, 1).await;
    let (log, spool) = (lab.folder.path().join("samples.log"), lab.folder.path().join("spool"));
    let sink = format!("log:{}?format=json&required=true", log.display());
    let mut master = Master::start(&["--sink", &sink]);
    cut_off(&mut master.process);
    let options = ["--resolution", "1s", "--spool", spool.to_str().unwrap()];
    let (mut least, mut most) = (0, 0);
    for life in 0..4 {
        let mut buddy = lab.buddy(&master, "lab", &options);
        if life > 0 {
            buddy.line("rows from before the start wait in the spool", SOON).unwrap();
        }
        more_rounds(&buddy, 3);
        if life == 3 {
            // The last one is stopped as it should be.
            assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
            least += rows(&buddy, 0);
        } else {
            cut_off(&mut buddy);
            // The last round may not have been written yet, and the next may have been.
            least += rows(&buddy, 1);
            most += 6;
        }
        most += rows(&buddy, 0);
    }
    master.start_again();
    let mut last = lab.buddy(&master, "lab", &options);
    let usage = || samples(&log, "memory/usage");
    eventually(
        || (count(&usage()) >= least + 12).then_some(()),
        || {
            format!(
                "{} of {least}: {}\n{}",
                count(&usage()),
                last.output(),
                master.api().validate()
            )
        },
    );
    assert!(last.terminate(SOON).unwrap().success(), "{}", last.output());
    most += rows(&last, 0);
    let names = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().path());
    let left = names.filter(|path| path.extension().is_some_and(|end| end == "segment"));
    assert_eq!(left.count(), 0, "delivered rows are still on disk");

    let (usage, rates) = (usage(), samples(&log, "cpu/usage_rate"));
    assert!((least..=most).contains(&count(&usage)), "{} of {least} to {most}", count(&usage));
    for (thing, times) in &usage {
        let rates = &rates[thing];
        assert!(rates.len() + 1 >= times.len(), "{thing}: {rates:?} of {times:?}");
        let mut sorted: Vec<f64> = rates.values().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let is_near = |rate: &f64| (rate - median).abs() <= median * 0.1 + 2.0;
        assert!(rates.values().all(is_near), "{thing}: {rates:?}");
    }
    let ticks: BTreeSet<&String> = usage.values().flat_map(BTreeMap::keys).collect();
    assert!(ticks.len() >= 12, "{ticks:?}");
}

/// Two buddies with one directory: the second says so and runs, with its rows in memory; when the
/// first is gone it has the directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_buddy_on_a_spool_runs_in_memory() {
    let lab = Lab::start(1, 1, 1).await;
    let spool = lab.folder.path().join("spool");
    let master = Master::start(&[]);
    let buddy = |id| {
        let options = ["--buddy-id", id, "--resolution", "1s", "--spool", spool.to_str().unwrap()];
        lab.buddy(&master, id, &options)
    };
    let mut first = buddy("one");
    more_rounds(&first, 1);
    let mut second = buddy("two");
    let line = second.line(DOWN, SOON).unwrap();
    assert!(line.contains("another buddy uses it: give each a directory of its own"), "{line}");
    more_rounds(&second, 2);
    cut_off(&mut first);
    second.line(UP, SOON).unwrap();
    assert_eq!(second.output().matches(DOWN).count(), 1, "said once: {}", second.output());
    assert!(second.terminate(SOON).unwrap().success(), "{}", second.output());
}

/// A small file system of its own, which only the buddy sees, and where the test finds it.
struct OwnDisk {
    buddy: Process,
    seen: PathBuf,
}

impl OwnDisk {
    /// A buddy whose spool is there; `None` where this machine does not let us mount.
    fn start(lab: &Lab, master: &Master, mount_options: &str) -> Option<Self> {
        let spool = lab.folder.path().join("own");
        fs::create_dir_all(&spool).unwrap();
        let can = Command::new("unshare").args(["-rm", "true"]).status();
        if !can.is_ok_and(|status| status.success()) {
            println!("skipped: this machine lets nobody mount");
            return None;
        }
        let script = format!("mount -t tmpfs -o {mount_options} none \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]).arg(&spool).arg(program());
        command.args(["buddy", "--insecure", "--master", &master.grpc_url()]);
        command.args(["--discovery", &lab.discovery(), "--source", "cadvisor"]);
        command.args(["--resolution", "1s", "--spool"]).arg(&spool);
        let buddy = Process::start_with(&mut command).unwrap();
        let seen = PathBuf::from(format!("/proc/{}/root{}", buddy.id(), spool.display()));
        Some(Self { buddy, seen })
    }
}

/// A disk that others fill: it is said once, polls go on, and when there is room again the rows follow.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let lab = Lab::start(1, 1, 1).await;
    let mut master = Master::start(&[]);
    let Some(mut own) = OwnDisk::start(&lab, &master, "size=4m") else { return };
    more_rounds(&own.buddy, 2);
    cut_off(&mut master.process);
    let filler = own.seen.join("filler");
    // As much as there is.
    let _ = fs::write(&filler, vec![0; 8 << 20]);
    let line = own.buddy.line(DOWN, SOON).unwrap();
    assert!(
        line.to_lowercase().contains("no storage space") || line.contains("No space left"),
        "{line}"
    );
    more_rounds(&own.buddy, 3);
    fs::remove_file(&filler).unwrap();
    own.buddy.line(UP, SOON).unwrap();
    master.start_again();
    let api = master.api();
    let rows = || api.series("/api/v1/model/nodes/sim-00000/metrics/uptime").len();
    let wanted = rounds(&own.buddy.output()).len();
    eventually(|| (rows() >= wanted - 2).then_some(()), || own.buddy.output());
    assert!(own.buddy.terminate(SOON).unwrap().success(), "{}", own.buddy.output());
    assert!(!own.buddy.output().contains("are lost"), "{}", own.buddy.output());
}

/// A disk that cannot be written at all: the buddy starts and delivers.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_read_only_does_not_hold_up_a_start() {
    let lab = Lab::start(1, 1, 1).await;
    let master = Master::start(&[]);
    let Some(mut own) = OwnDisk::start(&lab, &master, "ro,size=2m") else { return };
    let line = own.buddy.line(DOWN, SOON).unwrap();
    assert!(line.contains("Read-only file system"), "{line}");
    master.api().points("/api/v1/clusters/default/model/nodes/sim-00000/metrics/uptime", 2);
    assert!(own.buddy.terminate(SOON).unwrap().success(), "{}", own.buddy.output());
}

/// A directory that is removed under a running buddy is made again, and what is polled from then on is
/// kept there.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_removed_is_made_again() {
    let lab = Lab::start(1, 1, 1).await;
    let spool = lab.folder.path().join("spool");
    let mut master = Master::start(&[]);
    let options = ["--resolution", "1s", "--spool", spool.to_str().unwrap()];
    let mut buddy = lab.buddy(&master, "lab", &options);
    more_rounds(&buddy, 2);
    cut_off(&mut master.process);
    fs::remove_dir_all(&spool).unwrap();
    buddy.line("the spool's files were removed", SOON).unwrap();
    buddy.line(UP, SOON).unwrap();
    more_rounds(&buddy, 3);
    cut_off(&mut buddy);
    let mut next = lab.buddy(&master, "lab", &options);
    next.line("rows from before the start wait in the spool", SOON).unwrap();
}
