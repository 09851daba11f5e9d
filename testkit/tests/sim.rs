//! The simulated cluster over HTTP: its answers have the shapes of recorded ones and the values of
//! its truth, and its hosts are as bad as they are told to be.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use heapster_shared::schema::table;
use heapster_testkit::sim::{
    Addressing, Behaviour, Flavour, SimCluster, SimConfig, Thing, container_name, pod_name,
};
use reqwest::{Client, Response};
use serde_json::Value;

const STATS: &str = "/api/v2.1/stats?type=name&recursive=true&count=1";
const APP: Thing = Thing::Container { pod: 0, container: 0 };

fn small() -> SimConfig {
    SimConfig { hosts: 2, pods_per_host: 3, containers_per_pod: 2, ..SimConfig::default() }
}

fn client() -> Client {
    // Without it reqwest makes no client, TLS or not; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn url(cluster: &SimCluster, host: usize, path: &str) -> String {
    let host = &cluster.hosts()[host];
    format!("http://{}:{}{path}", host.address, host.port)
}

async fn get(cluster: &SimCluster, host: usize, path: &str) -> reqwest::Result<Response> {
    client().get(url(cluster, host, path)).timeout(Duration::from_secs(20)).send().await
}

async fn get_json(cluster: &SimCluster, host: usize, path: &str) -> Value {
    get(cluster, host, path).await.unwrap().json().await.unwrap()
}

/// The first container of the first pod in an answer of v2.1.
async fn app(cluster: &SimCluster, host: usize) -> Value {
    let answer = get_json(cluster, host, STATS).await;
    let mut containers = answer.as_object().unwrap().values();
    let is_app = |container: &&Value| {
        let labels = &container["spec"]["labels"];
        let pod = labels["io.kubernetes.pod.name"].as_str().unwrap_or_default();
        pod.starts_with("svc-00") && labels["io.kubernetes.container.name"] == container_name(0)
    };
    containers.find(is_app).unwrap().clone()
}

fn time_ms(sample: &Value) -> i64 {
    sample["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// Every path in a document with the type of what is there; the items of a list are all alike, and
/// names of containers stand for one another.
fn shape(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = if key.starts_with('/') { "*" } else { key };
                shape(member, &format!("{path}.{key}"), paths);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| shape(item, &format!("{path}[]"), paths))
        }
        Value::String(_) => drop(paths.insert(format!("{path}: string"))),
        Value::Number(_) => drop(paths.insert(format!("{path}: number"))),
        Value::Bool(_) => drop(paths.insert(format!("{path}: bool"))),
        Value::Null => drop(paths.insert(format!("{path}: null"))),
    }
}

/// A reader that was made for real answers finds all that it would find there.
#[tokio::test]
async fn answers_have_all_that_recorded_ones_have() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let post = client()
        .post(url(&cluster, 0, "/api/v1.3/subcontainers/"))
        .body(r#"{"num_stats":1}"#)
        .send();
    let subcontainers: Value = post.await.unwrap().json().await.unwrap();
    let cases = [
        (
            include_str!("../testdata/cadvisor-0.36-v2.1-stats.json"),
            get_json(&cluster, 0, STATS).await,
        ),
        (
            include_str!("../testdata/cadvisor-0.36-v2.1-machinestats.json"),
            get_json(&cluster, 0, "/api/v2.1/machinestats?count=1").await,
        ),
        (
            include_str!("../testdata/cadvisor-0.36-v2.1-machine.json"),
            get_json(&cluster, 0, "/api/v2.1/machine").await,
        ),
        (include_str!("../testdata/cadvisor-0.36-v1.3-subcontainers.json"), subcontainers),
        (
            include_str!("../testdata/kubelet-1.20-stats-summary.json"),
            get_json(
                &SimCluster::start(SimConfig { sandboxes: true, ..small() }).await.unwrap(),
                0,
                "/stats/summary",
            )
            .await,
        ),
    ];
    for (recorded, answer) in cases {
        let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
        shape(&serde_json::from_str(recorded).unwrap(), "", &mut expected);
        shape(&answer, "", &mut found);
        let missing: Vec<_> = expected
            .difference(&found)
            .filter(|path| !path.contains("topology") && !path.contains("disk_map"))
            .collect();
        assert_eq!(missing, [] as [&String; 0]);
    }
}

/// What a host says of a time is what the truth says of it, to the last digit.
#[tokio::test]
async fn answers_tell_the_truth() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let sample = app(&cluster, 1).await["stats"][0].clone();
    let truth = |metric| cluster.true_value(1, APP, metric, time_ms(&sample));
    for (metric, pointer) in [
        (table::CPU_USAGE, "/cpu/usage/total"),
        (table::MEMORY_USAGE, "/memory/usage"),
        (table::MEMORY_WORKING_SET, "/memory/working_set"),
        (table::MEMORY_RSS, "/memory/rss"),
        (table::MEMORY_CACHE, "/memory/cache"),
        (table::MEMORY_PAGE_FAULTS, "/memory/container_data/pgfault"),
        (table::DISK_IO_READ_BYTES, "/diskio/io_service_bytes/0/stats/Read"),
        (table::DISK_IO_WRITE_BYTES, "/diskio/io_service_bytes/0/stats/Write"),
        (table::FILESYSTEM_USAGE, "/filesystem/totalUsageBytes"),
    ] {
        let value = sample.pointer(pointer).and_then(Value::as_u64);
        assert!(value.is_some());
        assert_eq!(value, truth(metric), "{pointer}");
    }
    let machine = get_json(&cluster, 1, "/api/v2.1/machinestats?count=1").await[0].clone();
    let received = machine.pointer("/network/interfaces/0/rx_bytes").unwrap().as_u64();
    assert_eq!(received, cluster.true_value(1, Thing::Node, table::NETWORK_RX, time_ms(&machine)));
}

/// The three interfaces tell of the same containers.
#[tokio::test]
async fn every_interface_has_every_container() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let v2 = get_json(&cluster, 0, STATS).await;
    assert_eq!(v2.as_object().unwrap().len(), 6);
    let v1 = get_json(&cluster, 0, "/api/v1.3/subcontainers/").await;
    assert_eq!(v1.as_array().unwrap().len(), 7);
    assert_eq!(v1[0]["name"], "/");
    assert!(v1[0]["stats"].as_array().unwrap().len() == 60, "samples of a minute are kept");
    let names: BTreeSet<_> =
        v1.as_array().unwrap()[1..].iter().map(|c| c["name"].as_str()).collect();
    assert_eq!(names, v2.as_object().unwrap().keys().map(|key| Some(key.as_str())).collect());
    let summary = get_json(&cluster, 0, "/stats/summary").await;
    assert_eq!(summary["pods"].as_array().unwrap().len(), 3);
    assert_eq!(summary["node"]["nodeName"], "sim-00000");
}

#[tokio::test]
async fn small_answers_are_those_of_cadvisor() {
    let cluster = SimCluster::start(small()).await.unwrap();
    assert_eq!(get_json(&cluster, 0, "/api/v2.1/version").await, "v0.36.0");
    assert_eq!(get(&cluster, 0, "/version").await.unwrap().status(), 307);
    assert_eq!(get(&cluster, 0, "/nothing").await.unwrap().status(), 404);
    let unknown = get(&cluster, 0, "/api/v2.1/stats/nope?type=name").await.unwrap();
    assert_eq!(unknown.status(), 500);
    assert_eq!(unknown.text().await.unwrap(), "unknown container \"/nope\"");
}

#[tokio::test]
async fn docker_containers_have_names_and_no_pods() {
    let config = SimConfig { flavour: Flavour::Docker, ..small() };
    let cluster = SimCluster::start(config).await.unwrap();
    let answer = get_json(&cluster, 0, STATS).await;
    for (name, container) in answer.as_object().unwrap() {
        let id = name.strip_prefix("/docker/").unwrap();
        assert_eq!(container["spec"]["aliases"][1], id);
        assert!(container["spec"]["labels"].get("io.kubernetes.pod.name").is_none());
    }
}

/// A pod's network is that of its sandbox; its containers have none of their own.
#[tokio::test]
async fn sandboxes_have_the_network_of_their_pods() {
    let cluster = SimCluster::start(SimConfig { sandboxes: true, ..small() }).await.unwrap();
    let answer = get_json(&cluster, 0, STATS).await;
    assert_eq!(answer.as_object().unwrap().len(), 9);
    for container in answer.as_object().unwrap().values() {
        let labels = &container["spec"]["labels"];
        let sample = &container["stats"][0];
        if labels["io.kubernetes.container.name"] != "POD" {
            assert!(sample.get("network").is_none());
            continue;
        }
        let name = labels["io.kubernetes.pod.name"].as_str().unwrap();
        let pod = (0..3).find(|pod| pod_name(0, *pod, 0) == name).unwrap();
        let truth = cluster.true_value(0, Thing::Pod(pod), table::NETWORK_TX, time_ms(sample));
        assert!(truth.is_some());
        assert_eq!(sample["network"]["interfaces"][0]["tx_bytes"].as_u64(), truth);
    }
}

/// As cAdvisor between two rounds of its housekeeping.
#[tokio::test]
async fn a_sample_is_repeated_until_the_next_is_due() {
    let config = SimConfig { housekeeping: Duration::from_secs(3600), ..small() };
    let cluster =
        SimCluster::start(SimConfig { age: Duration::from_secs(86_400), ..config }).await.unwrap();
    assert_eq!(app(&cluster, 0).await, app(&cluster, 0).await);
    let always = SimConfig { housekeeping: Duration::ZERO, ..small() };
    let cluster = SimCluster::start(always).await.unwrap();
    let first = time_ms(&app(&cluster, 0).await["stats"][0]);
    let deadline = Instant::now() + Duration::from_secs(5);
    while time_ms(&app(&cluster, 0).await["stats"][0]) == first {
        assert!(Instant::now() < deadline, "the time stands still");
    }
}

/// Each bad host is bad in its own way, and its neighbour does not notice.
#[tokio::test]
async fn bad_hosts_are_bad_by_themselves() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let read = async || get(&cluster, 0, STATS).await?.bytes().await;

    cluster.set_behaviour(0, Behaviour::Garbage);
    assert!(serde_json::from_slice::<Value>(&read().await.unwrap()).is_err());
    cluster.set_behaviour(0, Behaviour::ServerError);
    assert_eq!(get(&cluster, 0, STATS).await.unwrap().status(), 500);
    cluster.set_behaviour(0, Behaviour::Truncated);
    assert!(!read().await.unwrap_err().is_timeout());

    cluster.set_behaviour(0, Behaviour::Endless);
    let mut endless = get(&cluster, 0, STATS).await.unwrap();
    let mut received = 0;
    while received < 2 << 20 {
        received += endless.chunk().await.unwrap().unwrap().len();
    }

    let impatient = client().get(url(&cluster, 0, STATS)).timeout(Duration::from_millis(200));
    cluster.set_behaviour(0, Behaviour::Silent);
    assert!(impatient.try_clone().unwrap().send().await.unwrap_err().is_timeout());
    cluster.set_behaviour(0, Behaviour::Slow(Duration::from_millis(300)));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    let begun = Instant::now();
    assert!(get(&cluster, 0, STATS).await.unwrap().status().is_success());
    assert!(begun.elapsed() >= Duration::from_millis(300));

    assert_eq!(app(&cluster, 1).await["stats"].as_array().unwrap().len(), 1);
}

/// A host that refuses connections drops those that are open, and can come back.
#[tokio::test]
async fn a_host_goes_away_and_comes_back() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let client = client();
    let ask = async || client.get(url(&cluster, 0, "/healthz")).send().await;
    assert!(ask().await.unwrap().status().is_success());
    cluster.set_behaviour(0, Behaviour::Refuses);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ask().await.is_err_and(|error| error.is_connect()) {
        assert!(Instant::now() < deadline, "it still listens");
    }
    cluster.set_behaviour(0, Behaviour::Healthy);
    while ask().await.is_err() {
        assert!(Instant::now() < deadline, "it does not come back");
    }
}

#[tokio::test]
async fn a_wrong_clock_shows_in_every_time() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let age_ms = async || {
        let app = app(&cluster, 0).await;
        let created = app["spec"]["creation_time"].as_str().unwrap().parse::<jiff::Timestamp>();
        (time_ms(&app["stats"][0]), created.unwrap().as_millisecond())
    };
    let (right_time, right_start) = age_ms().await;
    cluster.set_behaviour(0, Behaviour::ClockOff(-300_000));
    let (time, start) = age_ms().await;
    assert_eq!(start, right_start - 300_000);
    assert!((time - right_time + 300_000).abs() < 10_000, "{time} after {right_time}");
}

/// A restart is a new container under the old name; a pod that was replaced has another name.
#[tokio::test]
async fn containers_restart_and_pods_churn() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let label = |app: &Value, name: &str| app["spec"]["labels"][name].as_str().unwrap().to_owned();
    let before = app(&cluster, 0).await;
    cluster.set_behaviour(0, Behaviour::Restarting(Duration::from_secs(600)));
    let restarted = app(&cluster, 0).await;
    assert_eq!(
        label(&before, "io.kubernetes.pod.name"),
        label(&restarted, "io.kubernetes.pod.name")
    );
    assert_ne!(before["spec"]["aliases"][1], restarted["spec"]["aliases"][1]);
    assert_ne!(before["spec"]["creation_time"], restarted["spec"]["creation_time"]);
    cluster.set_behaviour(0, Behaviour::Churning(Duration::from_secs(600)));
    let replaced = app(&cluster, 0).await;
    for name in ["io.kubernetes.pod.name", "io.kubernetes.pod.uid"] {
        assert_ne!(label(&before, name), label(&replaced, name));
    }
}

/// In v2.1 it is `spec` that tells since when a node's counters count: with its containers or
/// without, and the same for as long as the host is up.
#[tokio::test]
async fn a_host_says_since_when_it_counts() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let alone = get_json(&cluster, 0, "/api/v2.1/spec/?type=name").await;
    let all = get_json(&cluster, 0, "/api/v2.1/spec/?type=name&recursive=true").await;
    assert_eq!(alone.as_object().unwrap().len(), 1);
    assert_eq!(all.as_object().unwrap().len(), 1 + small().containers_per_host());
    assert_eq!(alone["/"], all["/"]);
    let app = app(&cluster, 0).await;
    assert_eq!(alone["/"]["creation_time"], app["spec"]["creation_time"]);
}

/// The largest cluster that Kubernetes is stated to carry, in one process.
#[tokio::test]
async fn five_thousand_hosts_answer_each_for_itself() {
    let cluster = SimCluster::start(SimConfig { hosts: 5000, ..small() }).await.unwrap();
    let addresses: BTreeSet<_> = cluster.hosts().iter().map(|host| host.address).collect();
    assert_eq!(addresses.len(), 5000);
    for host in (0..5000).step_by(499) {
        let summary = get_json(&cluster, host, "/stats/summary").await;
        assert_eq!(summary["node"]["nodeName"], format!("sim-{host:05}"));
    }
}

#[tokio::test]
async fn hosts_can_share_an_address() {
    let address = "127.0.0.1".parse().unwrap();
    let addressing = Addressing::PerHostPort { address, first_port: 0 };
    let cluster = SimCluster::start(SimConfig { addressing, ..small() }).await.unwrap();
    let hosts = cluster.hosts();
    assert_eq!(hosts[0].address, hosts[1].address);
    assert_ne!(hosts[0].port, hosts[1].port);
    let summary = get_json(&cluster, 1, "/stats/summary").await;
    assert_eq!(summary["node"]["nodeName"], "sim-00001");
}

#[tokio::test]
async fn a_dropped_cluster_leaves_no_listener() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let url = url(&cluster, 0, "/healthz");
    drop(cluster);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !client().get(&url).send().await.is_err_and(|error| error.is_connect()) {
        assert!(Instant::now() < deadline, "it still listens");
    }
}

#[tokio::test]
async fn hosts_files_have_every_host() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let ancestor: Value = serde_json::from_str(&cluster.hosts_json()).unwrap();
    assert_eq!(ancestor["items"][1]["name"], "sim-00001");
    assert_eq!(ancestor["items"][1]["ip"], "127.16.0.2");
    let file_sd: Value = serde_json::from_str(&cluster.file_sd_json()).unwrap();
    let target = format!("127.16.0.2:{}", cluster.hosts()[1].port);
    assert_eq!(file_sd[1]["targets"][0], target.as_str());
    assert_eq!(file_sd[1]["labels"]["instance"], "sim-00001");
}
