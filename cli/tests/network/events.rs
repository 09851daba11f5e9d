//! Events from an API server into a real InfluxDB and a file, by the real programs: each once, over
//! everything that can break on their way, and never at the cost of rows.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    peer::Influxdb,
    process::Process,
    real_peer,
};
use serde_json::{Value, json};

use crate::support::{Lab, Master, cut_off, eventually, rounds};

/// An API server, a cluster of hosts beside it, and a file that a log sink writes to.
struct Scene {
    api: ApiServer,
    lab: Lab,
}

impl Scene {
    async fn start() -> Self {
        let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
        Self { api, lab: Lab::start(1, 1, 1).await }
    }

    fn log(&self) -> PathBuf {
        self.lab.folder.path().join("sink.log")
    }

    fn log_sink(&self) -> String {
        format!("log:{}?format=json&flush_interval=50ms", self.log().display())
    }

    /// A buddy that polls the hosts and observes the events as the service account, once it does.
    fn buddy(&self, master: &Master, more: &str) -> Process {
        let kubeconfig = self.api.kubeconfig();
        let events =
            format!("kubernetes:?kubeconfig={}&context=heapster{more}", kubeconfig.display());
        let buddy = self.lab.buddy(master, "lab", &["--events", &events]);
        self.watched(1, &buddy);
        buddy
    }

    /// Waits until the events were watched so many times.
    fn watched(&self, times: usize, buddy: &Process) {
        let watches = || (self.api.requests("watch events") >= times).then_some(());
        eventually(watches, || buddy.output());
    }

    /// Makes an event, or makes it happen again.
    fn happen(&self, name: &str, kind: &str, count: u32) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = json!({
            "kind": "Event",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "pod-1"},
            "reason": "BackOff", "message": format!("it is \"{name}\""), "type": kind,
            "count": count, "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": "kubelet", "host": "node-a"},
        });
        self.api.put(event).unwrap();
    }

    /// How often each event is in the log: `NAME COUNT`.
    fn logged(&self) -> BTreeMap<String, usize> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut events = BTreeMap::new();
        for line in lines.filter(|line| line["event"].is_object()) {
            assert_eq!(line["cluster"], "lab");
            let event = &line["event"];
            let name = format!("{} {}", event["uid"].as_str().unwrap(), event["count"]);
            *events.entry(name.trim_start_matches("uid-").to_owned()).or_default() += 1;
        }
        events
    }

    /// Waits until an event is in the log.
    fn arrives(&self, name: &str, buddy: &Process) {
        let there = || self.logged().contains_key(name).then_some(());
        eventually(there, || format!("no {name:?} in {:?}\n{}", self.logged(), buddy.output()));
    }
}

/// The same from the database.
async fn in_influxdb(influxdb: &Influxdb) -> BTreeMap<String, usize> {
    let statement = "SELECT value FROM \"log/events\" WHERE namespace_name = 'shop' AND \
                     pod_name = 'web-1' AND hostname = 'node-a' AND cluster_name = 'lab'";
    let Ok(answer) = influxdb.query("k8s", statement).await else { return BTreeMap::new() };
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    let mut events = BTreeMap::new();
    for row in rows {
        let event: Value = serde_json::from_str(row[1].as_str().unwrap()).unwrap();
        let uid = event["metadata"]["uid"].as_str().unwrap().trim_start_matches("uid-");
        assert_eq!(event["message"], format!("it is \"{uid}\""));
        *events.entry(format!("{uid} {}", event["count"])).or_default() += 1;
    }
    events
}

/// Waits until the buddy has learnt that all that was sent so far is delivered.
fn acknowledged(master: &Master) {
    let delivered = || master.api().get("/api/v1/buddies")[0]["delivered_sequence"].as_u64();
    let now = delivered().unwrap();
    eventually(|| delivered().filter(|later| *later >= now + 6), || master.api().validate());
}

/// An event arrives in the log and in the database, once for each time that it is told with a higher
/// count: as it happens, after a cut of the watch, from the list that follows an outage of the API
/// server which cannot say what happened meanwhile, and when the master is killed and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_once_whatever_breaks() {
    let influxdb = real_peer!(Influxdb::start());
    let mut scene = Scene::start().await;
    let database = format!("influxdb:{}?required=true&flush_interval=50ms", influxdb.url());
    let mut master = Master::start(&["--sink", &scene.log_sink(), "--sink", &database]);
    let mut buddy = scene.buddy(&master, "");
    scene.happen("first", "Normal", 1);
    scene.arrives("first 1", &buddy);

    scene.api.cut_watches();
    scene.happen("cut", "Normal", 1);
    scene.arrives("cut 1", &buddy);

    scene.api.stop().await;
    scene.happen("down", "Warning", 1);
    scene.api.compact();
    scene.api.restart().await.unwrap();
    scene.arrives("down 1", &buddy);
    scene.happen("first", "Normal", 1); // Touched, and nothing new.
    scene.happen("first", "Normal", 4);
    scene.arrives("first 4", &buddy);

    acknowledged(&master);
    cut_off(&mut master.process);
    scene.happen("away", "Normal", 1);
    master.start_again();
    scene.arrives("away 1", &buddy);
    acknowledged(&master);

    let wanted = ["away 1", "cut 1", "down 1", "first 1", "first 4"];
    let wanted: BTreeMap<String, usize> = wanted.map(|name| (name.to_owned(), 1)).into();
    assert_eq!(scene.logged(), wanted, "{}", buddy.output());
    assert_eq!(in_influxdb(&influxdb).await, wanted);
    let page = master.api().validate_says("5 sent");
    assert!(page.contains("    events of kubernetes: ok, "), "{page}");
    assert!(page.contains(" 0 dropped, last heard"), "{page}");
    let metrics = master.api().ask("/metrics").body;
    assert!(metrics.contains("heapster_events_sent_total{cluster=\"lab\""), "{metrics}");
    assert!(buddy.terminate(crate::support::SOON).unwrap().success(), "{}", buddy.output());
}

/// One number of the buddy's observer, as the master shows it.
fn counted(master: &Master, what: &str) -> Option<u64> {
    master.api().get("/api/v1/buddies")[0]["observers"][0][what].as_u64()
}

/// Far more events than may pass cost events, and not rows: each round's rows arrive; the warnings,
/// which come last, do so too; and every event is accounted for.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_events_costs_no_rows() {
    const EVENTS: u64 = 10_000;
    let scene = Scene::start().await;
    let master = Master::start(&["--sink", &scene.log_sink()]);
    let mut buddy = scene.buddy(&master, "&per_minute=2000");
    let before = rounds(&buddy.output()).len();
    for index in 0..EVENTS {
        scene.happen(&format!("storm-{index}"), "Normal", 1);
    }
    for index in 0..20 {
        scene.happen(&format!("warning-{index}"), "Warning", 1);
    }
    let observed = || counted(&master, "observed").filter(|observed| *observed >= EVENTS + 20);
    eventually(observed, || format!("{}\n{}", master.api().validate(), buddy.output()));
    (0..20).for_each(|index| scene.arrives(&format!("warning-{index} 1"), &buddy));
    let enough = || (rounds(&buddy.output()).len() >= before + 3).then_some(());
    eventually(enough, || buddy.output());
    assert!(buddy.terminate(crate::support::SOON).unwrap().success(), "{}", buddy.output());

    let logged = scene.logged();
    assert!(logged.values().all(|times| *times == 1));
    // Three quarters of a minute's worth at once, then as many as are refilled.
    let normal = logged.keys().filter(|name| name.starts_with("storm")).count();
    assert!((1_500..6_000).contains(&normal), "{normal}");
    let polled = rounds(&buddy.output());
    let whole = polled.iter().filter(|round| round.rows > 0).count();
    let host = &scene.lab.sim.hosts()[0].name;
    let points = master.api().series(&format!("/api/v1/model/nodes/{host}/metrics/memory/usage"));
    assert_eq!(points.len(), whole, "{}", master.api().validate());
    assert!(buddy.output().contains("events are left out"), "{}", buddy.output());
    let mut sums = String::new();
    let number = |what| counted(&master, what).unwrap();
    for what in ["observed", "deduplicated", "sent", "dropped"] {
        write!(sums, "{what} {} ", number(what)).unwrap();
    }
    assert!(number("dropped") >= EVENTS - 6_000, "{sums}");
    let accounted = number("deduplicated") + number("sent") + number("dropped");
    // The last batch may still have been on its way when this was said.
    assert!(number("observed") - accounted <= 128, "{sums}");
}

/// An account that may not see events is told so, with what to do about it; rows come all the same.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_forbidden_are_a_problem_that_is_named() {
    let scene = Scene::start().await;
    let master = Master::start(&[]);
    let kubeconfig = scene.api.kubeconfig();
    let events = format!("kubernetes:?kubeconfig={}&context=anonymous", kubeconfig.display());
    let _buddy = scene.lab.buddy(&master, "lab", &["--events", &events]);
    let page = master.api().validate_says("events of kubernetes: the API server says 40");
    assert!(page.contains("events of kubernetes: FAILED"), "{page}");
    let host = &scene.lab.sim.hosts()[0].name;
    master.api().points(&format!("/api/v1/model/nodes/{host}/metrics/memory/usage"), 2);
}
