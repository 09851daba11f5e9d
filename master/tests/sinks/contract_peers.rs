//! A peer for each kind of sink that accepts, fails for now, refuses, hangs and goes away as told.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use tempfile::TempDir;

/// How a peer behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Accept,
    FailForNow,
    Refuse,
    Hang,
    Away,
}

#[async_trait(?Send)]
pub(crate) trait Peer {
    /// A spec of a sink that writes to it; more options can be appended with `&`.
    fn spec(&self) -> String;
    /// Behaves otherwise from now on.
    async fn set(&mut self, mode: Mode);
    /// Samples that it accepted.
    fn samples(&self) -> u64;
}

/// The peer of a kind. Whoever adds a kind adds its peer.
pub(crate) async fn peer_of(kind: &str) -> Box<dyn Peer> {
    match kind {
        "influxdb" => Box::new(Database::start().await),
        "log" => Box::new(LogFile::new()),
        other => panic!("the contract test needs a peer for the sink `{other}`"),
    }
}

/// Speaks enough of InfluxDB 1.x.
struct Database {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    samples: u64,
}

impl Database {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| shared.lock().unwrap().reply(request));
        Self { server: server.await.unwrap(), state }
    }
}

impl State {
    fn reply(&mut self, request: &FakeRequest) -> FakeReply {
        match self.mode {
            Mode::FailForNow | Mode::Away => FakeReply::status(503),
            Mode::Hang => FakeReply::Hang,
            _ if request.target.starts_with("/query") => {
                FakeReply::body(200, r#"{"results":[{"statement_id":0}]}"#)
            }
            Mode::Refuse => FakeReply::body(400, r#"{"error":"not like this"}"#),
            Mode::Accept => {
                self.samples += request.body.split(|byte| *byte == b'\n').count() as u64 - 1;
                FakeReply::status(204)
            }
        }
    }
}

#[async_trait(?Send)]
impl Peer for Database {
    fn spec(&self) -> String {
        // A sample is a line here.
        format!("influxdb:{}?db=k8s&gzip=false", self.server.url())
    }

    async fn set(&mut self, mode: Mode) {
        let before = std::mem::replace(&mut self.state.lock().unwrap().mode, mode);
        match (before, mode) {
            (_, Mode::Away) => self.server.stop(),
            (Mode::Away, _) => self.server.restart().await.unwrap(),
            _ => {}
        }
    }

    fn samples(&self) -> u64 {
        self.state.lock().unwrap().samples
    }
}

/// A file in a folder: the folder moves away, the file becomes a folder, or a pipe without reader.
struct LogFile {
    folder: TempDir,
    mode: Mode,
    /// Files that were moved aside, with what they hold.
    kept: usize,
}

impl LogFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        Self { folder, mode: Mode::Accept, kept: 0 }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn path(&self) -> PathBuf {
        self.logs().join("out.log")
    }

    fn undo(&mut self) {
        match self.mode {
            Mode::Accept => {}
            Mode::FailForNow | Mode::Away => {
                fs::rename(self.folder.path().join("away"), self.logs()).unwrap();
            }
            Mode::Refuse => fs::remove_dir(self.path()).unwrap(),
            Mode::Hang => {
                // Out of the way first, so that no other write finds it. Then the one that waits for
                // a reader may go; what it writes is lost.
                let pipe = self.folder.path().join("pipe");
                fs::rename(self.path(), &pipe).unwrap();
                drop(OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
                fs::remove_file(&pipe).unwrap();
            }
        }
    }

    fn keep(&mut self) {
        self.kept += 1;
        let kept = self.logs().join(format!("kept.{}", self.kept));
        // Nothing to keep when nothing was written yet.
        let _ = fs::rename(self.path(), kept);
    }
}

#[async_trait(?Send)]
impl Peer for LogFile {
    fn spec(&self) -> String {
        format!("log:{}?format=json", self.path().display())
    }

    async fn set(&mut self, mode: Mode) {
        self.undo();
        self.mode = mode;
        match mode {
            Mode::Accept => {}
            Mode::FailForNow | Mode::Away => {
                fs::rename(self.logs(), self.folder.path().join("away")).unwrap();
            }
            Mode::Refuse => {
                self.keep();
                fs::create_dir(self.path()).unwrap();
            }
            Mode::Hang => {
                self.keep();
                assert!(Command::new("mkfifo").arg(self.path()).status().unwrap().success());
            }
        }
    }

    fn samples(&self) -> u64 {
        assert_eq!(self.mode, Mode::Accept);
        let files = fs::read_dir(self.logs()).unwrap().map(|file| file.unwrap().path());
        let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
        text.matches("\"metric\"").count() as u64
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        // A thread that still waits in a pipe would keep the test from ending.
        self.undo();
    }
}
