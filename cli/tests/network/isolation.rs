//! Five databases, of which one hangs: the other four have every row all the same.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heapster_testkit::peer::{FakeHttp, FakeReply};

use crate::{
    master_away::more_rounds,
    support::{Lab, Master, SOON, eventually, rounds},
};

/// A sink is given up for a write after this long, which no round lasts.
const TIMEOUT: &str = "timeout=100s";

/// Lines of `memory/usage` of nodes, pods and containers: one for each row that was polled.
fn rows(database: &FakeHttp) -> usize {
    let writes = database.requests();
    let bodies = writes.iter().filter(|request| request.target.starts_with("/write"));
    bodies
        .map(|request| {
            let lines = std::str::from_utf8(&request.body).expect("plain lines").lines();
            let is_row = |line: &&str| {
                line.starts_with("memory/usage,")
                    && ["type=node", "type=pod,", "type=pod ", "type=pod_container"]
                        .iter()
                        .any(|level| line.contains(level))
            };
            lines.filter(is_row).count()
        })
        .sum()
}

/// Counted, not timed: while a required sink hangs at its first write, each of the others is written
/// every row once, those that are required and those that are not alike, and loses and gives back
/// nothing. The one that hangs has the rows in its own queue.
#[tokio::test(flavor = "multi_thread")]
async fn four_sinks_have_every_row_while_the_fifth_hangs() {
    let answers = |request: &heapster_testkit::peer::FakeRequest| {
        if request.target.starts_with("/write") {
            FakeReply::status(204)
        } else {
            FakeReply::body(200, r#"{"results":[{}]}"#)
        }
    };
    let mut four = Vec::new();
    for _ in 0..4 {
        four.push(FakeHttp::start(answers).await.unwrap());
    }
    let hung = FakeHttp::start(|_: &_| FakeReply::Hang).await.unwrap();
    let mut arguments = Vec::new();
    for (number, database) in four.iter().enumerate() {
        let options = format!("db=k8s&gzip=false&flush_interval=50ms&required={}", number < 2);
        arguments.push(format!("--sink=influxdb:{}?{options}", database.url()));
    }
    arguments.push(format!("--sink=influxdb:{}?db=k8s&required=true&{TIMEOUT}", hung.url()));
    let master = Master::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let lab = Lab::start(2, 3, 2).await;
    let mut buddy = lab.buddy(&master, "lab", &["--host-timeout", "900ms"]);
    more_rounds(&buddy, 5);
    // It waits in vain for the acknowledgements of what the fifth has not written.
    buddy.terminate(Duration::from_secs(60)).unwrap();
    let polled: usize = rounds(&buddy.output()).iter().map(|round| round.rows).sum();
    let deadline = Instant::now() + SOON;
    while four.iter().any(|database| rows(database) < polled) {
        let had: Vec<usize> = four.iter().map(rows).collect();
        assert!(Instant::now() < deadline, "{had:?} of {polled}\n{}", master.process.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(four.iter().map(rows).collect::<Vec<_>>(), [polled; 4], "each row once");

    let settled = || {
        let sinks = master.api().get("/api/v1/sinks");
        let counts: BTreeMap<String, [u64; 4]> = sinks
            .as_array()
            .unwrap()
            .iter()
            .filter(|sink| sink["kind"] == "influxdb")
            .map(|sink| {
                let count = |what: &str| sink[what].as_u64().unwrap();
                let counts = [count("accepted") - count("delivered"), count("dropped")];
                let name = sink["name"].as_str().unwrap().to_owned();
                (name, [counts[0], counts[1], count("given_back"), count("delivered")])
            })
            .collect();
        let of = |database: &FakeHttp| counts[&format!("influxdb:{}", database.url())];
        let first = of(&four[0])[3];
        let all = four.iter().all(|database| of(database) == [0, 0, 0, first]);
        let held = of(&hung);
        (all && first > 0 && held[3] == 0 && held[0] == first && held[2] == 0).then_some(())
    };
    eventually(settled, || master.api().ask("/api/v1/sinks").body);
}
