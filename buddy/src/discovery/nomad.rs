//! The discovery `nomad`: the client nodes of a Nomad region, with those that are down.
//!
//! Nomad answers a blocking query when its list has changed.

use std::path::PathBuf;

use async_trait::async_trait;
use compact_str::{CompactString, format_compact};
use heapster_shared::{
    host::Host,
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
    name: "nomad",
    summary: "the client nodes of a Nomad region",
    samples: &[
        "nomad",
        "nomad:http://n1:4646,http://n2:4646?region=eu",
        "nomad:https://n1:4646?ca=/etc/heapster/nomad-ca.pem&token_file=/etc/heapster/nomad-token",
        "nomad:?filter=NodeClass%20%3D%3D%20%22worker%22",
    ],
    build,
};

const PORTS: Ports = Ports::both(&[4646]);
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4646";
const INDEX: &str = "x-nomad-index";
const READY: &str = "ready";

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The region. Default: that of the agent that is asked.
    #[serde(default)]
    region: String,
    /// An expression in Nomad's language that selects nodes. Default: none.
    #[serde(default)]
    filter: String,
    /// File with a token that may read nodes; it is read again when it was refused. Default: none.
    token_file: Option<PathBuf>,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("nomad: {what}"));
    let access = access.with_token("x-nomad-token", "", options.token_file);
    let endpoints = endpoints(&spec.location, DEFAULT_ENDPOINT, PORTS).map_err(wrong)?;
    access.check(&endpoints).map_err(wrong)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("region", &options.region), ("filter", &options.filter)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    let question = format!("/v1/nodes?{}", query.finish());
    let api = Nomad { question, blocking: Blocking::new(INDEX) };
    Ok(Box::new(Web::new(KIND.name, endpoints, access, api)))
}

struct Nomad {
    question: String,
    blocking: Blocking,
}

/// A node, as far as it matters. Older servers have no pools.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID")]
    id: CompactString,
    name: CompactString,
    #[serde(default)]
    address: CompactString,
    #[serde(default)]
    datacenter: CompactString,
    #[serde(default)]
    node_class: CompactString,
    #[serde(default)]
    node_pool: CompactString,
    #[serde(default)]
    status: CompactString,
    #[serde(default)]
    status_description: CompactString,
}

impl Node {
    fn host(self) -> Result<Host, String> {
        check_name(&self.id)?;
        check_name(&self.name).map_err(|error| format!("node {}: {error}", self.id))?;
        let address = Address::parse(&self.address)
            .map_err(|error| format!("node {}: its address: {error}", self.name))?;
        let mut host = Host::named(&self.name);
        host.id = self.id;
        host.addresses = vec![address.host];
        let labels = [
            ("datacenter", self.datacenter),
            ("node_class", self.node_class),
            ("node_pool", self.node_pool),
        ];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        host.labels = labels.map(|(name, value)| (CompactString::from(name), value)).collect();
        host.ready = self.status == READY;
        if !host.ready {
            host.state = match self.status_description.as_str() {
                "" => self.status,
                why => format_compact!("{}: {why}", self.status),
            };
        }
        Ok(host)
    }
}

/// The hosts of an answer.
pub(super) fn found(answer: &Answer) -> Result<Found, String> {
    let mut found = Found::default();
    for node in answer.json::<Vec<Node>>()? {
        found.add(node.host());
    }
    Ok(found)
}

#[async_trait]
impl Api for Nomad {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let answer = http.ask(&self.question).await?;
        self.blocking.note(&answer)?;
        found(&answer)
    }

    async fn changed(&mut self, http: &Http) -> Result<(), String> {
        self.blocking.changed(http, &self.question).await
    }
}
