//! The program `heapster-sim --kubernetes`, as it is started for demos and benches.

use std::{path::Path, time::Duration};

use heapster_testkit::process::Process;

use super::kubectl::run;

const PATIENCE: Duration = Duration::from_secs(60);

/// One command brings a cluster that `kubectl` knows, and nothing of it is left when it ends.
#[test]
fn a_cluster_is_one_command_away() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let path = kubeconfig.display().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_heapster-sim"));
    let arguments =
        ["--kubernetes", "--hosts=3", "--pods=2", "--port=0", "--kubeconfig", path.as_str()];
    let mut sim = Process::start(program, arguments).unwrap();
    let line = sim.line("service account: ", PATIENCE).unwrap();
    let account = line.split(' ').nth(2).unwrap().to_owned();
    assert!(Path::new(&account).join("token").exists(), "{line}");
    let arguments: Vec<String> =
        ["get", "pods", "-A", "--no-headers"].iter().map(|&argument| argument.into()).collect();
    let (succeeded, pods) = run(&kubeconfig, folder.path(), &arguments);
    assert!(succeeded && pods.lines().count() == 6, "{pods}");
    assert!(sim.terminate(PATIENCE).unwrap().success());
    assert!(!Path::new(&account).exists());
}
