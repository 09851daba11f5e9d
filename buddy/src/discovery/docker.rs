//! The discovery `docker`: the machine of a Docker engine.
//!
//! One engine is one machine: several are several discoveries. `swarm` has all nodes of a Swarm.

use async_trait::async_trait;
use compact_str::CompactString;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
};
use serde::Deserialize;

use super::{
    Discovery, Kind,
    address::{Address, check_name},
    web::{Access, Answer, Api, Found, Http, Ports, Web, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "docker",
    summary: "the machine of a Docker engine, with the engine's labels",
    samples: &[
        "docker",
        "docker:unix:///var/run/docker.sock?address=10.0.0.7",
        "docker:tcp://10.0.0.7:2375",
        "docker:https://10.0.0.7:2376?ca=/etc/docker/ca.pem&cert=/etc/docker/cert.pem&key=/etc/docker/key.pem",
    ],
    build,
};

const SOCKET: &str = "unix:///var/run/docker.sock";
const PORTS: Ports = Ports { http: &[2375], https: &[2376] };

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Where the machine is polled, `ADDRESS` or `ADDRESS:PORT`. Default: the host of the location;
    /// 127.0.0.1 where that is a socket.
    #[serde(default)]
    address: String,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("docker: {what}"));
    let endpoints = endpoints(&as_http(&spec.location, &access), SOCKET, PORTS).map_err(wrong)?;
    let [endpoint] = &endpoints[..] else {
        return Err(wrong("name one engine; several are several discoveries".to_owned()));
    };
    access.check(&endpoints).map_err(wrong)?;
    let address = match options.address.as_str() {
        "" => {
            let host = endpoint.host().unwrap_or_else(|| "127.0.0.1".to_owned());
            Address { host: host.into(), port: 0 }
        }
        address => Address::parse(address).map_err(wrong)?,
    };
    let api = Docker { address };
    Ok(Box::new(Web::new(KIND.name, endpoints, access, api)))
}

/// The addresses of engines, which Docker writes with `tcp://`: by TLS where there are certificates.
pub(super) fn as_http(location: &str, access: &Access) -> String {
    location.replace("tcp://", if access.names_certificates() { "https://" } else { "http://" })
}

/// A label as engines write it, `NAME=VALUE`.
fn label(text: &CompactString) -> (CompactString, CompactString) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.into(), value.into())
}

pub(super) struct Docker {
    address: Address,
}

/// What an engine says of itself, as far as it matters.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Info {
    /// Of the engine; made when it was installed.
    #[serde(default, rename = "ID")]
    id: CompactString,
    /// The name of the machine.
    name: CompactString,
    #[serde(default)]
    labels: Option<Vec<CompactString>>,
}

#[async_trait]
impl Api for Docker {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        self.found(&http.ask("/info").await?)
    }
}

impl Docker {
    /// For fuzzing: without an engine.
    pub(super) fn read(body: &[u8]) -> Result<Found, String> {
        let address = Address { host: "127.0.0.1".into(), port: 0 };
        Self { address }.found(&Answer::with_body(body))
    }

    fn found(&self, answer: &Answer) -> Result<Found, String> {
        let info: Info = answer.json()?;
        check_name(&info.name)?;
        let mut host = Host::named(&info.name);
        if !info.id.is_empty() {
            host.id = info.id;
        }
        host.endpoints = self.address.endpoints("");
        host.addresses = vec![self.address.host.clone()];
        let labels = info.labels.unwrap_or_default();
        let labels = labels.iter().map(label).filter(|(_, value)| !value.is_empty());
        host.labels = labels.collect();
        Ok(Found { hosts: vec![host], left_out: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("docker:tcp://a,tcp://b", "name one engine"),
            ("docker:ssh://a", "scheme is unknown"),
            ("docker:tcp://a?address=http://b", "is a URL"),
            ("docker:tcp://a?ca=/c&cert=/c", "go together"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(build("docker:tcp://a:2376?ca=/c".parse().unwrap()).is_ok());
    }
}
