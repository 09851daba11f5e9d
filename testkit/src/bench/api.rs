//! The master's HTTP API, as far as the bench reads it, and the simulation's own page.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use heapster_shared::schema::{MetricId, table};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

/// A client of the master.
#[derive(Clone)]
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
    hosts: Vec<Host>,
}

#[derive(Clone, Debug, Deserialize)]
struct Host {
    state: Option<HostState>,
}

#[derive(Clone, Debug, Deserialize)]
struct HostState {
    ok: bool,
    #[serde(default)]
    latency_ms: u64,
}

impl Cluster {
    /// Hosts whose newest poll gave rows.
    pub(super) fn healthy_hosts(&self) -> usize {
        self.healthy().count()
    }

    /// What the newest polls took that gave rows.
    pub(super) fn poll_times(&self) -> Vec<Duration> {
        self.healthy().map(|state| Duration::from_millis(state.latency_ms)).collect()
    }

    fn healthy(&self) -> impl Iterator<Item = &HostState> {
        self.hosts.iter().filter_map(|host| host.state.as_ref()).filter(|state| state.ok)
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
    timestamp: String,
    /// Its value.
    pub(super) value: f64,
}

impl Point {
    /// When it was taken; `None` for what is no time.
    pub(super) fn time_ms(&self) -> Option<i64> {
        self.timestamp.parse().ok().map(jiff::Timestamp::as_millisecond)
    }
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
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            // The master closes connections that nobody uses, perhaps just when one is wanted again.
            .pool_idle_timeout(Duration::from_secs(1))
            .build()?;
        Ok(Self { client, base: format!("http://{address}") })
    }

    /// The cluster under measurement; `None` while there is none.
    pub(super) async fn cluster(&self) -> anyhow::Result<Option<Cluster>> {
        let clusters: Vec<Cluster> = self.get("/api/v1/clusters").await?;
        Ok(clusters.into_iter().next())
    }

    /// A metric of an entity, such as `nodes/sim-00001/`; of the cluster as a whole for nothing.
    pub(super) async fn series(&self, entity: &str, metric: MetricId) -> anyhow::Result<Series> {
        self.get(&series_path(entity, metric)).await
    }

    /// When the newest sample of an entity was taken; `None` while there is none.
    pub(super) async fn newest_ms(&self, entity: &str) -> anyhow::Result<Option<i64>> {
        let path = series_path(entity, table::CPU_USAGE_RATE);
        let response = self.request(&path).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let series: Series = read(response.error_for_status()?).await?;
        Ok(series.metrics.last().and_then(Point::time_ms))
    }

    /// The newest rows of everything, as they come.
    pub(super) async fn export(&self) -> anyhow::Result<Response> {
        Ok(self.request("/api/v1/metric-export").await?.error_for_status()?)
    }

    /// What the simulation did.
    pub(super) async fn sim_state(&self) -> anyhow::Result<SimState> {
        self.get("/sim").await
    }

    async fn request(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.client.get(format!("{}{path}", self.base)).send().await?)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(self.request(path).await?.error_for_status()?).await
    }
}

fn series_path(entity: &str, metric: MetricId) -> String {
    format!("/api/v1/model/{entity}metrics/{}", metric.def().name)
}

/// The body of an answer as JSON.
pub(super) async fn read<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    let url = response.url().clone();
    response.json().await.with_context(|| format!("{url} answers in another form than expected"))
}
