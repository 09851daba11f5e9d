//! The discovery `swarm`: the nodes of a Docker Swarm, as its managers list them.
//!
//! Managers send events when a node comes, goes or changes. They are asked for those since the list,
//! by the clock of the manager that gave it, so that none falls in between.

use std::{collections::BTreeMap, time::Duration};

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
    docker::as_http,
    web::{Access, Answer, Api, Found, Http, Ports, Web, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "swarm",
    summary: "the nodes of a Docker Swarm, as one of its managers lists them",
    samples: &[
        "swarm",
        "swarm:unix:///var/run/docker.sock",
        "swarm:tcp://m1:2375,tcp://m2:2375?role=worker",
        "swarm:https://m1:2376?ca=/etc/docker/ca.pem&cert=/etc/docker/cert.pem&key=/etc/docker/key.pem",
    ],
    build,
};

const SOCKET: &str = "unix:///var/run/docker.sock";
const PORTS: Ports = Ports { http: &[2375], https: &[2376] };
/// `filters={"type":["node"]}`
const NODE_EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22node%22%5D%7D";
/// Even where no event comes, the list is looked at after this long: the connection may be dead.
const SILENCE: Duration = Duration::from_secs(120);
/// What the list answers who is no manager.
const NO_MANAGER: u16 = 503;

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Only nodes of this role, `manager` or `worker`. Default: all nodes.
    role: Option<Role>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Role {
    Manager,
    Worker,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("swarm: {what}"));
    let endpoints = endpoints(&as_http(&spec.location, &access), SOCKET, PORTS).map_err(wrong)?;
    access.check(&endpoints).map_err(wrong)?;
    let api = Swarm { role: options.role, listed_unix_s: 0 };
    Ok(Box::new(Web::new(KIND.name, endpoints, access, api)))
}

pub(super) struct Swarm {
    role: Option<Role>,
    /// When the newest list was given, by the manager's clock.
    listed_unix_s: i64,
}

/// A node, as far as it matters.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID")]
    id: CompactString,
    spec: NodeSpec,
    description: Description,
    status: Status,
    #[serde(default)]
    manager_status: Option<ManagerStatus>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct NodeSpec {
    role: Role,
    #[serde(default)]
    labels: Option<BTreeMap<CompactString, CompactString>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Description {
    hostname: CompactString,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Status {
    #[serde(default)]
    state: CompactString,
    #[serde(default)]
    message: CompactString,
    #[serde(default)]
    addr: CompactString,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct ManagerStatus {
    #[serde(default)]
    addr: CompactString,
}

impl Node {
    fn host(self) -> Result<Host, String> {
        let Self { id, spec, description, status, manager_status } = self;
        let name = description.hostname;
        check_name(&id)?;
        check_name(&name).map_err(|error| format!("node {id}: {error}"))?;
        let mut host = Host::named(&name);
        host.id = id;
        // A manager that joined by itself says of its own address only that it has one.
        let unknown = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
        let address = match manager_status {
            Some(manager) if unknown(&status.addr) => manager.addr,
            _ => status.addr,
        };
        let address = Address::parse(&address)
            .ok()
            .filter(|address| !unknown(&address.host))
            .ok_or_else(|| format!("node {name} has no address"))?;
        host.addresses = vec![address.host];
        let mut labels = spec.labels.unwrap_or_default();
        labels.retain(|_, value| !value.is_empty());
        let role = if spec.role == Role::Manager { "manager" } else { "worker" };
        labels.entry("role".into()).or_insert_with(|| role.into());
        host.labels = labels.into_iter().collect();
        host.ready = status.state == "ready";
        if !host.ready {
            host.state = match status.message.as_str() {
                "" => status.state,
                why => format_compact!("{}: {why}", status.state),
            };
        }
        Ok(host)
    }
}

impl Swarm {
    /// For fuzzing: without a manager.
    pub(super) fn read(body: &[u8]) -> Result<Found, String> {
        let api = Self { role: None, listed_unix_s: 0 };
        Ok(api.found(Answer::with_body(body).json()?))
    }

    fn found(&self, nodes: Vec<Node>) -> Found {
        let mut found = Found::default();
        let wanted = |node: &Node| self.role.is_none_or(|role| role == node.spec.role);
        for node in nodes.into_iter().filter(wanted) {
            found.add(node.host());
        }
        found
    }
}

#[async_trait]
impl Api for Swarm {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let answer = http.get("/nodes").await?;
        match answer.status {
            200 => {}
            NO_MANAGER => {
                let refusal = answer.refusal();
                return Err(format!("{refusal}; name a manager of the swarm"));
            }
            _ => return Err(answer.refusal()),
        }
        self.listed_unix_s = clock(&answer)?;
        Ok(self.found(answer.json()?))
    }

    async fn changed(&mut self, http: &Http) -> Result<(), String> {
        let path = format!("{NODE_EVENTS}&since={}", self.listed_unix_s);
        match tokio::time::timeout(SILENCE, http.first_of_stream(&path)).await {
            Ok(came) => came,
            Err(_) => Ok(()),
        }
    }
}

/// The clock of who answered.
fn clock(answer: &Answer) -> Result<i64, String> {
    let date = answer.header("date").unwrap_or_default();
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(date);
    let wrong = |_| format!("no valid answer: its `date` is `{date}`");
    Ok(zoned.map_err(wrong)?.timestamp().as_second())
}
