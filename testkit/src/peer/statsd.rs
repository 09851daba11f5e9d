//! StatsD, from npm's package `statsd`, which `tools/test-setup` puts under `target/tools/npm`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::process::{PeerError, Process, Program};

/// A running StatsD.
#[derive(Debug)]
pub struct Statsd {
    _process: Process,
    port: u16,
    management_port: u16,
}

const PACKAGE: &str = "nodejs npm, then run tools/test-setup";

impl Statsd {
    /// Starts one that keeps what it was told.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let program = program()?;
        let management = std::cell::Cell::new(0);
        let (process, port) = Process::launch(|folder, [port, management_port]| {
            management.set(management_port);
            let config = folder.join("config.js");
            let text = format!(
                r#"{{ port: {port}, address: "127.0.0.1", mgmt_port: {management_port},
                     mgmt_address: "127.0.0.1", backends: ["./backends/console"],
                     flushInterval: 86400000 }}"#
            );
            fs::write(&config, text)?;
            Ok(Program {
                name: "node",
                package: PACKAGE,
                arguments: [&program, &config].map(|path| path.display().to_string()).into(),
                ready_url: format!("tcp://127.0.0.1:{management_port}"),
            })
        })
        .await?;
        let management_port = management.get();
        Ok(Self { _process: process, port, management_port })
    }

    /// `127.0.0.1:PORT` for datagrams.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All gauges as they are now.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn gauges(&self) -> Result<BTreeMap<String, f64>, PeerError> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.management_port)).await?;
        stream.write_all(b"gauges\n").await?;
        let mut said = Vec::new();
        while !said.ends_with(b"END\n\n") {
            if stream.read_buf(&mut said).await? == 0 {
                return Err(PeerError::Failed("StatsD ended in the middle of an answer".into()));
            }
        }
        let said = String::from_utf8_lossy(&said);
        // It prints a value of JavaScript: names in quotes where they need it, no trailing comma.
        let inside = said.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        let (inside, _) = inside.ok_or_else(|| PeerError::Failed(format!("StatsD says {said}")))?;
        let pairs = inside.split(",\n").flat_map(|line| line.trim().rsplit_once(": "));
        let gauge = |(name, value): (&str, &str)| {
            let name = name.trim_matches('\'').to_owned();
            let value = value.trim().trim_end_matches(',').parse();
            value
                .map(|value| (name, value))
                .map_err(|error| PeerError::Failed(format!("StatsD says {said}: {error}")))
        };
        pairs.map(gauge).collect()
    }
}

fn program() -> Result<PathBuf, PeerError> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/npm/node_modules");
    let program = tools.join("statsd/stats.js");
    if program.is_file() {
        return Ok(program);
    }
    Err(PeerError::Missing { program: "statsd of npm", package: PACKAGE })
}
