//! The way of the guide for authors, command by command as it stands there: the example buddies in
//! Python pass every check.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use heapster_testkit::{peer::Python, process::Process, real_peer};

use crate::{AT_LAST, HEAPSTER};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn guide() -> String {
    fs::read_to_string(root().join("docs/writing-a-buddy.md")).unwrap()
}

/// The commands of the guide that start in the folder of the examples.
fn commands() -> String {
    let guide = guide();
    let start = "```sh\ncd examples/buddies/python\n";
    let (_, rest) = guide.split_once(start).expect("a block of commands for the examples");
    let (block, _) = rest.split_once("```").unwrap();
    format!("cd examples/buddies/python\n{block}")
}

/// A clone as far as the commands need one, so that nothing is left in this one.
fn clone(folder: &Path) {
    let examples = "examples/buddies/python";
    let (from, to) = (root().join(examples), folder.join(examples));
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    symlink(root().join("proto"), folder.join("proto")).unwrap();
}

/// `python3` and `heapster` as the author of a buddy has them, first on the path.
fn path(folder: &Path, python: &Python) -> std::ffi::OsString {
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    symlink(HEAPSTER, programs.join("heapster")).unwrap();
    let start = format!("#!/bin/sh\nexec {} \"$@\"\n", python.command().get_program().display());
    let python = programs.join("python3");
    fs::write(&python, start).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(python, executable).unwrap();
    let rest = std::env::var_os("PATH").unwrap();
    let all = std::iter::once(programs).chain(std::env::split_paths(&rest).collect::<Vec<_>>());
    std::env::join_paths(all).unwrap()
}

/// Both examples, the one that only discovers and the one that sends rows too, have every check
/// passed or not applying; if not, the table says which.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_pass_with_both_examples() {
    let generate = root().join("examples/buddies/python/generate");
    let python = real_peer!(Python::with_stubs(&generate));
    let folder = tempfile::tempdir().unwrap();
    clone(folder.path());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-exc", &commands()]).current_dir(folder.path()).env_clear();
    shell.env("PATH", path(folder.path(), &python)).env("HOME", folder.path());
    let mut run = Process::start_with(&mut shell).unwrap();
    let status = run.wait(AT_LAST).unwrap();
    let said = run.output();
    assert!(status.success(), "{said}");
    for example in ["./discover.py --", "./rows.py --"] {
        assert!(said.contains(example), "{said}");
    }
    let ends: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("buddy: ")).collect();
    assert_eq!(ends.len(), 2, "{said}");
    assert!(ends.iter().all(|end| guide().contains(end)), "the guide says otherwise: {ends:?}");
    assert!(!said.contains("FAILED") && !said.contains("not reached"), "{said}");
}
