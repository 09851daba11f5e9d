//! The discovery `static`: hosts from a file, or written into the option `hosts`.
//!
//! The file is read again when it changes. Its directory is watched, so that files which are put
//! in place by renaming and the symbolic links of Kubernetes' config maps are noticed too; where
//! no watch can be had (or the link's target is elsewhere), its metadata are looked at now and then.

mod parse;
mod watch;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

pub(super) use self::parse::{hosts, hosts_of_groups};
use self::watch::Watch;
use super::{Discovery, DiscoveryError, Kind, address::Address};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "static",
    summary: "hosts from a file (the hosts JSON of the Go Heapster, or Prometheus' file_sd as JSON or YAML), read again when it changes; or from the option `hosts`",
    samples: &[
        "static:/etc/heapster/hosts.json",
        "static:targets.yaml",
        "static:?hosts=a=10.0.0.1:4194,b=10.0.0.2,[fd00::3]:8080",
    ],
    build,
};

/// A file of more bytes than this is no list of hosts.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The options.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Hosts as `NAME=ADDRESS[:PORT]` or `ADDRESS[:PORT]`, joined by commas; may be repeated. In
    /// place of a file.
    #[serde(default)]
    hosts: Vec<String>,
}

fn build(spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let options: Options = spec.options()?;
    let wrong = |what: &str| SpecError(format!("{}: {what}", spec.name()));
    match (spec.location.is_empty(), options.hosts.is_empty()) {
        (false, true) => Ok(Box::new(HostsFile::new(PathBuf::from(&spec.location)))),
        (true, false) => {
            let hosts = inline(&options.hosts).map_err(|error| wrong(&error))?;
            Ok(Box::new(Inline(hosts)))
        }
        (true, true) => Err(wrong(
            "name a file, as in static:hosts.json, or hosts, as in static:?hosts=a=10.0.0.1:4194",
        )),
        (false, false) => Err(wrong("name a file or give `hosts`, not both")),
    }
}

/// Hosts that never change.
struct Inline(Vec<Host>);

#[async_trait]
impl Discovery for Inline {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        Ok(self.0.clone())
    }
}

fn inline(lists: &[String]) -> Result<Vec<Host>, String> {
    let entries = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    let mut hosts: Vec<Host> = Vec::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let (name, address) = entry.split_once('=').unwrap_or(("", entry));
        let address = Address::parse(address)?;
        let name = if entry.contains('=') { name.trim() } else { &address.host };
        if entry.contains('=') {
            super::address::check_name(name)?;
        }
        let mut host = Host::named(name);
        host.endpoints = address.endpoints("");
        host.addresses = vec![address.host];
        if hosts.iter().any(|known| known.id == host.id) {
            return Err(format!("`hosts` has two hosts of the name `{}`", host.id));
        }
        hosts.push(host);
    }
    if hosts.is_empty() { Err("`hosts` names no host".to_owned()) } else { Ok(hosts) }
}

/// Hosts of a file.
struct HostsFile {
    path: PathBuf,
    watch: Watch,
}

impl HostsFile {
    fn new(path: PathBuf) -> Self {
        Self { watch: Watch::new(&path), path }
    }
}

#[async_trait]
impl Discovery for HostsFile {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        // Before reading: what is written from now on is a change.
        self.watch.begin().await;
        let text = read(&self.path).await.map_err(|error| self.error(&error))?;
        parse::hosts(&self.path, &text).map_err(|error| self.error(&error))
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

impl HostsFile {
    fn error(&self, what: &str) -> DiscoveryError {
        DiscoveryError(format!("{}: {what}", self.path.display()))
    }
}

async fn read(path: &Path) -> Result<String, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).await;
    let length = read.map_err(|error| error.to_string())?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(format!("larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("no UTF-8 text at line {line} column {column}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_text(text: &str) -> Result<Box<dyn Discovery>, SpecError> {
        build(text.parse().unwrap())
    }

    #[tokio::test]
    async fn inline_hosts_have_names_and_ports() {
        let text = "static:?hosts=a=10.0.0.1:4194,b=10.0.0.2&hosts=[fd00::3]:8080";
        let hosts = build_text(text).unwrap().list().await.unwrap();
        let ids: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "fd00::3"]);
        assert_eq!(hosts[0].addresses, ["10.0.0.1"]);
        assert_eq!(hosts[0].endpoints[0].port, 4194);
        assert!(hosts[1].endpoints.is_empty());
        assert_eq!(hosts[2].addresses, ["fd00::3"]);
    }

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("static", "name a file"),
            ("static:a.json?hosts=b", "not both"),
            ("static:?hosts=a=x:0", "no port"),
            ("static:?hosts=a=1.1.1.1,a=2.2.2.2", "two hosts of the name `a`"),
            ("static:?hosts==1.1.1.1", "empty name"),
            ("static:?hosts=,", "names no host"),
            ("static:a.json?host=b", "unknown option `host`, expected `hosts`"),
        ] {
            let error = build_text(text).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
