//! A program under test control: started with a deadline, stopped by its process id.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The longest that a peer may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it is there.
const POLL: Duration = Duration::from_millis(20);

/// Why there is no peer.
#[derive(Debug)]
pub enum PeerError {
    /// Its program is not installed.
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// This user may not start it, and why.
    NotAllowed(&'static str),
    /// It did not start, or did not stop.
    Failed(String),
}

impl PeerError {
    /// Whether this machine lacks what it takes: a package, or a right.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::NotAllowed(_))
    }
}

impl std::fmt::Display for PeerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { program, package } => write!(
                f,
                "the program `{program}` is not installed; on Debian: apt-get install {package}"
            ),
            Self::NotAllowed(reason) => f.write_str(reason),
            Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for PeerError {}

impl From<io::Error> for PeerError {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("cannot set a peer up: {error}"))
    }
}

/// Where ports for peers are looked for.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// Ports that are tried before there seems to be none.
const MOST_TRIES: usize = 100;
/// Times that a program is started with other ports, when it ends at once.
const MOST_STARTS: usize = 5;

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    pub(super) arguments: Vec<String>,
    /// Answers with success once it is ready; with `tcp://ADDRESS:PORT` it is enough to listen.
    pub(super) ready_url: String,
}

/// A running program with its folder; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    program: Program,
    folder: TempDir,
    child: Option<Child>,
}

impl Process {
    /// Starts a program that is told its folder and two ports. A port that was free may be taken
    /// by the time the program asks for it: then it is started with others.
    pub(super) async fn launch(
        program: impl Fn(&Path, [u16; 2]) -> Result<Program, PeerError>,
    ) -> Result<(Self, u16), PeerError> {
        let mut starts = 0;
        loop {
            let folder = tempfile::tempdir()?;
            let ports = free_ports()?;
            let program = program(folder.path(), ports)?;
            let mut process = Self { program, folder, child: None };
            starts += 1;
            match process.start().await {
                Ok(()) => return Ok((process, ports[0])),
                Err(PeerError::Failed(_)) if process.has_ended() && starts < MOST_STARTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Starts it, again where it was stopped, with the same ports and folder; returns when it is
    /// ready.
    ///
    /// # Errors
    /// When its program is missing, or it is not ready in time.
    pub async fn start(&mut self) -> Result<(), PeerError> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let spawned = Command::new(self.program.name)
            .args(&self.program.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        let child = spawned.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let Program { name: program, package, .. } = self.program;
                PeerError::Missing { program, package }
            }
            _ => PeerError::Failed(format!("cannot run {}: {error}", self.program.name)),
        })?;
        self.child = Some(child);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<(), PeerError> {
        let client = http_client()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.is_ready(&client).await {
                return Ok(());
            }
            let exited = match &mut self.child {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if exited.is_some() || Instant::now() > deadline {
                return Err(PeerError::Failed(format!(
                    "{} is not ready ({exited:?}); it says:\n{}",
                    self.program.name,
                    self.log_tail()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_ready(&self, client: &reqwest::Client) -> bool {
        let url = &self.program.ready_url;
        match url.strip_prefix("tcp://") {
            Some(address) => tokio::net::TcpStream::connect(address).await.is_ok(),
            None => {
                let answer = client.get(url).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            }
        }
    }

    /// Tells it to read its files again.
    ///
    /// # Errors
    /// When it does not run.
    pub fn reload(&self) -> Result<(), PeerError> {
        self.send(Signal::HUP)
    }

    /// Kills it as a power cut would: it cannot flush anything.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<(), PeerError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time; it is killed then.
    pub async fn stop(&mut self) -> Result<(), PeerError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        signal(&child, Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        let stopped = loop {
            match child.try_wait()? {
                Some(status) => break well_stopped(status),
                None if Instant::now() > deadline => {
                    child.kill()?;
                    child.wait()?;
                    break false;
                }
                None => tokio::time::sleep(POLL).await,
            }
        };
        if stopped {
            return Ok(());
        }
        Err(PeerError::Failed(format!("{} did not stop well", self.program.name)))
    }

    /// Halts it without ending it: its connections stay open, and it answers nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<(), PeerError> {
        self.send(Signal::STOP)
    }

    /// Lets it go on after [`Process::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<(), PeerError> {
        self.send(Signal::CONT)
    }

    fn send(&self, kind: Signal) -> Result<(), PeerError> {
        match &self.child {
            Some(child) => signal(child, kind),
            None => Err(PeerError::Failed(format!("{} does not run", self.program.name))),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("peer.log")
    }

    /// The last lines that it printed.
    fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody to tell of a failure, and nothing else to try.
        let _ = self.kill();
    }
}

fn signal(child: &Child, signal: Signal) -> Result<(), PeerError> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| PeerError::Failed("a process without an id".into()))?;
    kill_process(pid, signal).map_err(|error| PeerError::Failed(format!("no signal: {error}")))
}

/// Some programs catch the signal, others end by it.
fn well_stopped(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(Signal::TERM.as_raw())
}

/// Ports of the loopback address that nobody uses now. They are held together, so that they differ,
/// and lie below those that the system gives to connections and to whoever asks for any port: a
/// peer that is stopped for a while finds its port free again.
///
/// # Errors
/// When none is found.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], PeerError> {
    let mut listeners = Vec::new();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = (0..MOST_TRIES)
            .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS))).ok());
        let listener = listener
            .ok_or_else(|| PeerError::Failed(format!("no free port found in {PORTS:?}")))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// A client for plain HTTP that asks no proxy and no certificates.
///
/// # Errors
/// When TLS cannot be set up.
pub fn http_client() -> Result<reqwest::Client, PeerError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: String| PeerError::Failed(format!("cannot set a client up: {error}"));
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever runs the tests on a fresh machine reads what to install.
    #[tokio::test]
    async fn a_missing_program_names_its_package() {
        let program = |_: &Path, _| {
            Ok(Program {
                name: "heapster-no-such-program",
                package: "no-such-package",
                arguments: Vec::new(),
                ready_url: String::new(),
            })
        };
        let error = Process::launch(program).await.unwrap_err();
        assert!(error.is_missing());
        assert_eq!(
            error.to_string(),
            "the program `heapster-no-such-program` is not installed; on Debian: apt-get install \
             no-such-package"
        );
    }

    #[test]
    fn ports_are_free_and_differ() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, first)).is_ok());
    }
}
