//! The discovery `consul`: the nodes of a Consul datacenter, or those that have a service.
//!
//! Consul answers a blocking query when its list has changed. A token that may not see everything
//! gets a shorter list; newer servers tell, and so does this.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use compact_str::{CompactString, format_compact};
use heapster_shared::{
    Set,
    host::{Endpoint, Host},
    spec::{Spec, SpecError},
};
use serde::Deserialize;

use super::{
    Discovery, Kind,
    address::{Address, check_name},
    web::{Access, Answer, Api, Blocking, Found, Http, Ports, Web, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "consul",
    summary: "the nodes of a Consul datacenter, or those that have a service",
    samples: &[
        "consul",
        "consul:http://127.0.0.1:8500?datacenter=eu-1",
        "consul:https://c1:8501,https://c2:8501?ca=/etc/heapster/consul-ca.pem&token_file=/etc/heapster/consul-token",
        "consul:?service=cadvisor",
        "consul:?filter=Meta.role%20%3D%3D%20%22worker%22",
    ],
    build,
};

const PORTS: Ports = Ports { http: &[8500], https: &[8501] };
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:8500";
const INDEX: &str = "x-consul-index";
const HIDDEN: &str = "x-consul-results-filtered-by-acls";
const CRITICAL: &str = "critical";

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Only nodes that have this service; they are polled at its address and port. Default: all
    /// nodes.
    #[serde(default)]
    service: String,
    /// The datacenter. Default: that of the agent that is asked.
    #[serde(default)]
    datacenter: String,
    /// An expression in Consul's language that selects nodes, or instances of the service. Default:
    /// none.
    #[serde(default)]
    filter: String,
    /// File with a token that may read nodes (and services); it is read again when it was refused.
    /// Default: none.
    token_file: Option<PathBuf>,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("consul: {what}"));
    let access = access.with_token("x-consul-token", "", options.token_file.clone());
    let endpoints = endpoints(&spec.location, DEFAULT_ENDPOINT, PORTS).map_err(wrong)?;
    access.check(&endpoints).map_err(wrong)?;
    let api = Consul {
        question: options.question(),
        of_service: !options.service.is_empty(),
        blocking: Blocking::new(INDEX),
    };
    Ok(Box::new(Web::new(KIND.name, endpoints, access, api)))
}

impl Options {
    /// What is asked, with a `?`.
    fn question(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("dc", &self.datacenter), ("filter", &self.filter)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if self.service.is_empty() {
            return format!("/v1/catalog/nodes?{query}");
        }
        let service = percent_encoding::NON_ALPHANUMERIC;
        let service = percent_encoding::utf8_percent_encode(&self.service, service);
        format!("/v1/health/service/{service}?{query}")
    }
}

pub(super) struct Consul {
    question: String,
    of_service: bool,
    blocking: Blocking,
}

/// A node, in both answers.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Node {
    /// Stays when the name changes; very old agents have none.
    #[serde(default, rename = "ID")]
    id: CompactString,
    node: CompactString,
    #[serde(default)]
    address: CompactString,
    #[serde(default)]
    datacenter: CompactString,
    #[serde(default)]
    meta: Option<BTreeMap<CompactString, CompactString>>,
}

/// An instance of a service.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Service {
    /// Empty where it is that of the node.
    #[serde(default)]
    address: CompactString,
    #[serde(default)]
    port: u16,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(default)]
    name: CompactString,
    #[serde(default)]
    status: CompactString,
}

impl Node {
    /// By its id, or its name where it has none; with its metadata, but Consul's own, as labels.
    fn host(self) -> Result<Host, String> {
        check_name(&self.node)?;
        let address = Address::parse(&self.address)
            .map_err(|error| format!("node {}: its address: {error}", self.node))?;
        let mut host = Host::named(&self.node);
        if !self.id.is_empty() {
            host.id = self.id;
        }
        host.addresses = vec![address.host];
        let mut labels = self.meta.unwrap_or_default();
        labels.retain(|name, value| !name.starts_with("consul-") && !value.is_empty());
        if !self.datacenter.is_empty() {
            labels.entry("datacenter".into()).or_insert(self.datacenter);
        }
        host.labels = labels.into_iter().collect();
        Ok(host)
    }
}

impl Instance {
    /// The node, where the instance answers.
    fn host(self) -> Result<Host, String> {
        let Self { node, service, checks } = self;
        let mut host = node.host()?;
        if !service.address.is_empty() {
            let address = Address::parse(&service.address)
                .map_err(|error| format!("node {}: the service's address: {error}", host.name))?;
            host.addresses = vec![address.host];
        }
        if service.port != 0 {
            host.endpoints = vec![Endpoint { port: service.port, ..Endpoint::default() }];
        }
        let checks = checks.unwrap_or_default();
        if let Some(check) = checks.iter().find(|check| check.status == CRITICAL) {
            host.ready = false;
            host.state = format_compact!("its check `{}` is critical", check.name);
        }
        Ok(host)
    }
}

impl Consul {
    /// For fuzzing: without a server.
    pub(super) fn read(of_service: bool, body: &[u8]) -> Result<Found, String> {
        let blocking = Blocking::new(INDEX);
        let api = Self { question: String::new(), of_service, blocking };
        api.found(&Answer::with_body(body))
    }

    fn found(&self, answer: &Answer) -> Result<Found, String> {
        let mut found = Found::default();
        if self.of_service {
            for instance in answer.json::<Vec<Instance>>()? {
                found.add(instance.host());
            }
            one_instance_each(&mut found);
        } else {
            for node in answer.json::<Vec<Node>>()? {
                found.add(node.host());
            }
        }
        if answer.header(HIDDEN) == Some("true") {
            let hidden = "some nodes are hidden from the token; let it read all nodes and services";
            found.left_out.push(hidden.to_owned());
        }
        Ok(found)
    }
}

/// A node is polled once, at the first instance of the service.
fn one_instance_each(found: &mut Found) {
    let mut known: Set<CompactString> = Set::default();
    let Found { hosts, left_out } = found;
    hosts.retain(|host| {
        let first = known.insert(host.id.clone());
        if !first {
            left_out.push(format!("node {} has more than one instance of the service", host.name));
        }
        first
    });
}

#[async_trait]
impl Api for Consul {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let answer = http.ask(&self.question).await?;
        self.blocking.note(&answer)?;
        self.found(&answer)
    }

    async fn changed(&mut self, http: &Http) -> Result<(), String> {
        self.blocking.changed(http, &self.question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let question = |text: &str| {
            let (_, options): (Access, Options) = Access::take(&mut text.parse().unwrap()).unwrap();
            options.question()
        };
        assert_eq!(question("consul"), "/v1/catalog/nodes?");
        let nodes = question("consul:?datacenter=eu 1&filter=Meta.a %3D%3D \"b\"");
        assert_eq!(nodes, "/v1/catalog/nodes?dc=eu+1&filter=Meta.a+%3D%3D+%22b%22");
        let service = question("consul:?service=a/b");
        assert_eq!(service, "/v1/health/service/a%2Fb?");
    }
}
