//! etcd 3.4, from Debian's package `etcd-server`.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use super::process::{PeerError, Process, Program, free_ports};

/// A running etcd with a single member.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    port: u16,
    tls: bool,
}

/// How it is set up.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// Serve the API of version 2 as well, which fleet needs.
    pub v2: bool,
    /// Serve by TLS, and let nobody in without a client certificate.
    pub tls: Option<EtcdTls>,
}

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    /// The certificate that it shows.
    pub cert: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// Who signs the certificates of clients.
    pub client_ca: PathBuf,
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
            let [health_port] = free_ports()?;
            let member = Member { name: "0".into(), port, peer_port, health_port };
            let cluster = [(member.name.as_str(), peer_port)];
            Ok(member.program(&folder.join("data"), &cluster, &options))
        })
        .await?;
        Ok(Self { process, port, tls: options.tls.is_some() })
    }

    /// Starts three that are one cluster.
    ///
    /// # Errors
    /// When the program is missing, or they are not ready in time.
    pub async fn start_three(options: EtcdOptions) -> Result<[Self; 3], PeerError> {
        let ports: [u16; 9] = free_ports()?;
        let names = ["0", "1", "2"];
        let cluster = [("0", ports[3]), ("1", ports[4]), ("2", ports[5])];
        let start = async |index: usize| {
            let (process, _) = Process::launch(|folder, _| {
                let member = Member {
                    name: names[index].into(),
                    port: ports[index],
                    peer_port: ports[3 + index],
                    health_port: ports[6 + index],
                };
                Ok(member.program(&folder.join("data"), &cluster, &options))
            })
            .await?;
            let tls = options.tls.is_some();
            Ok::<Self, PeerError>(Self { process, port: ports[index], tls })
        };
        // None of them is ready without another one.
        let (first, second, third) = futures::try_join!(start(0), start(1), start(2))?;
        Ok([first, second, third])
    }

    /// `http://127.0.0.1:PORT`, or with `https`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

/// One of a cluster, or all of it.
struct Member {
    name: String,
    port: u16,
    peer_port: u16,
    health_port: u16,
}

impl Member {
    fn program(
        &self,
        data: &std::path::Path,
        cluster: &[(&str, u16)],
        options: &EtcdOptions,
    ) -> Program {
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", self.port);
        let peer = |port: u16| format!("http://127.0.0.1:{port}");
        let health = format!("http://127.0.0.1:{}", self.health_port);
        let members: Vec<String> =
            cluster.iter().map(|(name, port)| format!("{name}={}", peer(*port))).collect();
        let mut arguments = vec![
            format!("--name={}", self.name),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={}", peer(self.peer_port)),
            format!("--initial-advertise-peer-urls={}", peer(self.peer_port)),
            format!("--initial-cluster={}", members.join(",")),
            format!("--listen-metrics-urls={health}"),
            format!("--enable-v2={}", options.v2),
        ];
        if let Some(EtcdTls { cert, key, client_ca }) = &options.tls {
            arguments.extend([
                format!("--cert-file={}", cert.display()),
                format!("--key-file={}", key.display()),
                format!("--trusted-ca-file={}", client_ca.display()),
                "--client-cert-auth".into(),
            ]);
        }
        let ready_url = format!("{health}/health");
        Program { name: "etcd", package: "etcd-server", arguments, ready_url }
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
