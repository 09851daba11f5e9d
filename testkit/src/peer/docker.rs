//! A Docker engine, from Debian's package `docker.io`. It needs root, and gets no bridge and no rules
//! of a firewall, so that the machine stays as it is.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program, http_client};

/// A running engine without images or containers.
#[derive(Debug)]
pub struct Docker {
    process: Process,
    port: u16,
}

impl Docker {
    /// Starts one.
    ///
    /// # Errors
    /// When its program is missing, this process is not root's, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        if !rustix::process::geteuid().is_root() {
            return Err(PeerError::NotAllowed(
                "only root can start a Docker engine: run the tests as root",
            ));
        }
        let (process, port) = Process::launch(|folder, [port, _]| {
            let at = |name: &str| folder.join(name).display().to_string();
            Ok(Program {
                name: "dockerd",
                package: "docker.io",
                arguments: vec![
                    format!("--host=tcp://127.0.0.1:{port}"),
                    "--tls=false".into(),
                    format!("--data-root={}", at("data")),
                    format!("--exec-root={}", at("exec")),
                    format!("--pidfile={}", at("pid")),
                    "--storage-driver=vfs".into(),
                    "--bridge=none".into(),
                    "--iptables=false".into(),
                    "--ip6tables=false".into(),
                    "--label=storage=ssd".into(),
                ],
                ready_url: format!("http://127.0.0.1:{port}/_ping"),
            })
        })
        .await?;
        Ok(Self { process, port })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What its API has at a path.
    ///
    /// # Errors
    /// When it does not answer with a document.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value, PeerError> {
        self.send(http_client()?.get(self.url(path))).await
    }

    /// Sends a document to its API.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, PeerError> {
        self.send(http_client()?.post(self.url(path)).json(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<serde_json::Value, PeerError> {
        let failed = |error: reqwest::Error| PeerError::Failed(format!("dockerd: {error}"));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(PeerError::Failed(format!("dockerd: {status}: {text}")));
        }
        // Some questions are answered without a word.
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

impl Deref for Docker {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Docker {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
