//! Tests of the buddy as a whole.

use clap::Parser;

use super::*;
use crate::{args::UplinkArgs, spool::disk};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    uplink: UplinkArgs,
    #[command(flatten)]
    polling: PollingArgs,
}

fn build(options: &[&str]) -> Result<Buddy, String> {
    let master = ["buddy", "--insecure", "--master", "http://127.0.0.1:1"];
    let arguments = master.iter().chain(options);
    let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let uplink = cli.uplink.config()?;
    Buddy::build(cli.polling, uplink).map_err(|error| format!("{error:#}"))
}

/// What is wrong is said before anything starts, with what to do about it.
#[test]
fn wrong_options_are_refused_with_a_sentence() {
    for (options, expected) in [
        (
            &["--source", "nope"][..],
            "unknown source `nope`; the known ones are cadvisor, cgroup, kubelet-cadvisor, resource, summary",
        ),
        (&["--discovery", "nope"], "unknown discovery `nope`; the known ones are"),
        (&["--events", "nope"], "unknown observer of events `nope`; the known ones are kubernetes"),
        (&["--cluster", "a b"], "letters, digits"),
        (&["--spool-bytes", "1KiB"], "at least 1MiB"),
        (&["--host-timeout", "0"], "longer than 0"),
        (&["--resolution", "10ms"], "between 1s and 24h"),
        (&["--source", "cadvisor"], "nothing to poll"),
        (&["--spool-fsync", "sometimes"], "write always, interval, interval=DURATION or never"),
        (&["--role", "discovers"], "nothing to discover"),
        (&["--role", "discovers", "--source", "cadvisor"], "leave out --source"),
        (&["--role", "polls", "--discovery", "static:?hosts=a=10.0.0.1"], "leave out --discovery"),
        (&["--role", "polls", "--source", "cgroup"], "sources without a location"),
    ] {
        let error = build(options).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{options:?}: {error}");
    }
}

/// With nothing given this machine is polled, with a discovery its hosts are: by their kubelets where
/// they are nodes of Kubernetes, else by cAdvisor.
#[test]
fn sources_follow_from_what_is_given() {
    let alone = build(&[]).unwrap();
    assert_eq!(alone.own_hosts().len(), 1);
    assert!(alone.summary().contains("with cgroup"), "{}", alone.summary());
    assert_eq!(alone.cluster(), "default");
    assert!(alone.own_hosts()[0].local, "no other buddy can poll this machine");
    let finds = ["--discovery", "static:?hosts=a=10.0.0.1"];
    let finder = build(&[&["--role", "discovers"], &finds[..]].concat()).unwrap();
    assert_eq!(finder.summary(), "watching the hosts of static for others to poll");
    let polls = build(&["--role", "polls"]).unwrap();
    assert_eq!(polls.summary(), "watching the hosts that the master gives with cadvisor");
    let found = build(&["--discovery", "static:?hosts=a=10.0.0.1"]).unwrap();
    assert_eq!(found.summary(), "watching the hosts of static with cadvisor");
    let kubernetes = ["--discovery", "kubernetes:http://127.0.0.1:1"];
    let nodes = build(&kubernetes).unwrap();
    assert!(nodes.summary().ends_with("with summary"), "{}", nodes.summary());
    let both = build(&[&kubernetes[..], &["--discovery", "static:?hosts=a=10.0.0.1"]].concat());
    let both = both.unwrap().summary();
    assert!(both.ends_with("with cadvisor, then summary"), "{both}");
    let observing = build(&["--discovery", "static:?hosts=a=10.0.0.1", "--events", "kubernetes"]);
    let summary = observing.unwrap().summary();
    assert_eq!(summary, "watching the hosts of static with cadvisor, the events of kubernetes");
    let named = build(&["--source", "cadvisor:http://10.0.0.1:8080"]).unwrap();
    assert_eq!(named.survey(), "watching 10.0.0.1 with cadvisor");
}

/// A buddy that never reaches its master stops all the same, and keeps its rows on disk.
#[tokio::test]
async fn an_unreachable_master_does_not_hold_up_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().to_str().unwrap();
    let buddy = build(&["--resolution", "1s", "--spool", spool]).unwrap();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(buddy.run(cancel.clone()));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
    let files = std::fs::read_dir(directory.path()).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let segments: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    assert_eq!(segments.len(), 1, "failed attempts to connect begin no segments");
    assert!(disk::scan(&segments[0]).unwrap().records >= 2);
}

/// The disk does not decide whether there is a buddy: a spool that cannot be had is said, and the
/// rows are in memory.
#[tokio::test]
async fn a_spool_that_cannot_be_had_does_not_hold_up_a_start() {
    let buddy = build(&["--resolution", "1s", "--spool", "/proc/none"]).unwrap();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(buddy.run(cancel.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!running.is_finished());
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
}
