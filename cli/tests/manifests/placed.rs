//! A container's program outside of its pod: files lie where its volumes would be mounted, and what it
//! is told is as it was rendered, but for the places.

use std::{
    collections::BTreeMap,
    fs,
    ops::{Deref, DerefMut},
    path::Path,
    process::Command,
};

use heapster_testkit::process::Process;
use serde_json::Value;

use super::{keys::Keys, workload::Container};

/// The arguments and variables of a container, and its volumes.
pub(crate) struct Placed {
    pub(crate) folder: tempfile::TempDir,
    /// What starts it, the image's entry point first.
    pub(crate) words: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// Makes what a volume holds when a pod starts.
fn fill(volume: &Value, folder: &Path, keys: &Keys, title: &str) {
    fs::create_dir(folder).unwrap();
    if !volume["emptyDir"].is_null() {
        return;
    }
    let name = volume["secret"]["secretName"].as_str();
    let name = name.unwrap_or_else(|| panic!("{title}: say here what {volume} is"));
    let files = keys.secret(name);
    let may_lack = volume["secret"]["optional"] == true;
    assert!(files.is_some() || may_lack, "{title}: the guide makes no Secret {name}");
    for (file, content) in files.unwrap_or_default() {
        fs::write(folder.join(file), content).unwrap();
    }
}

impl Placed {
    pub(crate) fn new(container: &Container<'_>, keys: &Keys) -> Self {
        let mut placed = Self {
            folder: tempfile::tempdir().unwrap(),
            words: container.command_line(),
            environment: container.environment(),
        };
        for mount in list(container.value, "volumeMounts") {
            let mut volumes = list(&container.template["spec"], "volumes");
            let volume = volumes.find(|volume| volume["name"] == mount["name"]).unwrap();
            let folder = placed.folder.path().join(mount["name"].as_str().unwrap());
            fill(volume, &folder, keys, &container.title);
            placed.replace(mount["mountPath"].as_str().unwrap(), folder.to_str().unwrap());
        }
        placed
    }

    /// Puts one text in the place of another wherever it stands.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        let texts = self.words.iter_mut().skip(1).chain(self.environment.values_mut());
        texts.for_each(|text| *text = text.replace(from, to));
    }

    /// Sets a variable, as an overlay would.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the program of the image, by way of the one that has all of them.
    pub(crate) fn start(self) -> Running {
        let (image, arguments) = self.words.split_first().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapster"));
        command.args(image.strip_prefix("heapster-")).args(arguments);
        command.env_clear().envs(&self.environment).current_dir(self.folder.path());
        Running { process: Process::start_with(&mut command).unwrap(), _folder: self.folder }
    }
}

/// A program with its volumes, which are there as long as it runs.
pub(crate) struct Running {
    process: Process,
    _folder: tempfile::TempDir,
}

impl Deref for Running {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
