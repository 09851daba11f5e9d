//! Prometheus, from Debian's package `prometheus`.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program, http_client};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: u16,
}

impl Prometheus {
    /// Starts one that receives remote write and scrapes nothing.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        Self::start_with("").await
    }

    /// Starts one that also scrapes what this text says: `scrape_configs` as its file has them.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start_with(scrape_configs: &str) -> Result<Self, PeerError> {
        let (process, port) = Process::launch(|folder, [port, _]| {
            let config = folder.join("prometheus.yml");
            std::fs::write(&config, scrape_configs)?;
            Ok(Program {
                name: "prometheus",
                package: "prometheus",
                arguments: vec![
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={}", folder.join("data").display()),
                    format!("--web.listen-address=127.0.0.1:{port}"),
                    "--web.enable-remote-write-receiver".into(),
                ],
                ready_url: format!("http://127.0.0.1:{port}/-/ready"),
            })
        })
        .await?;
        Ok(Self { process, port })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The result of a query at a time: an object a series, with `metric` and `value` or `values`.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn query(
        &self,
        query: &str,
        unix_ms: i64,
    ) -> Result<Vec<serde_json::Value>, PeerError> {
        let time = format!("{}.{:03}", unix_ms / 1000, unix_ms % 1000);
        let answer = self.ask("query", &[("query", query), ("time", &time)]).await?;
        let result = answer.pointer("/data/result").and_then(serde_json::Value::as_array);
        result.cloned().ok_or_else(|| PeerError::Failed(format!("{query}: {answer}")))
    }

    /// What it knows of a family that it has scraped: an object with `type`, `help` and `unit`.
    ///
    /// # Errors
    /// When it does not answer, or knows nothing.
    pub async fn metadata(&self, family: &str) -> Result<serde_json::Value, PeerError> {
        let answer = self.ask("metadata", &[("metric", family)]).await?;
        let known = answer.pointer(&format!("/data/{family}/0")).cloned();
        known.ok_or_else(|| PeerError::Failed(format!("{family}: {answer}")))
    }

    async fn ask(
        &self,
        what: &str,
        parameters: &[(&str, &str)],
    ) -> Result<serde_json::Value, PeerError> {
        let failed = |error: reqwest::Error| PeerError::Failed(format!("{parameters:?}: {error}"));
        let request = http_client()?.get(format!("{}/api/v1/{what}", self.url()));
        let answer = request.query(parameters).send().await.map_err(failed)?;
        answer.json().await.map_err(failed)
    }
}

impl Deref for Prometheus {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Prometheus {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
