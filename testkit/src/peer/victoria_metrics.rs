//! VictoriaMetrics, from Debian's package `victoria-metrics`.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program, http_client};

/// A running VictoriaMetrics.
#[derive(Debug)]
pub struct VictoriaMetrics {
    process: Process,
    port: u16,
    opentsdb_port: u16,
}

impl VictoriaMetrics {
    /// Starts one.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let ports = std::cell::Cell::new(0);
        let (process, port) = Process::launch(|folder, [port, opentsdb_port]| {
            ports.set(opentsdb_port);
            Ok(Program {
                name: "victoria-metrics",
                package: "victoria-metrics",
                arguments: vec![
                    format!("-httpListenAddr=127.0.0.1:{port}"),
                    format!("-storageDataPath={}", folder.join("data").display()),
                    format!("-opentsdbHTTPListenAddr=127.0.0.1:{opentsdb_port}"),
                    "-retentionPeriod=100y".into(),
                    "-memory.allowedBytes=64MB".into(),
                ],
                ready_url: format!("http://127.0.0.1:{port}/health"),
            })
        })
        .await?;
        Ok(Self { process, port, opentsdb_port: ports.get() })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The same for points in OpenTSDB's form.
    #[must_use]
    pub fn opentsdb_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.opentsdb_port)
    }

    /// Every sample of the series that match, as written: an object a series, with `metric`,
    /// `values` and `timestamps`.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub async fn export(&self, matching: &str) -> Result<Vec<serde_json::Value>, PeerError> {
        let failed = |error: String| PeerError::Failed(format!("export {matching}: {error}"));
        let client = http_client()?;
        let said = |error: reqwest::Error| failed(error.to_string());
        // What was written shows only after a flush.
        client.get(format!("{}/internal/force_flush", self.url())).send().await.map_err(said)?;
        let request = client.get(format!("{}/api/v1/export", self.url()));
        let answer = request.query(&[("match[]", matching)]).send().await.map_err(said)?;
        let text = answer.text().await.map_err(said)?;
        let series = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        series.map_err(|error| failed(format!("{error} in {text}")))
    }
}

impl Deref for VictoriaMetrics {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for VictoriaMetrics {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
