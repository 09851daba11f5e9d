//! The overlays in docs/kubernetes.md render, and change what they say.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    render::{self, of_kind},
    schema,
    workload::{containers, templates},
};

/// The YAML blocks of the guide, each with the line before it.
fn blocks() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubernetes.md");
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, block)) = rest.split_once("```yaml\n") {
        let (block, after) = block.split_once("```").unwrap();
        let line = before.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
        blocks.push((line.to_owned(), block.to_owned()));
        rest = after;
    }
    blocks
}

/// A folder with an overlay, beside a folder `heapster` that is this tree.
fn write(folder: &Path, name: &str, overlay: &str) -> PathBuf {
    let place = folder.join(name);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("kustomization.yaml"), overlay).unwrap();
    place
}

/// What the overlays in the guide render to, each with the line before it; none where there is no
/// `kubectl`.
pub(crate) fn overlays() -> Vec<(String, Vec<Value>)> {
    let rendered = rendered().into_iter().map(|(line, _, documents)| (line, documents));
    rendered.collect()
}

/// Each overlay: the line before it, itself, and what it renders to.
fn rendered() -> Vec<(String, String, Vec<Value>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Only the manifests: what `kubectl` reads has to lie where the overlay says.
    fs::create_dir_all(folder.path().join("heapster/deploy")).unwrap();
    let link = folder.path().join("heapster/deploy/kubernetes");
    symlink(root.join("deploy/kubernetes"), &link).unwrap();
    let overlays: Vec<_> =
        blocks().into_iter().filter(|(_, block)| block.starts_with("bases:")).collect();
    assert!(overlays.len() >= 4, "the guide has fewer overlays than expected");
    let render = |(index, (line, overlay)): (usize, (String, String))| {
        let place = write(folder.path(), &format!("overlay-{index}"), &overlay);
        (line, overlay, render::render_folder(&place))
    };
    let rendered = overlays.into_iter().enumerate().map(render);
    rendered.filter(|(_, _, documents)| !documents.is_empty()).collect()
}

#[test]
fn overlays_in_the_guide_render() {
    for (line, overlay, documents) in rendered() {
        check(&overlay, &documents, &line);
    }
}

/// What the overlay sets is set, and what it takes away is away.
fn check(overlay: &str, documents: &[Value], line: &str) {
    let containers = containers(line, documents);
    let ours = containers.iter().find(|one| one.image().contains("heapster")).unwrap();
    let environment = ours.environment();
    let literals = overlay.lines().filter_map(|line| line.trim().strip_prefix("- HEAPSTER_"));
    for literal in literals {
        let (name, value) = literal.split_once('=').unwrap();
        let found = environment.get(&format!("HEAPSTER_{name}"));
        assert_eq!(found.map(String::as_str), Some(value), "{line}");
    }
    let kept = ["HEAPSTER_RESOLUTION", "HEAPSTER_SOURCE"];
    assert!(kept.iter().any(|name| environment.contains_key(*name)), "{line}: not merged");
    if overlay.contains("newName: registry.example/") {
        assert!(containers.iter().any(|one| one.image().starts_with("registry.example/")));
    }
    let apis = of_kind(documents, "APIService").count();
    let keeps = overlay.contains("/parts/buddy");
    assert!(!keeps || apis == 0, "{line}: metrics-server is not kept");
}

/// Objects in the guide are what Kubernetes takes, and the network policy is for the buddy's pod and
/// lets in what the API server asks.
#[test]
fn objects_in_the_guide_are_of_their_type() {
    let objects: Vec<Value> = blocks()
        .into_iter()
        .filter(|(_, block)| block.starts_with("apiVersion:"))
        .flat_map(|(_, block)| render::documents(&block))
        .collect();
    assert!(objects.len() >= 2, "the guide has fewer objects than expected");
    for object in &objects {
        assert_eq!(schema::check(object), Ok(()), "{}", render::title(object));
    }
    let policy = of_kind(&objects, "NetworkPolicy").next().unwrap();
    let selector = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
    let let_in = &policy["spec"]["ingress"][0]["ports"][0]["port"];
    let base = render::render("buddy");
    for (_, template) in templates(&base) {
        for (label, value) in selector {
            assert_eq!(&template["metadata"]["labels"][label], value);
        }
        assert_eq!(&template["spec"]["containers"][0]["ports"][0]["containerPort"], let_in);
    }
}
