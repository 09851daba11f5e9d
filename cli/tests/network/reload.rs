//! Sinks that come, change and go while rows flow.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use heapster_testkit::{
    http::Request,
    peer::{FakeHttp, FakeReply, Influxdb},
    process::Process,
    real_peer,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    master_away::{more_rounds, sink, total},
    support::{Lab, Master, SOON, eventually, rounds},
};

/// Longer than any test: who waited for a sink to drain would not be done in time.
const LONG_DRAIN: &str = "300s";

/// A configuration file that the test writes anew.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn new(sinks: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { path: folder.path().join("heapster.toml"), _folder: folder };
        file.set(sinks, "");
        file
    }

    fn set(&self, sinks: &[&str], more: &str) {
        std::fs::write(&self.path, format!("{more}\nsink = {sinks:?}\n")).unwrap();
    }

    fn option(&self) -> [&str; 2] {
        ["--config", self.path.to_str().unwrap()]
    }
}

/// A database that takes all, or that hangs at the first write.
async fn database(hangs: bool) -> FakeHttp {
    let answer = move |request: &heapster_testkit::peer::FakeRequest| {
        if !request.target.starts_with("/write") {
            return FakeReply::body(200, r#"{"results":[{}]}"#);
        }
        if hangs { FakeReply::Hang } else { FakeReply::status(204) }
    };
    FakeHttp::start(answer).await.unwrap()
}

fn spec(database: &FakeHttp, options: &str) -> String {
    format!("influxdb:{}?flush_interval=50ms&{options}", database.url())
}

fn writes(database: &FakeHttp, name: &str) -> usize {
    let all = database.requests();
    all.iter()
        .filter(|request| request.target.starts_with("/write") && request.target.contains(name))
        .count()
}

/// Waits for so many more writes of this database.
fn more_writes(database: &FakeHttp, name: &str, master: &Master) {
    let wanted = writes(database, name) + 2;
    let enough = || (writes(database, name) >= wanted).then_some(());
    eventually(enough, || format!("{name}\n{}", master.process.output()));
}

/// The sinks by name.
fn sinks(master: &Master) -> Vec<(String, Value)> {
    let all = master.api().get("/api/v1/sinks");
    let named = all.as_array().unwrap().iter();
    named.map(|sink| (sink["name"].as_str().unwrap().to_owned(), sink.clone())).collect()
}

fn of(master: &Master, database: &FakeHttp) -> Value {
    let name = format!("influxdb:{}", database.url());
    let sinks = sinks(master);
    sinks.into_iter().find(|(found, _)| *found == name).expect("a sink of this name").1
}

fn reload(master: &Master) -> (u16, Value) {
    let headers = vec!["content-length: 0".to_owned()];
    let post = Request { method: "POST".to_owned(), headers, ..Request::default() };
    let answer = post.send(&format!("{}/api/v1/reload", master.url())).unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

/// The whole story of a file: a sink is added, one changes, one that hangs and holds the
/// acknowledgements of all is removed. What nobody named in the file is left alone, a file that is
/// broken changes nothing, and what cannot be changed so is said.
#[tokio::test(flavor = "multi_thread")]
async fn sinks_come_change_and_go_while_rows_flow() {
    let (steady, hung, third) =
        (database(false).await, database(true).await, database(false).await);
    let steady_spec = spec(&steady, "db=k8s&required=true");
    let hung_spec = spec(&hung, "db=k8s&required=true&timeout=200s");
    let file = File::new(&[&steady_spec, &hung_spec]);
    let mut master = Master::start(&[&file.option()[..], &["--drain-time", LONG_DRAIN]].concat());
    let lab = Lab::start(1, 2, 1).await;
    let mut buddy = lab.buddy(&master, "lab", &[]);
    more_writes(&steady, "db=k8s", &master);
    let holds = || (of(&master, &hung)["queue_bytes"].as_u64() > Some(0)).then_some(());
    eventually(holds, || master.process.output());
    let before = of(&master, &steady);

    let third_spec = spec(&third, "db=one&user=u&password=hunter2");
    file.set(&[&third_spec, &hung_spec, &steady_spec], "");
    master.process.signal(Signal::HUP).unwrap();
    master.process.line("the configuration was read again", SOON).unwrap();
    more_writes(&third, "db=one", &master);

    std::fs::write(&file.path, "sink = [\"log\"\npassword = \"hunter2\n").unwrap();
    master.process.signal(Signal::HUP).unwrap();
    master.process.line("the configuration cannot be taken over", SOON).unwrap();
    let (status, answer) = reload(&master);
    let error = answer["error"].as_str().unwrap();
    assert_eq!(status, 400, "{answer}");
    assert!(error.contains("nothing was changed: ") && error.contains("heapster.toml"), "{error}");
    file.set(&["log", "influxdb:http://h:1?nonsense=1"], "");
    let (status, answer) = reload(&master);
    assert_eq!(status, 400);
    assert!(answer.to_string().contains("unknown option `nonsense`"), "{answer}");
    more_writes(&third, "db=one", &master);

    let other = spec(&third, "db=two&user=u&password=hunter2");
    file.set(&[&steady_spec, &other], "model_retention = '5m'");
    let (status, answer) = reload(&master);
    let name = |database: &FakeHttp| format!("influxdb:{}", database.url());
    assert_eq!(
        (status, &answer),
        (
            200,
            &json!({
                "added": [], "changed": [name(&third)], "removed": [name(&hung)],
                "unchanged": [name(&steady)], "needs_restart": ["model_retention"], "note": "",
            })
        )
    );
    more_writes(&third, "db=two", &master);
    more_writes(&steady, "db=k8s", &master);
    let names: Vec<String> = sinks(&master).into_iter().map(|(name, _)| name).collect();
    let leaving = names.iter().filter(|name| name.contains("(leaving"));
    assert!(leaving.clone().any(|one| one.starts_with(&name(&hung))), "it has its time: {names:?}");
    let after = of(&master, &steady);
    assert!(after["accepted"].as_u64() > before["accepted"].as_u64(), "it was not started anew");
    assert_eq!(after["given_back"], 0);

    // All that it held back is acknowledged, long before it has to be done.
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
    assert!(!buddy.output().contains("not delivered"), "{}", buddy.output());
    assert!(!master.process.output().contains("hunter2"), "{}", master.process.output());
}

fn polled(buddy: &Process) -> usize {
    rounds(&buddy.output()).iter().map(|round| round.rows).sum()
}

/// A required sink is changed again and again while rows flow: the actors before it and after it
/// have every row between them, with nobody's help.
#[tokio::test(flavor = "multi_thread")]
async fn a_required_sink_that_changes_has_every_row() {
    let influxdb = real_peer!(Influxdb::start());
    let spec = |number: usize| format!("{}&batch_samples={}", sink(&influxdb), 100 + number);
    let file = File::new(&[&spec(0)]);
    let master = Master::start(&file.option());
    let lab = Lab::start(2, 3, 2).await;
    let mut buddy = lab.buddy(&master, "lab", &["--host-timeout", "900ms"]);
    for number in 1..=4 {
        more_rounds(&buddy, 1);
        file.set(&[&spec(number)], "");
        let (status, answer) = reload(&master);
        assert_eq!((status, answer["changed"].as_array().unwrap().len()), (200, 1), "{answer}");
    }
    more_rounds(&buddy, 1);
    assert!(buddy.terminate(Duration::from_secs(60)).unwrap().success(), "{}", buddy.output());
    assert!(!buddy.output().contains("not delivered"), "{}", buddy.output());
    let rows = polled(&buddy);
    let deadline = Instant::now() + SOON;
    while total(&influxdb, "memory/usage").await != rows {
        assert!(Instant::now() < deadline, "of {rows} rows some are missing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left = || (sinks(&master).len() == 2).then_some(());
    eventually(left, || format!("{:?}\n{}", sinks(&master), master.process.output()));
}

/// Sinks on the command line go before those of a file, in a reload as at the start; and without a
/// file there is nothing to read.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_before_the_file_stays() {
    let file = File::new(&["log?format=json"]);
    let master = Master::start(&[&file.option()[..], &["--sink", "log"]].concat());
    file.set(&[], "");
    let (status, answer) = reload(&master);
    assert_eq!((status, &answer["unchanged"]), (200, &json!(["log"])), "{answer}");
    assert!(answer["note"].as_str().unwrap().contains("--sink"), "{answer}");

    let without = Master::start(&[]);
    let (status, answer) = reload(&without);
    assert_eq!(status, 409);
    assert!(answer["error"].as_str().unwrap().contains("--config FILE"), "{answer}");
}
