//! What may be built in.

use std::collections::BTreeMap;

use super::{
    graph::{Graph, Package},
    licence::can_be_met,
};

/// Licences that ask for no more than that they are named.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every crate is under licences of the list.
pub(crate) fn licences(graph: &Graph) -> Vec<String> {
    let wrong = |package: &Package| {
        let licence = &package.licence;
        if licence.is_empty() {
            return Some("it names no licence: do without it".to_owned());
        }
        match can_be_met(licence, &LICENCES) {
            Ok(true) => None,
            Ok(false) => Some(format!(
                "the licence `{licence}` is not among those that are allowed: do without it, or argue for the licence in this test"
            )),
            Err(why) => Some(format!("the licence `{licence}` cannot be read: {why}")),
        }
    };
    told(graph, wrong)
}

/// Every crate of others comes from the registry, where it stays as it is.
pub(crate) fn sources(graph: &Graph) -> Vec<String> {
    let wrong = |package: &Package| {
        let source = match package.source.as_str() {
            REGISTRY => return None,
            "" => "a path",
            source => source,
        };
        Some(format!("it comes from {source}: take a released version from the registry"))
    };
    told(graph, wrong)
}

/// A crate, the versions that are allowed all the same, by how they begin, and what to do.
type Ban = (&'static str, &'static [&'static str], &'static str);

const ONE_TLS: &str = "rustls with ring is the only TLS here: look for a feature that takes it";
const BANNED: [Ban; 15] = [
    ("openssl", &[], ONE_TLS),
    ("openssl-sys", &[], ONE_TLS),
    ("native-tls", &[], ONE_TLS),
    ("hyper-tls", &[], ONE_TLS),
    ("boring", &[], ONE_TLS),
    ("aws-lc-rs", &[], ONE_TLS),
    ("aws-lc-sys", &[], ONE_TLS),
    ("aws-lc-fips-sys", &[], ONE_TLS),
    ("webpki", &[], "it is not maintained: rustls-webpki took its place"),
    ("rustls", &["0.23."], "older ones believe what they should not: ask for 0.23"),
    ("rustls-webpki", &["0.103."], "older ones have advisories: ask for a rustls of 0.23"),
    ("time", &["0.3."], "older ones read the environment unsafely: jiff is what is used here"),
    ("cmake", &[], "building takes cargo and a C compiler and no more"),
    ("serde_yaml", &[], "it is not maintained: serde_yaml_ng is what is used here"),
    ("sled", &[], "what is kept on disk is written by this project alone"),
];

/// Nothing that was decided against is there.
pub(crate) fn banned(graph: &Graph) -> Vec<String> {
    let wrong = |package: &Package| {
        let (_, allowed, what_to_do) = BANNED.iter().find(|(name, ..)| *name == package.name)?;
        let fits = allowed.iter().any(|start| package.version.starts_with(start));
        (!fits).then(|| format!("it is banned: {what_to_do}"))
    };
    told(graph, wrong)
}

/// Crates that are too large, or too near to the network, to be there twice.
const HEAVY: [&str; 14] = [
    "actix-http",
    "actix-web",
    "axum",
    "h2",
    "http",
    "http-body",
    "hyper",
    "prost",
    "reqwest",
    "ring",
    "rustls",
    "tokio",
    "tonic",
    "tower",
];

const OF_INFLUXDB2: &str = "influxdb2 brings it, for requests in plain text that are few and small: docs/adr/0002-influxdb2.md";

/// Old versions that are there beside the new one: how the version begins, and why.
const BESIDE: [(&str, &str, &str); 5] = [
    ("h2", "0.3.", OF_INFLUXDB2),
    ("http", "0.2.", "actix-http has not moved on; its types never meet those of hyper"),
    ("http-body", "0.4.", OF_INFLUXDB2),
    ("hyper", "0.14.", OF_INFLUXDB2),
    ("reqwest", "0.11.", OF_INFLUXDB2),
];

/// Every heavy crate is there in one version, but for those that were argued for.
pub(crate) fn duplicates(graph: &Graph) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    let heavy = graph.foreign().filter(|package| HEAVY.contains(&package.name.as_str()));
    for package in heavy.filter(|package| excuse(package).is_none()) {
        versions.entry(&package.name).or_default().push(package);
    }
    let several = versions.values().filter(|several| several.len() > 1);
    let oldest_last = several.map(|several| several.last()).map(|package| {
        let package = package.expect("there are several");
        let what = format!(
            "{} is there in two versions: ask for the one that the others have, or argue for it in this test",
            package.name
        );
        graph.violation(package, &what)
    });
    oldest_last.collect()
}

fn excuse(package: &Package) -> Option<&'static str> {
    let excused = |(name, start, _): &&(&str, &str, &str)| {
        *name == package.name && package.version.starts_with(start)
    };
    BESIDE.iter().find(excused).map(|(.., why)| *why)
}

/// Exceptions that nobody needs any more.
pub(crate) fn stale_exceptions(graph: &Graph) -> Vec<String> {
    let is_stale = |(name, start, _): &&(&str, &str, &str)| {
        !graph.foreign().any(|it| it.name == *name && it.version.starts_with(start))
    };
    let stale = BESIDE.iter().filter(is_stale);
    stale
        .map(|(name, start, why)| {
            format!("{name} {start}* is gone: delete its exception ({why}) from this test")
        })
        .collect()
}

fn told(graph: &Graph, wrong: impl Fn(&Package) -> Option<String>) -> Vec<String> {
    let told = graph.foreign().filter_map(|it| Some(graph.violation(it, &wrong(it)?)));
    told.collect()
}

/// Whether a member's manifest takes over the lints of the workspace.
pub(crate) fn inherits_lints(manifest: &str) -> bool {
    section(manifest, "[lints]").any(|line| line == "workspace = true")
}

/// Whether the workspace's manifest forbids unsafe code.
pub(crate) fn forbids_unsafe(manifest: &str) -> bool {
    section(manifest, "[workspace.lints.rust]").any(|line| line == "unsafe_code = \"forbid\"")
}

/// The lines below a heading of a manifest.
fn section<'a>(manifest: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().map(str::trim);
    let below = lines.skip_while(move |line| *line != heading).skip(1);
    below.take_while(|line| !line.starts_with('['))
}
