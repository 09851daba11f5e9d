//! The slim program `heapster-buddy`: the same options as `heapster buddy`, from flags, variables and
//! a file, and the same end.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

use std::{fs, path::Path, process::Command, time::Duration};

use heapster_testkit::process::{Process, assert_help_has};

const BUDDY: &str = env!("CARGO_BIN_EXE_heapster-buddy");
const SOON: Duration = Duration::from_secs(20);

fn buddy(arguments: &[&str]) -> Process {
    Process::start(Path::new(BUDDY), arguments).unwrap()
}

#[test]
fn help_has_every_option_of_a_buddy() {
    let options = [
        "--master",
        "--insecure",
        "--resolution",
        "--cluster",
        "--discovery",
        "--source",
        "--host-timeout",
        "--poll-concurrency",
        "--discovery-interval",
        "--spool",
        "--spool-bytes",
        "--buddy-id",
        "--log",
        "--log-format",
        "--config",
    ];
    assert_help_has(Path::new(BUDDY), &options);
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    let master = "http://127.0.0.1:8085";
    let cases: [(&[&str], &str); 5] = [
        (&[], "--master <URL>"),
        (&["--master", master], "plain text has to be asked for with --insecure"),
        (&["--master", master, "--insecure", "--cluster", ""], "letters, digits"),
        (&["--master", master, "--insecure", "--source", "cadviser"], "unknown source `cadviser`"),
        (&["--master", master, "--insecure", "--log", "heapster=loud"], "--log heapster=loud"),
    ];
    for (arguments, expected) in cases {
        let mut process = buddy(arguments);
        let status = process.wait(SOON).unwrap();
        let output = process.output();
        assert!(
            !status.success() && output.contains(expected),
            "wanted {expected:?} in:\n{output}"
        );
    }
}

/// Variables go before the file; the end is orderly though there is no master.
#[test]
fn it_is_configured_by_variables_and_a_file_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("buddy.toml");
    fs::write(
        &file,
        "master = 'http://127.0.0.1:1'\ninsecure = true\ncluster = 'of-the-file'\n\
         buddy_id = 'one'\nresolution = '1s'\nsource = ['cgroup']\n",
    )
    .unwrap();
    let mut command = Command::new(BUDDY);
    command.env_clear().env("HEAPSTER_CLUSTER", "of-the-variable").env("HEAPSTER_CONFIG", &file);
    let mut process = Process::start_with(&mut command).unwrap();
    let line = process.line("with cgroup", SOON).unwrap();
    assert!(line.contains("cluster=of-the-variable") && line.contains("one"), "{line}");
    process.line("connection refused; nothing listens there", SOON).unwrap();
    let status = process.terminate(Duration::from_secs(5)).unwrap();
    assert!(status.success(), "{status}: {}", process.output());
}
