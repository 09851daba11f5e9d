//! NATS with JetStream, from Debian's package `nats-server`; and a reader, PyPI's `nats-py`.

use std::ops::{Deref, DerefMut};

use serde::Deserialize;

use super::{
    process::{PeerError, Process, Program},
    pypi,
};

/// A running server. What its streams have is kept while it is stopped.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    port: u16,
}

/// A message as the reader has it.
#[derive(Clone, Debug, Deserialize)]
pub struct NatsMessage {
    /// Its subject.
    pub subject: String,
    /// Its `Nats-Msg-Id`.
    pub id: String,
    /// In base 64.
    pub body: String,
}

impl Nats {
    /// Starts one that asks for no account.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        Self::start_with("").await
    }

    /// Starts one whose configuration has these lines too.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start_with(lines: &str) -> Result<Self, PeerError> {
        let (process, port) = Process::launch(|folder, [port, monitor]| {
            let path = folder.join("nats.conf");
            let store = folder.join("jetstream");
            let text = format!(
                "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
                 jetstream {{ store_dir: \"{}\", max_mem: 64M, max_file: 256M }}\n{lines}\n",
                store.display()
            );
            std::fs::write(&path, text)?;
            Ok(Program {
                name: "nats-server",
                package: "nats-server",
                arguments: vec!["-c".into(), path.display().to_string()],
                ready_url: format!("http://127.0.0.1:{monitor}/healthz"),
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

    /// Every message of a stream, in its order.
    ///
    /// # Errors
    /// When the reader is missing, or does not take them.
    pub async fn read(&self, stream: &str) -> Result<Vec<NatsMessage>, PeerError> {
        let python = pypi::interpreter("nats")?;
        let (address, stream) = (self.address(), stream.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let script = pypi::folder().join("nats_peer.py");
            std::process::Command::new(python).arg(script).args([address, stream]).output()
        });
        let output = read.await.map_err(|error| PeerError::Failed(error.to_string()))??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(PeerError::Failed(format!("nats_peer.py: {said}")));
        }
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let messages = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        messages.map_err(|error| PeerError::Failed(format!("nats_peer.py: {error}")))
    }
}

impl Deref for Nats {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Nats {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
