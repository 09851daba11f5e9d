//! The source `cgroup`: reads the machine that it runs on, with no help from anybody: the control
//! groups (v1, v2 and hybrid) and `/proc`.
//!
//! ```text
//! hierarchy ─▶ walk ─▶ recognise, names ─▶ values ─┐
//! machine (proc: CPU, memory, network, disks) ─────┴▶ reader ─▶ readings
//! ```
//!
//! A container is named by its own name where its runtime keeps that in a file (Docker, podman),
//! else by runtime and short id (`containerd-335d55451c60`); every other group by its path without
//! the leading `/`. Containers carry the labels `container_id`, `container_runtime` and, where the
//! runtime tells, `container_base_image`; what belongs to a pod carries `pod_id`. All of them are
//! `sys_container`s: the kernel knows no names of pods.

mod devices;
pub mod door;
mod files;
mod hierarchy;
mod identity;
mod machine;
mod mounts;
mod names;
mod reader;
mod recognise;
mod survey;
mod values;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
    units,
};
use serde::Deserialize;
use tokio::sync::Mutex;

use self::{
    files::FileReader, hierarchy::Hierarchies, identity::Identity, machine::Places, reader::Reader,
    survey::Survey,
};
use super::{Kind, Layouts, PollError, Readings, Source};

const DEFAULT_ROOT: &str = "/sys/fs/cgroup";

/// This kind's entry in the table.
pub(super) const KIND: Kind = Kind {
    name: "cgroup",
    summary: "the control groups of the machine that it runs on, and the machine itself",
    samples: &[
        "cgroup",
        "cgroup:?name=node-7&containers_only=true",
        "cgroup:?root=/host/sys/fs/cgroup&proc=/host/proc&rootfs=/host",
    ],
    build,
};

/// Options of the source.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// Where the control groups are mounted; in a container the place of the host's, such as
    /// `/host/sys/fs/cgroup`. Default `/sys/fs/cgroup`.
    root: String,
    /// Where `proc` is mounted; in a container the place of the host's. Default `/proc`.
    proc: String,
    /// Where the machine's root filesystem is mounted. It goes in front of mount points, and of the
    /// paths of `docker_root`, `podman_root` and the machine's id. Default: none, where we are.
    rootfs: String,
    /// Name of the node. Default: the machine's host name.
    name: Option<String>,
    /// How many levels of groups to look at; groups below count in those above all the same.
    /// Default 32.
    max_depth: usize,
    /// Whether to leave out groups that are no containers. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    containers_only: bool,
    /// Where Docker keeps its data, for names and images of its containers. Default
    /// `/var/lib/docker`.
    docker_root: String,
    /// Where podman keeps its data, for names of its containers. Default
    /// `/var/lib/containers/storage`.
    podman_root: String,
    /// Network interfaces to sum over, separated by commas. Default: those that look like cards.
    interfaces: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: DEFAULT_ROOT.to_owned(),
            proc: "/proc".to_owned(),
            rootfs: String::new(),
            name: None,
            max_depth: 32,
            containers_only: false,
            docker_root: "/var/lib/docker".to_owned(),
            podman_root: "/var/lib/containers/storage".to_owned(),
            interfaces: String::new(),
        }
    }
}

impl Config {
    /// Checks the values and takes `/` off the ends of paths.
    fn checked(mut self) -> Result<Self, SpecError> {
        let paths = [
            ("root", &mut self.root),
            ("proc", &mut self.proc),
            ("docker_root", &mut self.docker_root),
            ("podman_root", &mut self.podman_root),
            ("rootfs", &mut self.rootfs),
        ];
        for (option, path) in paths {
            if !(path.starts_with('/') || (path.is_empty() && option == "rootfs")) {
                return Err(SpecError(format!(
                    "cgroup: {option}={path} is no absolute path: write one that begins with /"
                )));
            }
            path.truncate(path.trim_end_matches('/').len());
        }
        if self.name.as_ref().is_some_and(String::is_empty) {
            return Err(SpecError(
                "cgroup: name is empty: leave it out or write a name".to_owned(),
            ));
        }
        if !(1..=256).contains(&self.max_depth) {
            return Err(SpecError(format!(
                "cgroup: max_depth={} is not within 1 and 256",
                self.max_depth
            )));
        }
        Ok(self)
    }

    fn places(&self) -> Places {
        let interfaces = self.interfaces.split(',').map(str::trim).filter(|name| !name.is_empty());
        Places {
            proc: self.proc.clone(),
            rootfs: self.rootfs.clone(),
            interfaces: interfaces.map(str::to_owned).collect(),
        }
    }

    fn docker_root(&self) -> PathBuf {
        PathBuf::from(format!("{}{}", self.rootfs, self.docker_root))
    }

    fn podman_root(&self) -> PathBuf {
        PathBuf::from(format!("{}{}", self.rootfs, self.podman_root))
    }

    /// Finds the trees; they are mounted where we are, so our own mount table tells.
    fn hierarchies(&self, files: &mut FileReader) -> Hierarchies {
        let table = files.read(&[&self.proc, "/self/mountinfo"]).unwrap_or_default();
        Hierarchies::find(Path::new(&self.root), table, self.root == DEFAULT_ROOT)
    }
}

/// Reads this machine.
struct CgroupSource {
    config: Config,
    identity: Identity,
    /// One poll at a time: one that hangs costs one thread and not one a tick.
    reader: Arc<Mutex<Reader>>,
    layouts: Arc<Layouts>,
}

fn build(spec: Spec) -> Result<Box<dyn Source>, SpecError> {
    if !spec.location.is_empty() {
        return Err(SpecError(format!(
            "cgroup: `{0}` is one place too many, since it reads this machine; write cgroup:?root={0} \
             if the cgroups are mounted there",
            spec.location
        )));
    }
    let config = spec.options::<Config>()?.checked()?;
    let identity = Identity::read(config.name.as_deref(), &config.rootfs);
    let reader = Reader::new(config.clone(), identity.clone());
    Ok(Box::new(CgroupSource {
        config,
        identity,
        reader: Arc::new(Mutex::new(reader)),
        layouts: Arc::default(),
    }))
}

#[async_trait]
impl Source for CgroupSource {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn own_host(&self) -> Option<Host> {
        Some(Host::named(&self.identity.name))
    }

    fn describe(&self) -> Option<String> {
        let hierarchies = self.config.hierarchies(&mut FileReader::default());
        let survey = Survey::take(&hierarchies, self.config.max_depth);
        Some(format!("{} ({survey})", self.identity.name))
    }

    async fn poll(&self, _host: &Host) -> Result<Readings, PollError> {
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        let layouts = Arc::clone(&self.layouts);
        let polled = tokio::task::spawn_blocking(move || reader.poll(&layouts)).await;
        polled
            .unwrap_or_else(|error| Err(PollError(format!("reading this machine failed: {error}"))))
    }
}

/// The time, in milliseconds since 1970.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
