//! The discovery `fleet`: the machines of a CoreOS cluster, as fleetd registers them.
//!
//! Each fleetd keeps one key in etcd alive, `/_coreos.com/fleet/machines/ID/object`, with what it is
//! (see `machine`). It writes it by etcd's API of version 2, so that is what is read, unless the
//! option `api` says otherwise: `v3` where something mirrors the keys there, `fleet` to ask a fleetd.
//! Nothing is tried in secret: another API might give another list, or an empty one.

mod keys_v2;
mod machine;
mod machines_api;

use heapster_shared::spec::{Spec, SpecError};
use serde::Deserialize;

use self::machine::{Naming, host_of_object};
pub(super) use self::{keys_v2::KeysV2, machines_api::MachinesApi};
use super::{
    Discovery, Kind,
    etcd::{Connector, Etcd},
    web::{Access, Endpoint, Ports, Web, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "fleet",
    summary: "the machines of a CoreOS cluster, as fleet has them in etcd; or as fleet's own API lists them",
    samples: &[
        "fleet",
        "fleet:http://e1:2379,http://e2:2379",
        "fleet:https://e1:2379?ca=/etc/ssl/etcd/ca.pem&cert=/etc/ssl/etcd/client.pem&key=/etc/ssl/etcd/client-key.pem",
        "fleet:http://e1:2379?username=heapster&password_file=/etc/heapster/etcd-password",
        "fleet:http://e1:2379,http://e2:2379?api=v3",
        "fleet:unix:///var/run/fleet.sock",
        "fleet:http://10.0.0.7:49153?api=fleet",
    ],
    build,
};

/// Those of etcd's, new and old.
const ETCD_PORTS: Ports = Ports::both(&[2379, 4001]);
/// That of `fleet.socket` in fleet's own documentation.
const FLEET_PORTS: Ports = Ports::both(&[49153]);
const ETCD: &str = "http://127.0.0.1";
const FLEET_SOCKET: &str = "unix:///var/run/fleet.sock";

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What is asked: `v2` or `v3`, etcd's API of that version, or `fleet`, that of a fleetd.
    /// Default: `v2`, by which fleetd writes; `fleet` where the location is a socket.
    api: Option<ApiVersion>,
    /// What fleet's keys begin with, as in its `etcd_key_prefix`. Default: `/_coreos.com/fleet/`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// What machines are called in their rows: `id`, which stays, or `ip`, which people know.
    /// Default: `id`.
    #[serde(default)]
    name: Naming,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum ApiVersion {
    V2,
    V3,
    Fleet,
}

fn default_prefix() -> String {
    "/_coreos.com/fleet/".to_owned()
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("fleet: {what}"));
    let api = options.api.unwrap_or_else(|| default_api(&spec.location));
    let (default, ports) = match api {
        ApiVersion::V2 | ApiVersion::V3 => (ETCD, ETCD_PORTS),
        ApiVersion::Fleet => (FLEET_SOCKET, FLEET_PORTS),
    };
    let endpoints = endpoints(&spec.location, default, ports).map_err(wrong)?;
    access.check(&endpoints).map_err(wrong)?;
    let machines = machines_prefix(&options.prefix).map_err(wrong)?;
    let naming = options.name;
    match api {
        ApiVersion::V2 => {
            Ok(Box::new(Web::new(KIND.name, endpoints, access, KeysV2::new(machines, naming))))
        }
        ApiVersion::Fleet => {
            Ok(Box::new(Web::new(KIND.name, endpoints, access, MachinesApi { naming })))
        }
        ApiVersion::V3 => {
            let urls = endpoints.iter().map(v3_endpoint).collect::<Result<_, _>>();
            let connector = Connector::new(urls.map_err(wrong)?, access);
            let prefix = format!("{machines}/");
            let host = move |key: &str, value: &str| host_of_object(key, value, naming);
            Ok(Box::new(Etcd::new(KIND.name, connector, prefix, Box::new(host))))
        }
    }
}

fn default_api(location: &str) -> ApiVersion {
    if location.starts_with("unix:") { ApiVersion::Fleet } else { ApiVersion::V2 }
}

fn v3_endpoint(endpoint: &Endpoint) -> Result<String, String> {
    match endpoint {
        Endpoint::Url(url) => Ok(url.clone()),
        Endpoint::Unix(_) => Err(format!("api=v3 is not at {endpoint}; name an http endpoint")),
    }
}

/// The directory of the machines: `/_coreos.com/fleet/machines`.
fn machines_prefix(prefix: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/_-.~".contains(c);
    if !prefix.starts_with('/') || !prefix.chars().all(legal) {
        return Err(format!("`prefix` `{prefix}` is no path of keys, such as /_coreos.com/fleet/"));
    }
    Ok(format!("{}/machines", prefix.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("fleet:e1:2379", "no endpoint"),
            ("fleet:http://u:p@e1", "options of their own"),
            ("fleet?api=v1", "expected one of `v2`, `v3`, `fleet`"),
            ("fleet:unix:///run/x?api=v3", "name an http endpoint"),
            ("fleet?prefix=fleet", "no path of keys"),
            ("fleet?prefix=/a?b", "no path of keys"),
            ("fleet?name=host", "expected `id` or `ip`"),
            ("fleet?username=a", "go together"),
            ("fleet?nonsense=1", "`api`, `prefix`, `name`; or, of the connection, `ca`"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_api_follows_from_the_location() {
        assert_eq!(default_api(""), ApiVersion::V2);
        assert_eq!(default_api("http://e1"), ApiVersion::V2);
        assert_eq!(default_api("unix:///var/run/fleet.sock"), ApiVersion::Fleet);
        assert_eq!(machines_prefix("/_coreos.com/fleet/").unwrap(), "/_coreos.com/fleet/machines");
        assert_eq!(machines_prefix("/").unwrap(), "/machines");
    }
}
