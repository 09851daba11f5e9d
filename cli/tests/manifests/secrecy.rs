//! Nothing that is applied is open to whoever comes: no plain text, no stranger, and no file of a
//! Secret that nobody needs.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{
    keys::Keys,
    render,
    workload::{Container, containers},
};

/// What opens a program to everybody.
const OPEN: [&str; 4] = ["--insecure", "--anonymous", "HEAPSTER_INSECURE", "HEAPSTER_ANONYMOUS"];

/// What a line of a file says, comments left out.
fn said(line: &str) -> &str {
    let line = line.trim_start();
    if line.starts_with('#') { "" } else { line }
}

/// Manifests, units, images and scripts alike: who wants it open has to say so himself.
#[test]
fn nothing_that_is_deployed_is_open() {
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")];
    let mut read = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().map(said) {
            let open = OPEN.iter().find(|open| line.contains(**open));
            assert_eq!(open, None, "{}: {line}", path.display());
        }
        read += 1;
    }
    assert!(read >= 30, "{read} files only");
}

/// As rendered, where parts come together, and in the guide's overlays.
#[test]
fn nothing_that_is_rendered_is_open() {
    let mut all: Vec<(String, Vec<Value>)> =
        render::all().into_iter().map(|(base, documents)| (base.to_owned(), documents)).collect();
    all.extend(super::guide::overlays());
    for (base, documents) in &all {
        for container in containers(base, documents) {
            let environment = container.environment();
            let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
            for text in container.arguments().into_iter().chain(variables) {
                let open = OPEN.iter().find(|open| text.contains(**open));
                assert_eq!(open, None, "{}: {text}", container.title);
            }
        }
    }
}

/// The Secret that a container mounts: its name, and where.
fn mounted(container: &Container<'_>) -> Option<(String, String)> {
    let volumes = container.template["spec"]["volumes"].as_array().into_iter().flatten();
    let mut secrets = volumes.filter(|volume| !volume["secret"].is_null());
    let volume = secrets.next()?;
    assert!(secrets.next().is_none(), "{}: more than one Secret", container.title);
    assert_eq!(volume["secret"]["defaultMode"], 0o440, "{}", container.title);
    let group = &container.template["spec"]["securityContext"];
    assert_eq!(group["fsGroup"], group["runAsGroup"], "{}: it cannot read it", container.title);
    let mut mounts = container.value["volumeMounts"].as_array().into_iter().flatten();
    let mount = mounts.find(|mount| mount["name"] == volume["name"]).unwrap();
    assert_eq!(mount["readOnly"], true, "{}", container.title);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some((text(&volume["secret"]["secretName"]), text(&mount["mountPath"])))
}

/// Options name the files that the guide puts into the Secret, each of them, and no others.
#[test]
fn mounted_files_are_those_that_options_name() {
    let Some(keys) = Keys::of_the_guide() else { return };
    for base in ["master", "master-with-grafana", "buddy", "daemonset"] {
        let documents = render::render(base);
        for container in containers(base, &documents).iter().filter(|one| one.is_own()) {
            let (secret, place) = mounted(container).expect("a Secret");
            let files = keys.secret(&secret).unwrap();
            let there: BTreeSet<String> =
                files.keys().map(|file| format!("{place}/{file}")).collect();
            let environment = container.environment().into_values();
            let named: BTreeSet<String> = environment
                .chain(container.arguments())
                .filter(|value| value.starts_with(&place))
                .collect();
            assert_eq!(named, there, "{}", container.title);
        }
    }
}

/// The page of the all-in-one is on no network, so that it needs no keys; what a guide's overlay opens
/// it with lies in a volume that is there.
#[test]
fn the_all_in_one_is_open_to_forwarded_ports_alone() {
    let documents = render::render("all-in-one");
    for container in containers("all-in-one", &documents) {
        assert_eq!(container.environment()["HEAPSTER_LISTEN"], "127.0.0.1:8082");
        let ports = container.value["ports"].as_array().unwrap();
        assert!(ports.iter().all(|port| port["containerPort"] != 8082), "{ports:?}");
        let (_, place) = mounted(&container).unwrap();
        let overlays = super::guide::overlays();
        let opened = overlays.iter().flat_map(|(line, documents)| containers(line, documents));
        let opened = opened.filter(|one| one.argument("buddy-id").as_deref() == Some("heapster"));
        let mut opened = opened.filter(|one| one.environment().contains_key("HEAPSTER_TLS_CERT"));
        let environment = opened.next().expect("an overlay that opens it").environment();
        for option in ["HEAPSTER_TLS_CERT", "HEAPSTER_TLS_KEY", "HEAPSTER_CREDENTIALS"] {
            assert!(environment[option].starts_with(&place), "{option}");
        }
    }
}
