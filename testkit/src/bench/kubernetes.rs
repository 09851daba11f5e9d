//! The cluster's API server, as the bench asks it: by what `kubectl` would find in the kubeconfig, and
//! for what `kubectl top` shows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use reqwest::{Certificate, Client, Identity, StatusCode, header::ACCEPT_ENCODING};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::api::read;

/// A list of everything takes its time.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A server may close a connection that nobody used for longer, just when it is wanted again.
const IDLE: Duration = Duration::from_secs(1);
/// Requests for this group are the bench's own, passed on to the buddy.
const METRICS_GROUP: &str = ".metrics.k8s.io";

/// A client with the rights of the administrator.
#[derive(Clone)]
pub(super) struct Kubernetes {
    client: Client,
    base: String,
}

/// A list at the metrics API.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    /// From the request to the last byte.
    pub(super) took: Duration,
    /// Bytes of the answer.
    pub(super) bytes: usize,
    /// Bytes of it when the client takes gzip, as `kubectl` does.
    pub(super) gzip_bytes: usize,
    /// What that took.
    pub(super) gzip_took: Duration,
    /// Its items.
    pub(super) items: usize,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Usage {
    timestamp: jiff::Timestamp,
}

/// What the simulated API server counts.
#[derive(Deserialize)]
struct Counted {
    requests: BTreeMap<String, u64>,
}

/// The folder in which the files lie that a kubeconfig names, a service account's among them.
pub(super) fn folder(kubeconfig: &Path) -> anyhow::Result<PathBuf> {
    let authority = member(&document(kubeconfig)?, "/clusters/0/cluster/certificate-authority")?;
    Ok(Path::new(&authority).parent().map(PathBuf::from).unwrap_or_default())
}

fn document(kubeconfig: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(kubeconfig)
        .with_context(|| format!("{} cannot be read", kubeconfig.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not as the simulation writes it", kubeconfig.display()))
}

fn member(document: &Value, pointer: &str) -> anyhow::Result<String> {
    let member = document.pointer(pointer).and_then(Value::as_str);
    member.map(str::to_owned).with_context(|| format!("the kubeconfig has no {pointer}"))
}

impl Kubernetes {
    /// Reads what the simulation wrote.
    pub(super) fn open(kubeconfig: &Path) -> anyhow::Result<Self> {
        let document = document(kubeconfig)?;
        let file =
            |pointer| -> anyhow::Result<Vec<u8>> { Ok(fs::read(member(&document, pointer)?)?) };
        let authority = file("/clusters/0/cluster/certificate-authority")?;
        let mut identity = file("/users/0/user/client-certificate")?;
        identity.extend(file("/users/0/user/client-key")?);
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&authority)?])
            .identity(Identity::from_pem(&identity)?)
            // Bytes are counted as they come.
            .no_gzip()
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { client, base: member(&document, "/clusters/0/cluster/server")? })
    }

    /// Requests that came to the API server so far, but for those to the metrics API.
    pub(super) async fn requests(&self) -> anyhow::Result<u64> {
        let url = format!("{}/sim", self.base);
        let counted: Counted = read(self.client.get(url).send().await?.error_for_status()?).await?;
        let others = counted.requests.iter().filter(|(label, _)| !label.ends_with(METRICS_GROUP));
        Ok(others.map(|(_, count)| count).sum())
    }

    /// When the sample was taken that `kubectl top node NAME` would show; `None` while there is none.
    pub(super) async fn newest_ms(&self, node: &str) -> anyhow::Result<Option<i64>> {
        let response = self.client.get(self.metrics(&format!("nodes/{node}"))).send().await?;
        if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE) {
            return Ok(None);
        }
        let usage: Usage = read(response.error_for_status()?).await?;
        Ok(Some(usage.timestamp.as_millisecond()))
    }

    /// Gets the list of all `nodes` or `pods`.
    pub(super) async fn list(&self, plural: &str) -> anyhow::Result<List> {
        let (took, body) = self.fetch(plural, "identity").await?;
        let (gzip_took, gzip_body) = self.fetch(plural, "gzip").await?;
        ensure!(gzip_body.starts_with(b"\x1f\x8b") || gzip_body.len() < 100_000, "no gzip");
        let list: Items = serde_json::from_slice(&body)
            .with_context(|| format!("the list of {plural} is not as expected"))?;
        let (bytes, gzip_bytes) = (body.len(), gzip_body.len());
        Ok(List { took, bytes, gzip_bytes, gzip_took, items: list.items.len() })
    }

    async fn fetch(&self, plural: &str, encoding: &str) -> anyhow::Result<(Duration, Vec<u8>)> {
        let started = Instant::now();
        let request = self.client.get(self.metrics(plural)).header(ACCEPT_ENCODING, encoding);
        let body = request.send().await?.error_for_status()?.bytes().await?;
        Ok((started.elapsed(), body.into()))
    }

    fn metrics(&self, path: &str) -> String {
        format!("{}/apis/metrics.k8s.io/v1beta1/{path}", self.base)
    }
}
