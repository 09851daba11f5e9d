//! Two databases that are both required, of which one is away for longer than its queue lasts.

use std::time::{Duration, Instant};

use heapster_testkit::{peer::Influxdb, process::Process, real_peer};
use serde_json::Value;

use crate::{
    master_away::{more_rounds, sink, total},
    support::{Lab, Master, rounds},
};

/// Buddies come back with what was put off after up to a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// The state of the sink whose name has this in it.
fn state(master: &Master, name: &str) -> Value {
    let sinks = master.api().get("/api/v1/sinks");
    let found = sinks.as_array().unwrap().iter();
    found.clone().find(|sink| sink["name"].as_str().unwrap().contains(name)).unwrap().clone()
}

fn count(state: &Value, what: &str) -> u64 {
    state[what].as_u64().unwrap_or_else(|| panic!("no {what} in {state}"))
}

fn polled(buddy: &Process) -> usize {
    rounds(&buddy.output()).iter().map(|round| round.rows).sum()
}

/// Waits until it is so.
async fn until(what: &str, master: &Master, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        let said = || format!("{}\n{}", master.api().validate(), master.process.output());
        assert!(Instant::now() < deadline, "never: {what}\n{}", said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The one that works has fresh rows all the time, and has no row twice; nor has the model. The one
/// that was away has every row in the end, from the buddy's log, and each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_away_is_fed_again_alone() {
    let steady = real_peer!(Influxdb::start());
    let mut away = real_peer!(Influxdb::start());
    let small = format!("{}&queue_bytes=64KiB", sink(&away));
    let master = Master::start(&["--sink", &sink(&steady), "--sink", &small]);
    let lab = Lab::start(2, 4, 2).await;
    let mut buddy = lab.buddy(&master, "lab", &["--host-timeout", "900ms"]);
    until("rows arrive", &master, async || total(&away, "memory/usage").await > 0).await;

    away.kill().unwrap();
    let name = away.url();
    until("its queue is full", &master, async || count(&state(&master, &name), "given_back") > 0)
        .await;
    let before = polled(&buddy);
    more_rounds(&buddy, 5);
    until("fresh rows arrive", &master, async || total(&steady, "memory/usage").await > before)
        .await;
    assert_eq!(count(&state(&master, "model"), "rejected"), 0, "the model has each row once");

    away.start().await.unwrap();
    assert!(buddy.terminate(PATIENCE).unwrap().success(), "{}", buddy.output());
    let rows = polled(&buddy);
    until("it has all rows", &master, async || total(&away, "memory/usage").await == rows).await;
    assert_eq!(total(&steady, "memory/usage").await, rows);

    // Samples, of sums too: each was written once by each.
    until("all is written", &master, async || {
        let [steady, away] = [steady.url(), name.clone()].map(|name| state(&master, &name));
        count(&steady, "queue_bytes") + count(&away, "queue_bytes") == 0
            && count(&steady, "delivered") == count(&away, "delivered")
    })
    .await;
    let (steady, model) = (state(&master, &steady.url()), state(&master, "model"));
    assert_eq!(count(&steady, "accepted"), count(&steady, "delivered"), "{steady}");
    assert_eq!(count(&steady, "accepted"), count(&model, "accepted"), "{model}");
    assert_eq!((count(&model, "rejected"), count(&steady, "dropped")), (0, 0), "{model}");
}
