//! A way in for fuzzing: polls a machine that is made of files, without a runtime.

use std::path::Path;

use super::{Config, identity::Identity, reader::Reader};
use crate::source::{Layouts, PollError, Readings};

/// Reads a machine below a directory: its control groups in `cgroup`, `/proc` in `proc`, and Docker's
/// and podman's files in `docker` and `podman`.
#[derive(Debug)]
pub struct MachineReader {
    reader: Reader,
    layouts: Layouts,
}

impl MachineReader {
    /// A reader that has polled nothing yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let below = |name: &str| directory.join(name).display().to_string();
        let config = Config {
            root: below("cgroup"),
            proc: below("proc"),
            rootfs: below(""),
            docker_root: "docker".to_owned(),
            podman_root: "podman".to_owned(),
            max_depth: 4,
            ..Config::default()
        };
        let identity = Identity::read(Some("node"), &config.rootfs);
        Self { reader: Reader::new(config, identity), layouts: Layouts::default() }
    }

    /// The readings of a poll.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn poll(&mut self) -> Result<Readings, PollError> {
        self.reader.poll(&self.layouts)
    }
}
