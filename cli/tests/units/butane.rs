//! The Butane file for Flatcar.

use std::fs;

use crate::{IMAGE_USER, deploy};

/// A Butane file as its specification has it, of which only files and units are used: `butane --strict`
/// takes no other field.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Butane {
    pub(crate) variant: String,
    pub(crate) version: String,
    pub(crate) storage: Storage,
    pub(crate) systemd: Systemd,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) files: Vec<ButaneFile>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButaneFile {
    pub(crate) path: String,
    /// As it is written, in octal.
    pub(crate) mode: serde_yaml_ng::Value,
    #[serde(default)]
    pub(crate) user: Option<Owner>,
    pub(crate) contents: Contents,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(crate) id: u32,
}

/// What a file holds: a file of the folder that `butane` is told of.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contents {
    pub(crate) local: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Systemd {
    pub(crate) units: Vec<ButaneUnit>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButaneUnit {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) contents: String,
}

pub(crate) fn butane() -> Butane {
    let text = fs::read_to_string(deploy().join("coreos/flatcar/heapster.bu")).unwrap();
    let butane: Butane = serde_yaml_ng::from_str(&text).unwrap();
    // The first version of this variant; every newer one takes it too.
    assert_eq!((&*butane.variant, &*butane.version), ("flatcar", "1.0.0"));
    butane
}

/// Files on Flatcar: the token is for the image's user alone.
#[test]
fn butane_gives_the_token_to_the_image_alone() {
    let octal = |mode: &serde_yaml_ng::Value| match mode {
        serde_yaml_ng::Value::Number(number) => number.to_string(),
        serde_yaml_ng::Value::String(text) => text.trim_start_matches('0').to_owned(),
        other => panic!("{other:?}"),
    };
    let files = butane().storage.files;
    assert_eq!(files.len(), 2);
    for file in files {
        let owner = file.user.map(|user| user.id.to_string());
        let is_secret = !file.path.ends_with(".crt");
        assert_eq!(owner.as_deref(), is_secret.then_some(IMAGE_USER), "{}", file.path);
        assert_eq!(octal(&file.mode), if is_secret { "400" } else { "444" }, "{}", file.path);
    }
    let dockerfile = fs::read_to_string(deploy().join("docker/Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("USER {IMAGE_USER}:{IMAGE_USER}\n")));
}
