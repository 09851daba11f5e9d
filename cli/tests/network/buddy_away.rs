//! A buddy that is cut off or stopped, and comes back.

use std::{collections::BTreeSet, fs, path::Path};

use heapster_shared::schema::table;
use heapster_testkit::sim::{Thing, pod_name};
use serde_json::Value;

use crate::support::{Lab, Master, SOON, cut_off, eventually, rounds};

/// The second life of a buddy knows nothing of the first. No rate appears that is made up from
/// both: each lies near the truth, before, between and after, at every level.
#[tokio::test(flavor = "multi_thread")]
async fn a_buddy_that_is_cut_off_leaves_no_wrong_rate() {
    let lab = Lab::start(2, 2, 2).await;
    let master = Master::start(&[]);
    let mut buddy = lab.buddy(&master, "lab", &[]);
    let api = master.api();
    let node = "/api/v1/model/nodes/sim-00001/metrics/cpu/usage_rate";
    let pod = format!("/api/v1/model/namespaces/default/pods/{}", pod_name(1, 0, 0));
    let container = format!("{pod}/containers/app/metrics/cpu/usage_rate");
    let cluster = "/api/v1/model/metrics/cpu/usage_rate";
    let before = api.points(node, 3).len();
    api.points(cluster, 1);

    cut_off(&mut buddy);
    api.validate_says("GONE");
    let ask = api.ask("/readyz");
    assert_eq!(ask.status, 200, "{}", ask.body);
    let _second = lab.buddy(&master, "lab", &[]);
    let rates = api.points(node, before + 3);

    let true_rate = |thing| lab.sim.true_rate(1, thing, table::CPU_USAGE_RATE).unwrap();
    let app = Thing::Container { pod: 0, container: 0 };
    let all: f64 = (0..2)
        .flat_map(|host| (0..2).map(move |pod| (host, Thing::Pod(pod))))
        .map(|(host, pod)| lab.sim.true_rate(host, pod, table::CPU_USAGE_RATE).unwrap())
        .sum();
    for (points, truth) in [
        (rates, true_rate(Thing::Node)),
        (api.points(&container, 4), true_rate(app)),
        (api.points(cluster, 3), all),
    ] {
        for (time, rate) in &points {
            let near = (rate - truth).abs() <= truth * (lab.sim.truth().wobble() + 0.005) + 1.0;
            assert!(near, "{rate} at {time}, not {truth}: {points:?}");
        }
    }
}

/// Rows that a buddy could not deliver before it was stopped are delivered after its next start,
/// where it was told a directory for them; and then they are gone from the directory.
#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_in_the_spool_while_the_buddy_is_stopped() {
    let lab = Lab::start(1, 1, 1).await;
    let (log, spool) = (lab.folder.path().join("samples.log"), lab.folder.path().join("spool"));
    let sink = format!("log:{}?format=json&required=true", log.display());
    let mut master = Master::start(&["--sink", &sink]);
    cut_off(&mut master.process);

    let options = ["--resolution", "1s", "--spool", spool.to_str().unwrap()];
    let mut first = lab.buddy(&master, "lab", &options);
    let polled = || rounds(&first.output()).iter().map(|round| round.rows).sum::<usize>();
    eventually(|| (polled() >= 9).then_some(()), || first.output());
    assert!(first.terminate(SOON).unwrap().success(), "{}", first.output());
    let rows = rounds(&first.output()).iter().map(|round| round.rows).sum::<usize>();
    first.line("what is not delivered waits in the spool", SOON).unwrap();
    let segments = || {
        let paths = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "segment")).count()
    };
    assert!(segments() > 0);

    master.start_again();
    let mut second = lab.buddy(&master, "lab", &options);
    second.line("rows from before the start wait in the spool", SOON).unwrap();
    let second_first_rows = rows + 3;
    eventually(
        || (polled_rows(&log).len() >= second_first_rows).then_some(()),
        || format!("{}\n{}", second.output(), fs::read_to_string(&log).unwrap_or_default()),
    );
    assert!(second.terminate(SOON).unwrap().success(), "{}", second.output());
    let all = rows + rounds(&second.output()).iter().map(|round| round.rows).sum::<usize>();
    let found = polled_rows(&log);
    assert_eq!(found.len(), all, "{found:?}");
    assert_eq!(segments(), 0, "delivered rows are still on disk");
}

/// The rows of nodes, pods and containers in the file of the sink `log`: a type and a time each.
fn polled_rows(log: &Path) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let samples = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_hosts = samples.filter(|sample| {
        !matches!(sample["labels"]["type"].as_str(), None | Some("ns" | "cluster"))
    });
    of_hosts
        .map(|sample| (sample["labels"]["type"].to_string(), sample["time"].to_string()))
        .collect()
}
