//! The simulated API server: real `kubectl` works with it, and it lists, watches, refuses and fails
//! as a real one does.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

#[path = "apiserver/aggregation.rs"]
mod aggregation;
#[path = "apiserver/kubectl.rs"]
mod kubectl;
#[path = "apiserver/lists.rs"]
mod lists;
#[path = "apiserver/program.rs"]
mod program;
#[path = "apiserver/simulated.rs"]
mod simulated;
#[path = "apiserver/trouble.rs"]
mod trouble;
#[path = "apiserver/watches.rs"]
mod watches;

use std::time::{Duration, Instant};

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    peer::http_client,
    sim::{SimCluster, SimConfig},
};
use serde_json::Value;

/// Without TLS every client works; the tests of credentials have it.
fn plain() -> ApiServerOptions {
    ApiServerOptions { tls: false, ..ApiServerOptions::default() }
}

async fn recorded() -> ApiServer {
    ApiServer::recorded(plain()).await.unwrap()
}

/// Two hosts of three pods.
async fn simulated() -> (SimCluster, ApiServer) {
    let config = SimConfig { hosts: 2, pods_per_host: 3, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&hosts, plain()).await.unwrap();
    (hosts, api)
}

/// Asks as the service account.
async fn ask(api: &ApiServer, path: &str) -> reqwest::Response {
    let url = format!("{}{path}", api.url());
    http_client().unwrap().get(url).bearer_auth(api.service_token()).send().await.unwrap()
}

async fn json(api: &ApiServer, path: &str) -> Value {
    ask(api, path).await.json().await.unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// Waits until something is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
