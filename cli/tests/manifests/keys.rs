//! The keys that docs/kubernetes.md makes: its own commands, run, give the Secrets that pods mount.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use heapster_testkit::peer::missing_peers_fail;
use serde_json::Value;

use super::{render, schema};

/// The folder that the commands leave, and the Secrets that they make of it.
pub(crate) struct Keys {
    folder: tempfile::TempDir,
    secrets: Vec<Value>,
}

/// The commands of the guide's first section, word by word.
fn commands() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubernetes.md");
    let guide = fs::read_to_string(path).unwrap();
    let (_, rest) = guide.split_once("## From nothing to a graph").unwrap();
    let (section, _) = rest.split_once("\n### ").unwrap();
    let makes = |line: &&str| line.starts_with("heapster ") || line.contains(" create secret ");
    let lines = section.lines().filter(makes);
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

impl Keys {
    /// Those of the guide; nothing where there is no `kubectl`, which fails in CI.
    pub(crate) fn of_the_guide() -> Option<Self> {
        let mut keys = Self { folder: tempfile::tempdir().unwrap(), secrets: Vec::new() };
        for words in commands() {
            let is_ours = words[0] == "heapster";
            let program = if is_ours { env!("CARGO_BIN_EXE_heapster") } else { "kubectl" };
            let mut command = Command::new(program);
            command.args(&words[1..]).current_dir(keys.folder.path());
            if !is_ours {
                command.args(["--dry-run=client", "--output=json", "--kubeconfig=/dev/null"]);
            }
            let output = match command.output() {
                Err(_) if !is_ours && !missing_peers_fail() => return None,
                output => output.unwrap(),
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", words.join(" "));
            if !is_ours {
                keys.secrets.push(serde_json::from_slice(&output.stdout).unwrap());
            }
        }
        Some(keys)
    }

    /// A file of the folder `keys`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("keys").join(name)
    }

    /// What is in it, without a line's end.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().trim_end().to_owned()
    }

    /// The files of a Secret; none where the guide makes no such Secret.
    pub(crate) fn secret(&self, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let named = |one: &&Value| one["metadata"]["name"] == name;
        let secret = self.secrets.iter().find(named)?;
        let data = secret["data"].as_object().unwrap().iter();
        let decoded = |(file, text): (&String, &Value)| {
            (file.clone(), STANDARD.decode(text.as_str().unwrap()).unwrap())
        };
        Some(data.map(decoded).collect())
    }
}

/// The Secrets are in the namespace of the pods, and the key that makes certificates is in none.
#[test]
fn the_secrets_of_the_guide_hold_what_pods_need() {
    let Some(keys) = Keys::of_the_guide() else { return };
    assert_eq!(keys.secrets.len(), 2);
    let authority = keys.read("ca.key");
    let looker = keys.read("me.token");
    for secret in &keys.secrets {
        let title = render::title(secret);
        assert_eq!(secret["metadata"]["namespace"], "heapster", "{title}");
        let mut object = secret.clone();
        object["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
        assert_eq!(schema::check(&object), Ok(()), "{title}");
        for content in keys.secret(secret["metadata"]["name"].as_str().unwrap()).unwrap().values() {
            let text = String::from_utf8(content.clone()).unwrap();
            assert!(!text.contains(&authority) && !text.contains(&looker), "{title}");
        }
    }
}
