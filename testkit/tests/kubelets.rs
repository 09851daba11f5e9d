//! Simulated kubelets: their answers have the shapes of recorded ones and the values of the truth,
//! their TLS and their credentials trip who is careless, and they are as odd as real ones.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use heapster_shared::schema::table;
use heapster_testkit::{
    authority::{Authority, User},
    peer::http_client,
    sim::{
        Behaviour, CertificateNames, KubeletTls, SimCluster, SimConfig, Thing, container_name,
        pod_name,
    },
};
use reqwest::{Certificate, Client};
use serde_json::Value;

fn small() -> SimConfig {
    SimConfig { pods_per_host: 8, sandboxes: true, ..SimConfig::default() }
}

async fn get(cluster: &SimCluster, path: &str) -> String {
    let host = &cluster.hosts()[0];
    let url = format!("http://{}:{}{path}", host.address, host.port);
    http_client().unwrap().get(url).send().await.unwrap().text().await.unwrap()
}

async fn get_json(cluster: &SimCluster, path: &str) -> Value {
    serde_json::from_str(&get(cluster, path).await).unwrap()
}

/// The members of a document and of all that is in it; items of lists are all alike.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            let free = ["labels", "annotations", "managedFields", "hostNetwork"];
            if !free.contains(&name.as_str()) {
                paths(member, &format!("{path}.{name}"), found);
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, found)),
        _ => drop(found.insert(path.to_owned())),
    }
}

fn shape(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(document, "", &mut found);
    found
}

/// Readers of real kubelets find all that they would find there, with times of the same form.
#[tokio::test]
async fn documents_have_the_recorded_shapes() {
    let cluster = SimCluster::start(small()).await.unwrap();
    for (path, recorded) in [
        ("/pods", include_str!("../testdata/kubelet-1.20-pods.json")),
        ("/stats/summary", include_str!("../testdata/kubelet-1.20-stats-summary-proxied.json")),
        (
            "/stats/summary?only_cpu_and_memory=true",
            include_str!("../testdata/kubelet-1.20-stats-summary-light.json"),
        ),
    ] {
        let mut expected = shape(&serde_json::from_str(recorded).unwrap());
        // It belongs to one pod of the recorded ones only.
        expected.remove(".items.metadata.resourceVersion");
        expected.remove(".items.metadata.ownerReferences");
        let answer = get_json(&cluster, path).await;
        let missing: Vec<_> = expected.difference(&shape(&answer)).cloned().collect();
        assert_eq!(missing, [] as [String; 0], "{path}");
    }
    let light = get_json(&cluster, "/stats/summary?only_cpu_and_memory=true").await;
    let recorded = include_str!("../testdata/kubelet-1.20-stats-summary-light.json");
    assert_eq!(shape(&light), shape(&serde_json::from_str(recorded).unwrap()));
    let time = light["node"]["cpu"]["time"].as_str().unwrap();
    assert_eq!(time.len(), "2026-11-22T11:18:33Z".len(), "{time}");
}

/// What a sample of a text says of itself: its name and the names of its labels.
fn sample_shape(line: &str) -> String {
    let (name, rest) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
    let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
    let labels: Vec<_> = labels.split("\",").filter_map(|label| label.split('=').next()).collect();
    format!("{name}{labels:?}")
}

/// Headers and samples of a text, by family.
fn families(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("# ") {
            current = header.split(' ').nth(1).unwrap().to_owned();
            families.entry(current.clone()).or_default().insert(line.to_owned());
        } else {
            families.get_mut(&current).unwrap().insert(sample_shape(line));
        }
    }
    families
}

/// Every family that a real kubelet has is there, with its help, its type and its labels.
#[tokio::test]
async fn texts_have_the_recorded_families() {
    let cluster = SimCluster::start(small()).await.unwrap();
    for (path, recorded) in [
        ("/metrics/resource", include_str!("../testdata/kubelet-1.20-metrics-resource.txt")),
        ("/metrics/cadvisor", include_str!("../testdata/kubelet-1.20-metrics-cadvisor.txt")),
    ] {
        let found = families(&get(&cluster, path).await);
        for (family, expected) in families(recorded) {
            // Persistent memory is in no simulated machine.
            if !family.starts_with("machine_nvm") {
                assert_eq!(found.get(&family), Some(&expected), "{path} {family}");
            }
        }
    }
}

/// Value and time of the sample of a text that begins so.
fn sample(text: &str, beginning: &str) -> (f64, i64) {
    let line = text.lines().find(|line| line.starts_with(beginning)).unwrap();
    let mut words = line.rsplit(' ');
    let time = words.next().unwrap().parse().unwrap();
    (words.next().unwrap().parse().unwrap(), time)
}

/// All that a kubelet says in any form is true at the time that it names.
#[tokio::test]
#[allow(clippy::cast_precision_loss)]
async fn every_form_tells_the_truth() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let app = Thing::Container { pod: 0, container: 0 };
    let truth =
        |thing, metric, time_ms| cluster.true_value(0, thing, metric, time_ms).unwrap() as f64;
    let (pod, app_name) = (pod_name(0, 0, 0), container_name(0));
    let labels = format!(r#"{{container="{app_name}",namespace="default",pod="{pod}"}}"#);
    let text = get(&cluster, "/metrics/resource").await;
    let (cpu, time) = sample(&text, &format!("container_cpu_usage_seconds_total{labels}"));
    assert!((cpu * 1e9 - truth(app, table::CPU_USAGE, time)).abs() < 1.0);
    let (memory, time) = sample(&text, &format!("container_memory_working_set_bytes{labels}"));
    assert!((memory - truth(app, table::MEMORY_WORKING_SET, time)).abs() < 1.0);

    let text = get(&cluster, "/metrics/cadvisor").await;
    let machine = r#"container_cpu_usage_seconds_total{container="",cpu="total",id="/","#;
    let (cpu, time) = sample(&text, machine);
    assert!((cpu * 1e9 - truth(Thing::Node, table::CPU_USAGE, time)).abs() < 1.0);
    let sandbox: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("container_network_receive_bytes_total"))
        .filter(|line| line.contains(&format!("pod=\"{pod}\"")))
        .collect();
    let (received, time) = sample(sandbox[0], "container_network");
    assert!((received - truth(Thing::Pod(0), table::NETWORK_RX, time)).abs() < 1.0);

    let summary = get_json(&cluster, "/stats/summary").await;
    let container = &summary["pods"][0]["containers"][0];
    let time: jiff::Timestamp = container["cpu"]["time"].as_str().unwrap().parse().unwrap();
    let cpu = container["cpu"]["usageCoreNanoSeconds"].as_f64().unwrap();
    assert!((cpu - truth(app, table::CPU_USAGE, time.as_millisecond())).abs() < 1.0);
}

/// A cluster on TLS, and its certificates and tokens.
async fn secured(names: CertificateNames) -> (SimCluster, Arc<Authority>) {
    let authority = Arc::new(Authority::new().unwrap());
    let tls = KubeletTls { authority: Arc::clone(&authority), names, plain_too: false };
    let cluster = SimCluster::start(SimConfig { tls: Some(tls), ..small() }).await.unwrap();
    (cluster, authority)
}

/// A client that believes the cluster's authority, and asks for the host by this name.
fn client(cluster: &SimCluster, authority: &Authority, name: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = &cluster.hosts()[0];
    let root = Certificate::from_pem(authority.cluster_ca_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([root])
        .no_proxy()
        .resolve(name, (host.address, host.port).into())
        .build()
        .unwrap()
}

#[tokio::test]
async fn credentials_are_demanded() {
    let (cluster, authority) = secured(CertificateNames::Both).await;
    authority.set_token("known", User::new("heapster", &[]));
    authority.set_policy(|ask| ask.subresource == "stats" && ask.name == "sim-00000");
    let host = &cluster.hosts()[0];
    let client = client(&cluster, &authority, "unused");
    let ask = async |path: &str, token: Option<&str>| {
        let mut request = client.get(format!("https://{}:{}{path}", host.address, host.port));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ask("/stats/summary", None).await, (401, "Unauthorized".into()));
    assert_eq!(ask("/stats/summary", Some("unknown")).await, (401, "Unauthorized".into()));
    assert_eq!(ask("/stats/summary", Some("known")).await.0, 200);
    assert_eq!(
        ask("/metrics/resource", Some("known")).await,
        (403, "Forbidden (user=heapster, verb=get, resource=nodes, subresource=metrics)".into())
    );
    authority.expire_token("known");
    assert_eq!(ask("/stats/summary", Some("known")).await.0, 401);
    let plain = get(&cluster, "/stats/summary").await;
    assert_eq!(plain, "Client sent an HTTP request to an HTTPS server.\n");
}

/// A certificate for the node's name alone is no good for who asks for the address.
#[tokio::test]
async fn certificates_are_for_names_or_addresses() {
    for (names, by_name, by_address) in
        [(CertificateNames::NodeName, true, false), (CertificateNames::Address, false, true)]
    {
        let (cluster, authority) = secured(names).await;
        authority.set_token("known", User::new("heapster", &[]));
        let host = &cluster.hosts()[0];
        let client = client(&cluster, &authority, "sim-00000");
        for (name, expected) in
            [("sim-00000", by_name), (host.address.to_string().as_str(), by_address)]
        {
            let url = format!("https://{name}:{}/healthz", host.port);
            let answer = client.get(url).bearer_auth("known").send().await;
            assert_eq!(answer.is_ok(), expected, "{names:?} {name}: {answer:?}");
        }
    }
}

/// A client certificate of the cluster is enough.
#[tokio::test]
async fn client_certificates_let_in() {
    let (cluster, authority) = secured(CertificateNames::Address).await;
    let identity = authority.client(User::new("heapster", &["system:masters"])).unwrap();
    let pem = format!("{}{}", identity.certificate_pem, identity.key_pem);
    let root = Certificate::from_pem(authority.cluster_ca_pem().as_bytes()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .tls_certs_only([root])
        .identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap())
        .build()
        .unwrap();
    let host = &cluster.hosts()[0];
    let url = format!("https://{}:{}/healthz", host.address, host.port);
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
}

async fn behaving(behaviour: Behaviour) -> (SimCluster, Value) {
    let cluster = SimCluster::start(small()).await.unwrap();
    cluster.set_behaviour(0, behaviour);
    let summary = get_json(&cluster, "/stats/summary").await;
    (cluster, summary)
}

#[tokio::test]
async fn a_kubelet_that_has_just_started_knows_little() {
    let (_cluster, summary) = behaving(Behaviour::Starting).await;
    assert!(summary["node"].get("fs").is_none());
    let pods = summary["pods"].as_array().unwrap();
    assert_eq!(pods[0]["containers"][0]["cpu"]["usageCoreNanoSeconds"], 0);
    assert!(pods[1]["containers"][0].get("cpu").is_none());
    assert_eq!(pods[2]["containers"], Value::Null);
    assert!(pods[3]["containers"][0]["cpu"].get("usageNanoCores").is_none());
    assert!(pods[3]["containers"][0]["cpu"]["usageCoreNanoSeconds"].as_u64() > Some(0));
}

/// The leftovers are older than what took their place.
#[tokio::test]
async fn leftover_control_groups_show_twice() {
    let (_cluster, summary) = behaving(Behaviour::Leftovers).await;
    let pods = summary["pods"].as_array().unwrap();
    assert_eq!(pods.len(), 9);
    assert_eq!(pods[0]["podRef"]["name"], pods[1]["podRef"]["name"]);
    assert_ne!(pods[0]["podRef"]["uid"], pods[1]["podRef"]["uid"]);
    assert!(pods[1]["startTime"].as_str() < pods[0]["startTime"].as_str());
    let containers = pods[2]["containers"].as_array().unwrap();
    assert_eq!((containers.len(), &containers[0]["name"]), (3, &containers[1]["name"]));
    assert!(containers[0]["startTime"].as_str() < containers[1]["startTime"].as_str());
}

#[tokio::test]
async fn windows_says_less() {
    let (_cluster, summary) = behaving(Behaviour::Windows).await;
    assert!(summary["node"].get("rlimit").is_none());
    assert!(summary["node"]["fs"].get("inodes").is_none());
    let memory = summary["pods"][0]["containers"][0]["memory"].as_object().unwrap();
    assert_eq!(memory.keys().collect::<Vec<_>>(), ["time", "workingSetBytes"]);
}

/// Pods of every state, as both lists have them.
#[tokio::test]
async fn pods_can_be_in_every_state() {
    let (cluster, summary) = behaving(Behaviour::Varied).await;
    assert_eq!(summary["pods"].as_array().unwrap().len(), 6, "two of eight do not run");
    let pods = get_json(&cluster, "/pods").await;
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods[1]["metadata"]["annotations"]["kubernetes.io/config.source"], "file");
    assert_eq!(pods[1]["metadata"]["ownerReferences"][0]["kind"], "Node");
    assert_eq!(pods[1]["metadata"]["uid"], summary["pods"][1]["podRef"]["uid"]);
    assert_eq!(pods[2]["status"]["initContainerStatuses"][0]["name"], "init");
    assert_eq!(pods[2]["status"]["containerStatuses"][0]["restartCount"], 3);
    assert!(pods[3]["metadata"].get("deletionTimestamp").is_some());
    assert_eq!(pods[4]["status"]["phase"], "Succeeded");
    assert!(pods[5]["status"].get("containerStatuses").is_none());
    let names: Vec<_> = summary["pods"].as_array().unwrap().iter().collect();
    assert!(names.iter().all(|pod| pod["podRef"]["name"] != pods[4]["metadata"]["name"]));
}
