//! The units in `deploy/coreos`: systemd takes them without a word, the programs in them take their
//! arguments.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use heapster_testkit::process::Process;

const SOON: Duration = Duration::from_secs(30);

/// A unit, and where it is from.
struct Unit {
    name: String,
    text: String,
}

/// A Butane file as its specification has it, of which only units are used: `butane --strict` takes
/// no other field.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Butane {
    variant: String,
    version: String,
    systemd: Systemd,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Systemd {
    units: Vec<ButaneUnit>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ButaneUnit {
    name: String,
    enabled: bool,
    contents: String,
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/coreos")
}

/// All units, those for fleet first.
fn units() -> Vec<Unit> {
    let mut units = Vec::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(deploy().join("fleet")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        units.push(Unit { name, text: fs::read_to_string(path).unwrap() });
    }
    let text = fs::read_to_string(deploy().join("flatcar/heapster.bu")).unwrap();
    let butane: Butane = serde_yaml_ng::from_str(&text).unwrap();
    // The first version of this variant; every newer one takes it too.
    assert_eq!((&*butane.variant, &*butane.version), ("flatcar", "1.0.0"));
    for unit in butane.systemd.units {
        assert!(unit.enabled, "{} would never start", unit.name);
        units.push(Unit { name: unit.name, text: unit.contents });
    }
    assert_eq!(units.len(), 5);
    units
}

/// Wherever there is systemd it has nothing to say about a unit. (There need not be a Docker here.)
#[test]
fn systemd_takes_the_units() {
    for Unit { name, text } in units() {
        let folder = tempfile::tempdir().unwrap();
        for service in ["docker.service", "cadvisor.service"] {
            fs::write(folder.path().join(service), "[Service]\nExecStart=/bin/true\n").unwrap();
        }
        let path = folder.path().join(&name);
        fs::write(&path, text.replace("/usr/bin/docker ", "/bin/true ")).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output();
        let output = match verified {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => panic!("{error}"),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

/// The words of a unit's `ExecStart`, its variables and specifiers replaced.
fn command(unit: &Unit) -> Vec<String> {
    let joined = unit.text.replace("\\\n", " ");
    let line = |start: &str| joined.lines().filter_map(|line| line.strip_prefix(start)).next();
    let mut command = line("ExecStart=").expect("a command").replace("%H", "machine-1");
    for line in joined.lines() {
        let Some((name, value)) =
            line.strip_prefix("Environment=").and_then(|line| line.split_once('='))
        else {
            continue;
        };
        command = command.replace(&format!("${{{name}}}"), value);
    }
    assert!(!command.contains("${"), "{}: an unset variable in {command}", unit.name);
    command.split_whitespace().map(str::to_owned).collect()
}

/// What a unit gives to the program of its image does what it says.
#[test]
fn the_programs_take_their_arguments() {
    let mut started = 0;
    for unit in units() {
        let words = command(&unit);
        let image = words.iter().position(|word| word.contains("/heapster-"));
        let Some(image) = image else {
            assert!(
                unit.name == "cadvisor.service" && words.last().unwrap().contains("/cadvisor:")
            );
            continue;
        };
        let (program, up) = match unit.name.as_str() {
            "heapster-master.service" => ("master", "waiting for buddies"),
            _ => ("buddy", "watching "),
        };
        assert!(words[image].contains(&format!("/heapster-{program}:")), "{words:?}");
        let arguments = words[image + 1..].iter().map(|word| {
            word.replace("0.0.0.0:8082", "127.0.0.1:0").replace("0.0.0.0:8085", "127.0.0.1:0")
        });
        let folder = tempfile::tempdir().unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_heapster"));
        run.arg(program).args(arguments).current_dir(folder.path()).env_clear();
        let mut process = Process::start_with(&mut run).unwrap();
        if let Err(error) = process.line(up, SOON) {
            panic!("{}: {words:?}: {error}\n{}", unit.name, process.output());
        }
        let status = process.terminate(SOON).unwrap();
        assert!(status.success(), "{}: {status}\n{}", unit.name, process.output());
        started += 1;
    }
    assert_eq!(started, 3);
}
