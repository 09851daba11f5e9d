//! A peer for the sinks that write files, `file` and `log`.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::Command,
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Mode, Peer};

/// Where the file is, in a folder.
const FILE: &str = "data/samples.jsonl";

/// A file in a folder: the folder moves away, the file becomes a folder, or a pipe without reader,
/// whose open hangs as that of a file on a dead server does.
pub(super) struct Files {
    spec: String,
    folder: TempDir,
    mode: Mode,
    /// Files that were moved aside, with what they hold.
    kept: usize,
}

impl Files {
    /// A file whose path stands for `{path}` in this spec.
    pub(super) fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let path = folder.path().join(FILE);
        let spec = spec.replace("{path}", &path.display().to_string());
        Self { spec, folder, mode: Mode::Accept, kept: 0 }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    fn undo(&mut self) {
        match self.mode {
            Mode::Accept | Mode::Slow => {}
            Mode::FailForNow | Mode::Away => {
                fs::rename(self.folder.path().join("away"), self.data()).unwrap();
            }
            Mode::Refuse => fs::remove_dir(self.path()).unwrap(),
            Mode::Hang => {
                // Out of the way first, so that no other write finds it; then who waits may go.
                let pipe = self.folder.path().join("pipe");
                fs::rename(self.path(), &pipe).unwrap();
                drop(OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
                fs::remove_file(&pipe).unwrap();
            }
        }
    }

    fn keep(&mut self) {
        self.kept += 1;
        let kept = self.data().join(format!("kept.{}", self.kept));
        // Nothing to keep when nothing was written yet.
        let _ = fs::rename(self.path(), kept);
    }
}

#[async_trait(?Send)]
impl Peer for Files {
    fn spec(&self) -> String {
        self.spec.clone()
    }

    async fn set(&mut self, mode: Mode) {
        self.undo();
        self.mode = mode;
        match mode {
            Mode::Accept | Mode::Slow => {}
            Mode::FailForNow | Mode::Away => {
                fs::rename(self.data(), self.folder.path().join("away")).unwrap();
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
        assert!(matches!(self.mode, Mode::Accept | Mode::Slow));
        let files = fs::read_dir(self.data()).unwrap().map(|file| file.unwrap().path());
        let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
        text.matches("\"metric\"").count() as u64
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A thread that still waits in a pipe would keep the test from ending.
        self.undo();
    }
}
