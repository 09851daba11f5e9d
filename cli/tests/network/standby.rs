//! A master that polls itself what nobody else polls; and what buddies get wrong among themselves.

use crate::support::{Lab, Master, SOON, start_buddy};

fn finder(lab: &Lab, master: &Master, cluster: &str) -> heapster_testkit::process::Process {
    let finds = ["--cluster", cluster, "--role", "discovers", "--buddy-id", "finder"];
    start_buddy(master, &[&finds[..], &["--discovery", &lab.discovery()]].concat())
}

/// Without a buddy that polls it is said which hosts wait, and what can be done.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_nobody_polls_are_named() {
    let lab = Lab::start(2, 1, 1).await;
    let master = Master::start(&[]);
    let _finder = finder(&lab, &master, "lab");
    let page = master.api().validate_says("polled by nobody");
    assert!(
        page.contains(
            "cluster lab: 2 hosts polled by nobody (sim-00000, sim-00001): no connected buddy polls"
        ),
        "{page}"
    );
    assert!(page.contains("give the master --poll"), "{page}");
}

/// With `--poll` the master polls them, of each cluster that needs it, until a buddy comes that does:
/// then that one has them, and no row is missing in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_polls_what_nobody_else_does() {
    let (east, west) = (Lab::start(2, 1, 1).await, Lab::start(1, 1, 1).await);
    let mut master = Master::start(&["--poll", "--poll-source", "cadvisor"]);
    let _finders = [finder(&east, &master, "east"), finder(&west, &master, "west")];
    let api = master.api();
    let series = |cluster: &str, node: &str| {
        format!("/api/v1/clusters/{cluster}/model/nodes/{node}/metrics/uptime")
    };
    for (cluster, node) in [("east", "sim-00000"), ("east", "sim-00001"), ("west", "sim-00000")] {
        api.points(&series(cluster, node), 2);
    }
    api.validate_says("of heapster-master,");

    let polls = ["--cluster", "east", "--role", "polls", "--buddy-id", "poller"];
    let _poller = start_buddy(&master, &polls);
    api.validate_says("cadvisor of poller,");
    let now_ms = heapster_shared::tick::unix_ms();
    let points = api.points_after(&series("east", "sim-00001"), now_ms, 2);
    assert!(points.iter().is_sorted_by_key(|(time_ms, _)| time_ms));
    let all = api.series(&series("east", "sim-00001"));
    let gaps = all.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.max().unwrap() < 2_500, "{all:?}");
    api.validate_says("cadvisor of heapster-master,");
    assert!(master.process.terminate(SOON).unwrap().success(), "{}", master.process.output());
}

/// Two instances with one id, and one host in two clusters: both are said, with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_told() {
    let lab = Lab::start(1, 1, 1).await;
    let master = Master::start(&[]);
    let mut first = lab.buddy(&master, "lab", &["--buddy-id", "twin"]);
    let api = master.api();
    api.validate_says("twin of lab");
    let mut second = lab.buddy(&master, "lab", &["--buddy-id", "twin"]);
    second.line("another instance of buddy twin is connected", SOON).unwrap();
    let page =
        api.validate_says("buddy twin of lab: another instance with this id, from 127.0.0.1:");
    assert!(page.contains("--buddy-id"), "{page}");
    assert!(first.line("round complete", SOON).is_ok());

    let _wrong = lab.buddy(&master, "other", &["--buddy-id", "wrong"]);
    api.validate_says(
        "is in the clusters lab, other, and each polls it: take it out of all but one",
    );
}
