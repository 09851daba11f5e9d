//! Lists that are written in pieces.

use std::{io::Read as _, time::Instant};

use flate2::read::GzDecoder;
use heapster_buddy::metrics_api::MetricsArgs;
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    sim::{SimCluster, SimConfig},
};
use serde_json::Value;

use super::{ADMIN, BASE, Served, busy, client};

/// A cluster of so many nodes of 30 pods of two containers, all of them measured.
async fn cluster(hosts: usize) -> (SimCluster, Served) {
    let config = SimConfig { hosts, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&hosts, ApiServerOptions::default()).await.unwrap();
    let served = Served::beside(api, MetricsArgs::default()).await;
    for host in hosts.hosts() {
        let pods = pods_on(&served.api, &host.name).await;
        let names: Vec<[&str; 3]> = pods
            .iter()
            .flat_map(|[space, pod]| ["app", "proxy"].map(|name| [space.as_str(), pod, name]))
            .collect();
        served.poll(&host.name, &busy(&names));
    }
    served.until_ready().await;
    (hosts, served)
}

/// Namespace and name of the pods of a node.
async fn pods_on(api: &ApiServer, node: &str) -> Vec<[String; 2]> {
    let url = format!("{}/api/v1/pods?fieldSelector=spec.nodeName%3D{node}", api.url());
    let list = client().get(url).bearer_auth(api.service_token()).send().await.unwrap();
    let list: Value = serde_json::from_slice(&list.bytes().await.unwrap()).unwrap();
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|pod| [text(pod, "namespace"), text(pod, "name")]).collect()
}

/// The body of a list of pods as it was sent, and whether it was compressed.
async fn list(served: &Served, client: &reqwest::Client, coding: &str) -> (Vec<u8>, bool) {
    let request = served.get(client, &format!("{BASE}/pods")).bearer_auth(ADMIN);
    let answer = request.header("accept-encoding", coding).send().await.unwrap();
    let is_gzip = answer.headers().get("content-encoding").is_some_and(|value| value == "gzip");
    (answer.bytes().await.unwrap().to_vec(), is_gzip)
}

/// The same list, whole, in order and without repetition, whether it is compressed or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_whole() {
    let (_hosts, served) = cluster(12).await;
    let client = client();
    let (plain, is_gzip) = list(&served, &client, "identity").await;
    assert!(!is_gzip);
    let parsed: Value = serde_json::from_slice(&plain).unwrap();
    let items = parsed["items"].as_array().unwrap();
    assert_eq!(items.len(), 360);
    let name = |item: &Value| {
        let metadata = &item["metadata"];
        [&metadata["namespace"], &metadata["name"]].map(|text| text.as_str().unwrap().to_owned())
    };
    assert!(items.is_sorted_by(|a, b| name(a) < name(b)));
    let (small, is_gzip) = list(&served, &client, "gzip").await;
    assert!(is_gzip && small.len() < plain.len() / 4, "{} of {}", small.len(), plain.len());
    let mut unpacked = Vec::new();
    GzDecoder::new(&small[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain);
    assert_eq!(list(&served, &client, "gzip;q=0, identity").await, (plain, false));
}

/// How long a list takes, as its client sees it. It prints that; a list of 30,000 pods is timed by
/// `HEAPSTER_LIST_NODES=1000 cargo test --release -p heapster-buddy --test metrics_api -- --nocapture long`.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_soon() {
    let nodes = std::env::var("HEAPSTER_LIST_NODES").ok().and_then(|nodes| nodes.parse().ok());
    let (_hosts, served) = cluster(nodes.unwrap_or(12)).await;
    let client = client();
    for coding in ["identity", "gzip"] {
        let (mut took, mut bytes) = (Vec::new(), 0);
        for _ in 0..11 {
            let started = Instant::now();
            bytes = list(&served, &client, coding).await.0.len();
            took.push(started.elapsed());
        }
        took.sort();
        let line = format!("{coding}: median {:?}, most {:?}, {bytes} bytes\n", took[5], took[10]);
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        assert!(took[5].as_secs() < 5, "{line}");
    }
}
