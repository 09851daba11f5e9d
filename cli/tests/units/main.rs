//! The units in `deploy/coreos` and `deploy/systemd`: systemd takes them without a word, the programs in
//! them take their arguments, with keys that are made and put where the guides say.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod butane;
mod coreos;
mod machines;
mod service;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub(crate) const HEAPSTER: &str = env!("CARGO_BIN_EXE_heapster");
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The user that the images run as.
pub(crate) const IMAGE_USER: &str = "65532";

pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Lets systemd read a unit, where there is one, that finds others in its folder.
pub(crate) fn verify(folder: &Path, unit: &Path) {
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(unit)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()))
        .output();
    let output = match verified {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("{error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // It reads the units of this machine too, and what it says of those is another's business.
    let is_ours = |line: &&str| {
        let of_others = line.starts_with('/') && !Path::new(line).starts_with(folder);
        !of_others && !line.is_empty()
    };
    let ours: Vec<&str> = said.lines().filter(is_ours).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", unit.display());
}
