//! Graphite's carbon, from Debian's package `graphite-carbon`, with whisper files behind it.

use std::{
    collections::BTreeMap,
    fs,
    ops::{Deref, DerefMut},
    path::Path,
    process::Command,
};

use super::process::{PeerError, Process, Program, free_ports};

/// A running carbon-cache.
#[derive(Debug)]
pub struct Carbon {
    process: Process,
    port: u16,
}

/// Seconds since 1970 and values, by path.
pub type WhisperPoints = BTreeMap<String, Vec<(i64, f64)>>;

/// Prints the points of all whisper files below a folder as JSON.
const READ: &str = r#"
import json, os, sys, whisper
root, points = sys.argv[1], {}
for folder, _, files in os.walk(root):
    for name in files:
        path = os.path.join(folder, name)
        if not name.endswith(".wsp"):
            continue
        (start, _, step), values = whisper.fetch(path, 0)
        path = os.path.relpath(path, root)[:-4].replace("/", ".")
        points[path] = [
            (start + i * step, value) for i, value in enumerate(values) if value is not None
        ]
print(json.dumps(points))
"#;

impl Carbon {
    /// Starts one that listens to TCP and UDP, keeps each second of the last day, and writes at once.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start() -> Result<Self, PeerError> {
        let (process, port) = Process::launch(|folder, [port, query_port]| {
            let [pickle_port] = free_ports()?;
            configure(folder, [port, pickle_port, query_port])?;
            let config = folder.join("carbon.conf");
            Ok(Program {
                name: "carbon-cache",
                package: "graphite-carbon",
                arguments: vec![
                    "--nodaemon".into(),
                    format!("--config={}", config.display()),
                    "start".into(),
                ],
                ready_url: format!("tcp://127.0.0.1:{port}"),
            })
        })
        .await?;
        Ok(Self { process, port })
    }

    /// `127.0.0.1:PORT` of the plaintext protocol.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All points that are in its files now.
    ///
    /// # Errors
    /// When Debian's Python cannot read them.
    pub fn points(&self) -> Result<WhisperPoints, PeerError> {
        let data = self.process.folder().join("data");
        let output = Command::new("/usr/bin/python3").args(["-c", READ]).arg(data).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let failed = |error: String| PeerError::Failed(format!("whisper: {error}: {said}"));
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
    }
}

fn configure(folder: &Path, [port, pickle_port, query_port]: [u16; 3]) -> Result<(), PeerError> {
    let place = folder.display();
    let config = format!(
        "[cache]\n\
         STORAGE_DIR = {place}\nCONF_DIR = {place}\nLOG_DIR = {place}\nPID_DIR = {place}\n\
         LOCAL_DATA_DIR = {place}/data\nWHITELISTS_DIR = {place}\nUSER =\n\
         LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {port}\n\
         ENABLE_UDP_LISTENER = True\n\
         UDP_RECEIVER_INTERFACE = 127.0.0.1\nUDP_RECEIVER_PORT = {port}\n\
         PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickle_port}\n\
         CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query_port}\n\
         MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = False\n"
    );
    fs::write(folder.join("carbon.conf"), config)?;
    let schemas = "[all]\npattern = .*\nretentions = 1s:1d\n";
    fs::write(folder.join("storage-schemas.conf"), schemas)?;
    Ok(())
}

impl Deref for Carbon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Carbon {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
