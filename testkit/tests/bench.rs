//! The bench itself, as far as it can be run without the programs that it measures.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// A folder of programs: the real simulation, and scripts in the place of the others.
fn programs(folder: &Path, master_script: &str) {
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_heapster-sim"), folder.join("heapster-sim"))
        .expect("a link can be made");
    for (name, script) in [("heapster-master", master_script), ("heapster-buddy", "sleep 60")] {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("and made to run");
    }
}

fn bench(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_heapster-bench"))
        .args(["--hosts", "2", "--resolution", "1s", "--bin-dir"])
        .arg(folder)
        .output()
        .expect("the bench starts");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whoever runs it learns what the master did not like, at once and not after a minute.
#[test]
fn a_master_that_stops_early_is_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    programs(folder.path(), "echo \"no such option: $*\" >&2; exit 2");
    let error = bench(folder.path());
    assert!(error.contains("heapster-master stopped early"), "{error}");
    assert!(error.contains("no such option: --listen 127.0.0.1:"), "{error}");
}

#[test]
fn a_missing_program_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = bench(folder.path());
    assert!(error.contains("heapster-sim is not there"), "{error}");
}
