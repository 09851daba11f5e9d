//! The commands in README.md, the guides and the help texts are run: a guide that is wrong fails.
//!
//! `heapster ...` is started with ports and files of its own until it is up, and stopped; `curl ...`
//! asks a running standalone; a block of TOML is checked. What is not run is listed with its reason,
//! and anything that is in no list fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "guides/command.rs"]
mod command;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use command::{Place, commands_of, help_examples, words};
use heapster_testkit::process::Process;

const HEAPSTER: &str = env!("CARGO_BIN_EXE_heapster");
const SOON: Duration = Duration::from_secs(30);

/// Beginnings of commands that are not run here, and why.
const SKIPPED: [(&str, &str); 12] = [
    ("cd examples/", "begins what cli/tests/conformance/python.rs runs"),
    ("./generate ", "cli/tests/conformance/python.rs runs it"),
    ("echo ", "writes the file for an example, which cli/tests/conformance/python.rs runs"),
    ("--sink ", "built by cli/tests/docs.rs"),
    ("--source ", "built by cli/tests/docs.rs"),
    ("--discovery ", "built by cli/tests/docs.rs"),
    ("--events ", "built by cli/tests/docs.rs"),
    ("heapster conformance ", "needs a buddy or a master; cli/tests/conformance has both"),
    ("make ", "a task of the Makefile, which CI runs or which takes long"),
    ("grpcurl ", "a program that is not here; reflection is tested in master/tests"),
    ("kubectl ", "needs a cluster; what it applies is tested in cli/tests/manifests"),
    ("influx ", "needs a database with samples; master/tests/sinks asks one"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README.md, the guides, and what says how to write a buddy.
fn documents() -> Vec<(String, String)> {
    let root = root();
    let mut paths = vec![root.join("README.md"), root.join("proto/README.md")];
    let guides = fs::read_dir(root.join("docs")).unwrap();
    paths.extend(guides.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn run(arguments: &[String], folder: &Path) -> Process {
    let mut command = std::process::Command::new(HEAPSTER);
    command.args(arguments).current_dir(folder).env_clear();
    Process::start_with(&mut command).unwrap()
}

/// The files that the guides speak of.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let hosts = "{\"items\": [{\"name\": \"a\", \"ip\": \"127.0.0.1\"}]}";
    fs::write(folder.path().join("hosts.json"), hosts).unwrap();
    let config = "listen = '127.0.0.1:0'\ninsecure = true\n";
    fs::write(folder.path().join("heapster.toml"), config).unwrap();
    let buddy =
        format!("{config}master = 'http://127.0.0.1:1'\n").replace("listen = '127.0.0.1:0'\n", "");
    fs::write(folder.path().join("buddy.toml"), buddy).unwrap();
    // What `heapster cert new` and `heapster token new` leave where they are told to.
    let place = Place { document: "the folder".to_owned(), line: 0 };
    try_heapster(&place, "heapster cert new . --host HOST", folder.path());
    let token = "heapster token new lab --cluster lab --token-file lab.token";
    try_heapster(&place, token, folder.path());
    folder
}

/// Starts what runs on until it is up; runs the rest to its end.
fn try_heapster(place: &Place, line: &str, folder: &Path) {
    let arguments = command::arguments(line);
    let mut process = run(&arguments, folder);
    let up = match arguments[0].as_str() {
        "standalone" => "Ctrl-C ends",
        "master" => "waiting for buddies",
        "buddy" => "watching ",
        _ => {
            let status = process.wait(SOON).unwrap();
            assert!(status.success(), "{place}: {line}\n{}", process.output());
            return;
        }
    };
    if let Err(error) = process.line(up, SOON) {
        panic!("{place}: {line}\nas {arguments:?}: {error}");
    }
    let status = process.terminate(SOON).unwrap();
    assert!(status.success(), "{place}: {line}: {status}\n{}", process.output());
}

/// Asks until there is an answer: the first samples come with the first tick.
fn try_curl(place: &Place, line: &str, base: &str) {
    let line = line.replace("http://127.0.0.1:8082", base).replace("$(hostname)", &hostname());
    let words = words(&line);
    let url = words.iter().find(|word| word.starts_with("http://")).expect("a URL");
    let deadline = Instant::now() + SOON;
    loop {
        let answer = heapster_testkit::http::get(url).unwrap();
        if answer.status == 200 && answer.body.trim() != "[]" {
            return;
        }
        assert!(Instant::now() < deadline, "{place}: {line}: {} {}", answer.status, answer.body);
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn commands_in_the_guides_work() {
    let folder_of_all = folder();
    let standalone = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"];
    let mut standalone = run(&standalone.map(str::to_owned), folder_of_all.path());
    let line = standalone.line("http://127.0.0.1:", SOON).unwrap();
    let base = line[line.find("http://").unwrap()..].trim().trim_end_matches('/').to_owned();

    let (mut tried, mut skipped) = (0, Vec::new());
    for (document, text) in documents() {
        let folder = folder();
        for (place, line) in commands_of(&document, &text, "sh") {
            let skip = SKIPPED.iter().find(|(start, _)| format!("{line} ").starts_with(start));
            if let Some((_, why)) = skip {
                skipped.push(format!("{place}: {line}: {why}"));
                continue;
            }
            match words(&line)[0].as_str() {
                "heapster" | "cargo" => try_heapster(&place, &line, folder.path()),
                "curl" => try_curl(&place, &line, &base),
                _ => panic!("{place}: {line}: neither tried nor in the list of what is not"),
            }
            tried += 1;
        }
    }
    println!("{tried} commands tried; not tried:\n  {}", skipped.join("\n  "));
    assert!(tried >= 10, "the guides have fewer commands than expected: {tried}");
}

#[test]
fn examples_of_the_help_work() {
    let folder = folder();
    // The examples have the certificates in a folder of their own.
    std::os::unix::fs::symlink(".", folder.path().join("keys")).unwrap();
    let mut tried = 0;
    for command in [
        "standalone",
        "master",
        "buddy",
        "check",
        "token new",
        "cert new",
        "cert buddy",
        "completions",
    ] {
        let words = std::iter::once("help").chain(command.split(' '));
        let mut help = run(&words.map(str::to_owned).collect::<Vec<_>>(), folder.path());
        assert!(help.wait(SOON).unwrap().success());
        // The end of the program and that of its output are two things.
        help.line("Examples:", SOON).unwrap();
        for line in help_examples(&help.output()) {
            try_heapster(
                &Place { document: format!("help {command}"), line: 0 },
                &line,
                folder.path(),
            );
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}

/// Files in the guides are files that a program takes.
#[test]
fn configurations_in_the_guides_are_right() {
    let folder = folder();
    for (document, text) in documents() {
        for (place, block) in command::blocks_of(&document, &text, "toml") {
            let file = folder.path().join("block.toml");
            fs::write(&file, block).unwrap();
            let mut check = run(&["check".into(), file.to_str().unwrap().into()], folder.path());
            let status = check.wait(SOON).unwrap();
            assert!(status.success(), "{place}: {}", check.output());
        }
    }
}
