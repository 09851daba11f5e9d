//! etcd 3.4, from Debian's package `etcd-server`.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program};

/// A running etcd with a single member.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    port: u16,
}

/// How it is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct EtcdOptions {
    /// Serve the API of version 2 as well, which fleet needs.
    pub v2: bool,
}

impl Etcd {
    /// Starts one that serves version 3 only.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        Self::start_with(EtcdOptions::default()).await
    }

    /// Starts one.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start_with(options: EtcdOptions) -> Result<Self, PeerError> {
        let (process, port) = Process::launch(|folder, [port, peer_port]| {
            let (client, peer) =
                (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
            Ok(Program {
                name: "etcd",
                package: "etcd-server",
                arguments: vec![
                    "--name=one".into(),
                    format!("--data-dir={}", folder.join("data").display()),
                    format!("--listen-client-urls={client}"),
                    format!("--advertise-client-urls={client}"),
                    format!("--listen-peer-urls={peer}"),
                    format!("--initial-advertise-peer-urls={peer}"),
                    format!("--initial-cluster=one={peer}"),
                    format!("--enable-v2={}", options.v2),
                ],
                ready_url: format!("{client}/health"),
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
}

impl Deref for Etcd {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Etcd {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
