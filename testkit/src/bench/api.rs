//! The master's HTTP API, as far as the bench reads it, and the simulation's own page.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};

/// A client of the master.
pub(super) struct Api {
    client: Client,
    base: String,
}

/// A cluster, as `/api/v1/clusters` has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cluster {
    /// Entities alive.
    pub(super) entities: u64,
    /// The newest tick whose round is complete; 0 for none.
    pub(super) tick_unix_ms: i64,
    /// Rows that came.
    pub(super) rows: u64,
    /// Samples that came or were worked out.
    pub(super) samples: u64,
    /// Its hosts.
    #[serde(default)]
    pub(super) hosts: Vec<Host>,
}

/// A host of a cluster.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Host {
    state: Option<HostState>,
}

#[derive(Clone, Debug, Deserialize)]
struct HostState {
    ok: bool,
}

impl Cluster {
    /// Hosts whose newest poll gave rows.
    pub(super) fn healthy_hosts(&self) -> usize {
        self.hosts.iter().filter(|host| host.state.as_ref().is_some_and(|state| state.ok)).count()
    }
}

/// A metric of one entity over time.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Series {
    /// The points, oldest first.
    pub(super) metrics: Vec<Point>,
}

/// A point of a series.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Point {
    /// Its value.
    pub(super) value: f64,
}

/// What the simulation did so far.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct SimState {
    /// Requests answered.
    pub(super) answers: u64,
    /// Bytes of the answers.
    pub(super) answer_bytes: u64,
}

impl Api {
    /// A client of the server at an address.
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { client, base: format!("http://{address}") })
    }

    /// The cluster under measurement; `None` while there is none.
    pub(super) async fn cluster(&self) -> anyhow::Result<Option<Cluster>> {
        let clusters: Vec<Cluster> = self.get("/api/v1/clusters").await?;
        Ok(clusters.into_iter().next())
    }

    /// A metric of an entity, such as `nodes/sim-00001` and `cpu/usage_rate`.
    pub(super) async fn series(&self, entity: &str, metric: &str) -> anyhow::Result<Series> {
        self.get(&format!("/api/v1/model/{entity}/metrics/{metric}")).await
    }

    /// What the simulation did.
    pub(super) async fn sim_state(&self) -> anyhow::Result<SimState> {
        self.get("/sim").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.base);
        let response = self.client.get(&url).send().await?.error_for_status()?;
        response
            .json()
            .await
            .with_context(|| format!("{url} answers in another form than expected"))
    }
}
