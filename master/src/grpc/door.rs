//! A way in for fuzzing: reads messages of the Control stream as the stream's task does, without one.

use heapster_proto::v1;
use heapster_shared::host::{Host, HostState};
use prost::Message;

use super::{convert, decode::ReaderLimits};
use crate::core::inventory::HostsUpdate;

/// What a message says of hosts.
#[derive(Debug, Default)]
pub struct Told {
    /// Hosts that there are.
    pub hosts: Vec<Host>,
    /// How polling hosts went.
    pub states: Vec<HostState>,
}

/// Reads a Hello; the name of its cluster.
///
/// # Errors
/// When it is none, or not acceptable.
pub fn hello(bytes: &[u8], limits: &ReaderLimits) -> Result<String, String> {
    let hello = v1::Hello::decode(bytes).map_err(|error| error.to_string())?;
    convert::identity(hello, String::new(), limits).map(|identity| identity.cluster)
}

/// Reads a list of hosts, a change of one, or how polling went: whatever the bytes are.
///
/// # Errors
/// When they are none of these, or not acceptable.
pub fn told(bytes: &[u8], limits: &ReaderLimits) -> Result<Told, String> {
    let mut told = Told::default();
    let wrong = |error: &dyn std::fmt::Display| error.to_string();
    if let Ok(health) = v1::Health::decode(bytes) {
        convert::discovery_states(health.discoveries);
        convert::observer_states(health.observers);
        told.states = convert::host_states(health.hosts);
    }
    if let Ok(change) = v1::HostChange::decode(bytes) {
        told.hosts = hosts(convert::change(change, limits).map_err(|error| wrong(&error))?);
    }
    let snapshot = v1::HostSnapshot::decode(bytes).map_err(|error| wrong(&error))?;
    told.hosts.extend(hosts(convert::snapshot(snapshot, limits).map_err(|error| wrong(&error))?));
    Ok(told)
}

fn hosts(update: HostsUpdate) -> Vec<Host> {
    match update {
        HostsUpdate::Snapshot { hosts, .. } => hosts,
        HostsUpdate::Change { upserted, .. } => upserted,
    }
}
