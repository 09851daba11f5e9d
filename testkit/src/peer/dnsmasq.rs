//! A name server: dnsmasq, from Debian's package `dnsmasq-base`.

use std::ops::{Deref, DerefMut};

use super::process::{PeerError, Process, Program};

/// A running dnsmasq that knows nothing but what it was told.
#[derive(Debug)]
pub struct Dnsmasq {
    process: Process,
    port: u16,
}

impl Dnsmasq {
    /// Starts one with these lines of configuration, such as `srv-host=NAME,TARGET,PORT`, and no
    /// names yet. All of its records are good for a second.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start(lines: &[&str]) -> Result<Self, PeerError> {
        let (process, port) = Process::launch(|folder, [port, _]| {
            let names = folder.join("names");
            std::fs::write(&names, "")?;
            let config = folder.join("dnsmasq.conf");
            std::fs::write(&config, format!("{}\n", lines.join("\n")))?;
            Ok(Program {
                name: "dnsmasq",
                package: "dnsmasq-base",
                arguments: vec![
                    "--keep-in-foreground".into(),
                    "--log-facility=-".into(),
                    "--user=".into(),
                    "--no-resolv".into(),
                    "--no-hosts".into(),
                    "--local=/#/".into(),
                    "--local-ttl=1".into(),
                    format!("--pid-file={}", folder.join("pid").display()),
                    format!("--port={port}"),
                    "--listen-address=127.0.0.1".into(),
                    "--bind-interfaces".into(),
                    format!("--addn-hosts={}", names.display()),
                    format!("--conf-file={}", config.display()),
                ],
                ready_url: format!("tcp://127.0.0.1:{port}"),
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

    /// Has exactly these names from now on, in the form of `/etc/hosts`.
    ///
    /// # Errors
    /// When they cannot be written, or it does not run.
    pub fn set_names(&self, names: &str) -> Result<(), PeerError> {
        std::fs::write(self.folder().join("names"), names)?;
        self.reload()
    }
}

impl Deref for Dnsmasq {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Dnsmasq {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
