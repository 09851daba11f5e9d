//! The manifests as `kubectl` renders them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use heapster_testkit::peer::missing_peers_fail;
use serde::Deserialize as _;
use serde_json::Value;

/// What can be applied.
pub(crate) const BASES: [&str; 5] =
    ["buddy", "daemonset", "master", "master-with-grafana", "all-in-one"];

/// The folder that all of them are in.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// The documents of a base; none where there is no `kubectl`, which fails in CI.
pub(crate) fn render(base: &str) -> Vec<Value> {
    render_folder(&folder().join(base))
}

/// The documents of a folder.
pub(crate) fn render_folder(folder: &Path) -> Vec<Value> {
    let output = match Command::new("kubectl").arg("kustomize").arg(folder).output() {
        Ok(output) => output,
        Err(error) => {
            let hint = "on Debian: apt-get install kubernetes-client";
            assert!(!missing_peers_fail(), "cannot run kubectl ({error}); {hint}");
            return Vec::new();
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", folder.display());
    documents(&String::from_utf8(output.stdout).unwrap())
}

/// The documents of all bases, each with the name of its base.
pub(crate) fn all() -> Vec<(&'static str, Vec<Value>)> {
    BASES.iter().map(|base| (*base, render(base))).collect()
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

/// `KIND NAME` of a document, for messages.
pub(crate) fn title(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

/// The documents of a kind.
pub(crate) fn of_kind<'a>(
    documents: &'a [Value],
    kind: &'a str,
) -> impl Iterator<Item = &'a Value> {
    documents.iter().filter(move |document| document["kind"] == kind)
}

/// Every folder that says how it is rendered is a base, or a part of one that is known here.
#[test]
fn every_base_is_known() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("kustomization.yaml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut known = BASES.map(str::to_owned).to_vec();
    known.sort();
    assert_eq!(found, known);
}

/// The fields of `kustomization.yaml` are those that every `kubectl` since 1.14 knows.
#[test]
fn old_kubectl_renders_them_too() {
    let known = ["bases", "resources", "configMapGenerator", "patchesStrategicMerge"];
    let mut pending = vec![folder()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.ends_with("kustomization.yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                for field in documents(&text)[0].as_object().unwrap().keys() {
                    assert!(known.contains(&field.as_str()), "{}: {field}", path.display());
                }
            }
        }
    }
}
