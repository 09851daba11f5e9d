//! The machines of docs/coreos.md: its commands are run, and what they make lies where units mount it.

use std::{fs, path::PathBuf, process::Command};

use crate::{HEAPSTER, IMAGE_USER, butane::butane, deploy};

/// The machines: each has the files of its root that units mount.
pub(crate) struct Machines {
    folder: tempfile::TempDir,
}

/// Which of them a unit runs on.
pub(crate) const FLEET: &str = "fleet";
pub(crate) const FLATCAR: &str = "flatcar";

impl Machines {
    /// Runs the commands of the guide, and puts on the Flatcar machine what its Butane file says.
    pub(crate) fn new() -> Self {
        let machines = Self { folder: tempfile::tempdir().unwrap() };
        let guide = fs::read_to_string(deploy().join("../docs/coreos.md")).unwrap();
        let mut run = 0;
        for line in guide.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["heapster", arguments @ ..] => machines.run(HEAPSTER, arguments),
                ["install", arguments @ ..] => machines.install(arguments),
                _ => continue,
            }
            run += 1;
        }
        assert_eq!(run, 9, "commands of the guide");
        for file in butane().storage.files {
            let to = machines.root(FLATCAR).join(file.path.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(machines.folder.path().join("keys").join(file.contents.local), to).unwrap();
        }
        machines
    }

    pub(crate) fn root(&self, machine: &str) -> PathBuf {
        self.folder.path().join(machine)
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(self.folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    /// What is secret is for the image's user; whom it belongs to here is all the same.
    fn install(&self, arguments: &[&str]) {
        let (to, rest) = arguments.split_last().unwrap();
        let is_secret = !to.ends_with(".crt");
        let owned = rest.windows(2).any(|pair| pair == ["-o", IMAGE_USER]);
        let wanted = if is_secret { "400" } else { "444" };
        assert!(rest.contains(&wanted) && owned == is_secret, "{arguments:?}");
        let to = format!("{FLEET}{to}");
        let kept = rest.iter().filter(|word| !["-o", IMAGE_USER].contains(word)).copied();
        self.run("install", &kept.chain([to.as_str()]).collect::<Vec<_>>());
    }
}
