//! The units for fleet and for Flatcar.

use std::{fs, path::PathBuf, process::Command};

use heapster_testkit::process::Process;

use crate::{
    HEAPSTER, SOON,
    butane::butane,
    deploy,
    machines::{FLATCAR, FLEET, Machines},
    verify,
};

/// A unit, and where it is from.
struct Unit {
    name: String,
    text: String,
}

/// All units, those for fleet first.
fn units() -> Vec<Unit> {
    let mut units = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(deploy().join("coreos/fleet"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        units.push(Unit { name, text: fs::read_to_string(path).unwrap() });
    }
    for unit in butane().systemd.units {
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
        verify(folder.path(), &path);
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

/// The folders of the machine that a container sees, by where it does; each as it is not to be changed.
fn volumes(words: &[String]) -> Vec<(&str, &str)> {
    let pairs = words.windows(2).filter(|pair| pair[0] == "--volume");
    pairs
        .map(|pair| match pair[1].split(':').collect::<Vec<_>>()[..] {
            [from, to, "ro"] => (to, from),
            _ => panic!("{pair:?} may be written to"),
        })
        .collect()
}

/// What a unit gives to the program of its image does what it says, with files where its volumes are.
#[test]
fn the_programs_take_their_arguments() {
    let machines = Machines::new();
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
        for right in ["--user", "--privileged", "--cap-add"] {
            assert!(!words.iter().any(|word| word.starts_with(right)), "{}: {right}", unit.name);
        }
        let root =
            machines.root(if unit.text.contains("CLUSTER=flatcar") { FLATCAR } else { FLEET });
        let volumes = volumes(&words[..image]);
        let arguments = words[image + 1..].iter().map(|word| {
            let word = word.replace("0.0.0.0:8082", "127.0.0.1:0");
            let word = word.replace("0.0.0.0:8085", "127.0.0.1:0");
            volumes.iter().fold(word, |word, (to, from)| match word.strip_prefix(to) {
                Some(rest) => format!("{}{from}{rest}", root.display()),
                None => word,
            })
        });
        let folder = tempfile::tempdir().unwrap();
        let mut run = Command::new(HEAPSTER);
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
