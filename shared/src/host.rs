//! Hosts as discovery finds them.

use compact_str::CompactString;
use serde::Serialize;

use crate::entity::Labels;

/// A machine that runs containers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Host {
    /// Stable identity, unique in the cluster: never an address or a label that changes.
    pub id: CompactString,
    /// The node name that samples carry.
    pub name: CompactString,
    /// IP addresses or DNS names, most preferred first.
    pub addresses: Vec<CompactString>,
    /// Where it answers; empty when the poller's source decides.
    pub endpoints: Vec<Endpoint>,
    /// Labels of the host.
    pub labels: Labels,
    /// What the cluster manager says of it; hosts that are not ready are polled too.
    pub ready: bool,
    /// Why it is not ready.
    pub state: CompactString,
    /// Nobody but the buddy that lists it can poll it.
    pub local: bool,
}

/// Where and how a host answers. What is empty or 0 is left to the source's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Endpoint {
    /// `cadvisor`, `kubelet`, ...; empty for any.
    pub kind: CompactString,
    /// `http` or `https`.
    pub scheme: CompactString,
    /// TCP port.
    pub port: u16,
    /// A prefix for the kind's paths.
    pub path: CompactString,
    /// The name to verify in the host's certificate.
    pub server_name: CompactString,
}

impl Host {
    /// A host that is known by its name only.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            id: name.into(),
            name: name.into(),
            addresses: Vec::new(),
            endpoints: Vec::new(),
            labels: Labels::default(),
            ready: true,
            state: CompactString::default(),
            local: false,
        }
    }
}

/// How the newest attempt of a discovery went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DiscoveryState {
    /// As the user wrote it, without secrets: `static:hosts.json`.
    pub name: String,
    /// Whether the newest attempt gave a list.
    pub ok: bool,
    /// Why not; the last good list stays in force.
    pub error: String,
    /// Hosts of the list that is in force.
    pub hosts: usize,
    /// When that list was read, in milliseconds since 1970; 0 for never.
    pub listed_unix_ms: i64,
}

/// How polling a host went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HostState {
    /// [`Host::id`].
    pub host_id: CompactString,
    /// Whether the newest poll gave rows.
    pub ok: bool,
    /// Why not.
    pub error: String,
    /// Duration of the newest poll.
    pub latency_ms: u32,
    /// The tick of the newest poll, in milliseconds since 1970.
    pub tick_unix_ms: i64,
    /// The kind of source that polls it.
    pub source: CompactString,
}
