//! A stand-in for Google Cloud, written in Python for the message definitions that Google publishes
//! there: see `testkit/python/google_cloud.py`.

use std::ops::{Deref, DerefMut};

use serde_json::{Value, json};

use super::{
    process::{PeerError, Process, Program, http_client},
    pypi,
};

/// A running stand-in.
#[derive(Debug)]
pub struct GoogleCloud {
    process: Process,
    port: u16,
}

impl GoogleCloud {
    /// The project that it has.
    pub const PROJECT: &'static str = "test-project";

    /// Starts one that has nothing yet.
    ///
    /// # Errors
    /// When Python or its packages are missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let python = pypi::interpreter("google_cloud")?;
        let script = pypi::folder().join("google_cloud.py");
        let (process, port) = Process::launch(|folder, [port, _]| {
            Ok(Program {
                name: "env",
                package: "coreutils",
                arguments: vec![
                    python.display().to_string(),
                    script.display().to_string(),
                    port.to_string(),
                    folder.display().to_string(),
                ],
                ready_url: format!("http://127.0.0.1:{port}/__state"),
            })
        })
        .await?;
        Ok(Self { process, port })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file with credentials that are good for it: `account`, `user` or `federated`.
    #[must_use]
    pub fn credentials(&self, name: &str) -> String {
        self.folder().join(format!("{name}.json")).display().to_string()
    }

    /// What it has: `series` with their points, `descriptors`, `entries`, the `grants` of its tokens
    /// and the outcomes of `writes`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn state(&self) -> Result<Value, PeerError> {
        self.ask("/__state", &Value::Null).await
    }

    /// Takes back all tokens.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn revoke_tokens(&self) -> Result<(), PeerError> {
        self.ask("/__revoke", &Value::Null).await.map(drop)
    }

    /// Fails the next request whose path ends like this, with a code of `google.rpc`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn fail_next(&self, path: &str, code: u32) -> Result<(), PeerError> {
        self.ask("/__fail", &json!({"path": path, "code": code})).await.map(drop)
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value, PeerError> {
        let failed = |error: reqwest::Error| PeerError::Failed(format!("{path}: {error}"));
        let request = http_client()?.post(format!("{}{path}", self.url())).json(body);
        request.send().await.map_err(failed)?.json().await.map_err(failed)
    }
}

impl Deref for GoogleCloud {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for GoogleCloud {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
