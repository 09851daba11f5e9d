//! Names and images of containers, from the files in which their runtimes keep them.
//!
//! - Docker: `DOCKER_ROOT/containers/ID/config.v2.json`, one file a container.
//! - podman: `PODMAN_ROOT/overlay-containers/containers.json`, one file for all, read again only
//!   when a container shows up that was not known before.
//!
//! containerd keeps names in a database of its own, which is not read; its containers are named by
//! runtime and short id.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use compact_str::CompactString;
use serde::{Deserialize, de::DeserializeOwned};

use super::recognise::Runtime;

/// A file that is larger than this is not one of theirs.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What a runtime says of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    /// Its own name.
    pub(super) name: CompactString,
    /// Its image, or empty.
    pub(super) image: CompactString,
    /// Who runs it.
    pub(super) runtime: Runtime,
}

/// Looks names up.
#[derive(Debug)]
pub(super) struct Names {
    docker_root: PathBuf,
    podman_root: PathBuf,
    /// podman's list as read during this poll.
    podman: Option<Vec<PodmanContainer>>,
}

#[derive(Deserialize)]
struct DockerContainer {
    #[serde(rename = "Name", default)]
    name: CompactString,
    #[serde(rename = "Config", default)]
    config: DockerConfig,
}

#[derive(Deserialize, Default)]
struct DockerConfig {
    #[serde(rename = "Image", default)]
    image: CompactString,
}

#[derive(Deserialize, Debug)]
struct PodmanContainer {
    id: CompactString,
    #[serde(default)]
    names: Vec<CompactString>,
}

impl Names {
    pub(super) fn new(docker_root: PathBuf, podman_root: PathBuf) -> Self {
        Self { docker_root, podman_root, podman: None }
    }

    /// Forgets what one poll read, so that the next one sees containers made since.
    pub(super) fn start_poll(&mut self) {
        self.podman = None;
    }

    /// What the runtime of a container calls it. The path alone does not tell Docker's containers
    /// below a parent group of the user's choice from those of others, so Docker is asked in doubt.
    pub(super) fn look_up(&mut self, runtime: Option<Runtime>, id: &str) -> Option<Named> {
        match runtime {
            Some(Runtime::Docker | Runtime::Containerd) | None => docker(&self.docker_root, id),
            Some(Runtime::Podman) => self.podman(id),
            Some(Runtime::Crio) => None,
        }
    }

    fn podman(&mut self, id: &str) -> Option<Named> {
        let list = self.podman.get_or_insert_with(|| {
            let path = self.podman_root.join("overlay-containers/containers.json");
            json(&path).unwrap_or_default()
        });
        let container = list.iter().find(|container| container.id == id)?;
        let name = container.names.first()?.clone();
        Some(Named { name, image: CompactString::default(), runtime: Runtime::Podman })
    }
}

fn docker(root: &Path, id: &str) -> Option<Named> {
    let container: DockerContainer =
        json(&root.join("containers").join(id).join("config.v2.json"))?;
    let name = container.name.trim_start_matches('/');
    (!name.is_empty()).then(|| Named {
        name: name.into(),
        image: container.config.image,
        runtime: Runtime::Docker,
    })
}

/// A JSON file that need not be there; a name is not worth an error.
fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes)
        .inspect_err(
            |error| tracing::debug!(path = %path.display(), %error, "unreadable container file"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "335d55451c600f8a7e9a1f3d1c2b4a59687f6e5d4c3b2a190817263544536271";

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn docker_and_podman_tell_their_names() {
        let root = tempfile::tempdir().unwrap();
        let docker_file = root.path().join(format!("docker/containers/{ID}/config.v2.json"));
        write(&docker_file, r#"{"ID":"x","Name":"/web","Config":{"Image":"nginx:1.27","Env":[]}}"#);
        let podman_file = root.path().join("podman/overlay-containers/containers.json");
        write(
            &podman_file,
            &format!(r#"[{{"id":"{ID}","names":["db"],"image":"sha"}},{{"id":"y"}}]"#),
        );
        let mut names = Names::new(root.path().join("docker"), root.path().join("podman"));

        let web =
            Named { name: "web".into(), image: "nginx:1.27".into(), runtime: Runtime::Docker };
        assert_eq!(names.look_up(Some(Runtime::Docker), ID), Some(web.clone()));
        assert_eq!(names.look_up(None, ID), Some(web));
        assert_eq!(names.look_up(Some(Runtime::Podman), ID).unwrap().name, "db");
        assert_eq!(names.look_up(Some(Runtime::Podman), "y"), None);
        assert_eq!(names.look_up(Some(Runtime::Docker), "absent"), None);
        assert_eq!(names.look_up(Some(Runtime::Crio), ID), None);

        write(&docker_file, r#"{"Name":"/we"#);
        assert_eq!(names.look_up(Some(Runtime::Docker), ID), None, "half-written");
    }
}
