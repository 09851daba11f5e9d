//! From the protocol's messages to what the master speaks, checked against the limits.

use compact_str::CompactString;
use heapster_proto::v1;
use heapster_shared::{
    event::{Event, ObserverState},
    host::{DiscoveryState, Endpoint, Host, HostState},
};

use super::decode::{DecodeError, ReaderLimits, labels};
use crate::{
    actors::{
        buddy::{Identity, Pulse, Role},
        cluster::AnswerOrder,
    },
    core::inventory::HostsUpdate,
};

/// Addresses and endpoints of one host.
const MAX_PLACES: usize = 64;
/// Observers of one message that are read.
const MAX_OBSERVERS: usize = 16;
/// Longest text that is kept of an error or an event; the rest is cut.
const MAX_TEXT_BYTES: usize = 4096;
/// The capability of a buddy that polls only where no other can.
const STANDBY: &str = "standby";
/// Longest name of a cluster.
const MAX_CLUSTER_BYTES: usize = 253;

/// Who a Hello comes from.
pub(super) fn identity(
    hello: v1::Hello,
    peer: String,
    limits: &ReaderLimits,
) -> Result<Identity, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let cluster = &hello.cluster;
    if cluster.is_empty() || cluster.len() > MAX_CLUSTER_BYTES || !cluster.chars().all(legal) {
        return Err(format!(
            "{cluster:?} is no name of a cluster: use 1 to {MAX_CLUSTER_BYTES} letters, digits, dots, dashes and underscores"
        ));
    }
    let names = [
        ("buddy_id", &hello.buddy_id),
        ("instance_id", &hello.instance_id),
        ("manager", &hello.manager),
        ("software", &hello.software),
    ];
    for (field, value) in names {
        if value.len() > limits.max_label_bytes {
            return Err(format!("`{field}` is longer than {} bytes", limits.max_label_bytes));
        }
    }
    if hello.buddy_id.is_empty() || hello.instance_id.is_empty() {
        return Err("`buddy_id` and `instance_id` must not be empty".to_owned());
    }
    let roles = roles(&hello.roles);
    if roles.is_empty() {
        return Err("`roles` names nothing that this master knows".to_owned());
    }
    let standby = hello.capabilities.iter().any(|name| name == STANDBY);
    Ok(Identity {
        standby,
        assignment_version: hello.assignment_version,
        buddy_id: hello.buddy_id,
        instance_id: hello.instance_id,
        cluster: hello.cluster,
        manager: hello.manager,
        roles,
        software: hello.software,
        peer,
        credential: String::new(),
    })
}

fn roles(roles: &[i32]) -> Vec<Role> {
    let mut known: Vec<Role> = Vec::new();
    for role in roles {
        let role = match v1::Role::try_from(*role) {
            Ok(v1::Role::Discovers) => Role::Discovers,
            Ok(v1::Role::Polls) => Role::Polls,
            Ok(v1::Role::ObservesEvents) => Role::ObservesEvents,
            Ok(v1::Role::Unspecified) | Err(_) => continue,
        };
        if !known.contains(&role) {
            known.push(role);
        }
    }
    known
}

pub(super) fn snapshot(
    snapshot: v1::HostSnapshot,
    limits: &ReaderLimits,
) -> Result<HostsUpdate, DecodeError> {
    let hosts = hosts(snapshot.hosts, limits)?;
    Ok(HostsUpdate::Snapshot { version: snapshot.version, hosts, last: snapshot.last })
}

pub(super) fn change(
    change: v1::HostChange,
    limits: &ReaderLimits,
) -> Result<HostsUpdate, DecodeError> {
    Ok(HostsUpdate::Change {
        from_version: change.from_version,
        version: change.version,
        upserted: hosts(change.upserted, limits)?,
        removed: change.removed.into_iter().map(CompactString::from).collect(),
    })
}

fn hosts(hosts: Vec<v1::Host>, limits: &ReaderLimits) -> Result<Vec<Host>, DecodeError> {
    let numbered = hosts.into_iter().enumerate();
    let hosts = numbered.map(|(index, wire)| {
        host(wire, limits).map_err(|error| error.at(&format!("host {index}")))
    });
    hosts.collect()
}

fn host(host: v1::Host, limits: &ReaderLimits) -> Result<Host, DecodeError> {
    if host.id.is_empty() || host.name.is_empty() {
        return Err(DecodeError::Malformed("`id` and `name` must not be empty".to_owned()));
    }
    let names = host.addresses.iter().chain([&host.id, &host.name]);
    if names.map(String::len).any(|length| length > limits.max_label_bytes) {
        return Err(DecodeError::Limit("a name is longer than max_label_bytes".to_owned()));
    }
    if host.addresses.len().max(host.endpoints.len()) > MAX_PLACES {
        return Err(DecodeError::Limit(format!("more than {MAX_PLACES} addresses or endpoints")));
    }
    Ok(Host {
        id: host.id.into(),
        name: host.name.into(),
        addresses: host.addresses.into_iter().map(CompactString::from).collect(),
        endpoints: host.endpoints.into_iter().map(endpoint).collect::<Result<_, _>>()?,
        labels: labels(host.labels, limits)?,
        ready: host.ready,
        state: cut(host.state).into(),
        local: host.local,
    })
}

fn endpoint(endpoint: v1::Endpoint) -> Result<Endpoint, DecodeError> {
    let port = u16::try_from(endpoint.port)
        .map_err(|_| DecodeError::Malformed(format!("{} is no port", endpoint.port)))?;
    Ok(Endpoint {
        kind: cut(endpoint.kind).into(),
        scheme: cut(endpoint.scheme).into(),
        port,
        path: cut(endpoint.path).into(),
        server_name: cut(endpoint.server_name).into(),
    })
}

pub(super) fn host_states(states: Vec<v1::HostState>) -> Vec<HostState> {
    let convert = |state: v1::HostState| HostState {
        host_id: state.host_id.into(),
        ok: state.ok,
        error: cut(state.error),
        latency_ms: state.latency_ms,
        tick_unix_ms: time(state.tick_unix_ms),
        source: cut(state.source).into(),
    };
    states.into_iter().map(convert).collect()
}

pub(super) fn discovery_states(states: Vec<v1::DiscoveryState>) -> Vec<DiscoveryState> {
    let convert = |state: v1::DiscoveryState| DiscoveryState {
        name: cut(state.name),
        ok: state.ok,
        error: cut(state.error),
        hosts: usize::try_from(state.hosts).unwrap_or(usize::MAX),
        listed_unix_ms: time(state.listed_unix_ms),
    };
    states.into_iter().map(convert).collect()
}

pub(super) fn pulse(heartbeat: &v1::Heartbeat) -> Pulse {
    Pulse {
        unix_ms: time(heartbeat.unix_ms),
        spool_bytes: heartbeat.spool_bytes,
        dropped_frames: heartbeat.dropped_frames,
        damaged_frames: heartbeat.damaged_frames,
        spool_error: cut(heartbeat.spool_error.clone()),
    }
}

/// An answer without a sentence is refused all the same, and says so.
pub(super) fn order_answer(buddy_id: String, reply: v1::AssignmentReply) -> AnswerOrder {
    let error =
        if reply.error.is_empty() { "the buddy says not why".to_owned() } else { reply.error };
    let error = (!reply.accepted).then(|| cut(error));
    AnswerOrder { buddy_id, version: reply.version, error }
}

pub(super) fn observer_states(states: Vec<v1::ObserverState>) -> Vec<ObserverState> {
    let state = |state: v1::ObserverState| ObserverState {
        name: cut(state.name),
        ok: state.ok,
        error: cut(state.error),
        observed: state.observed,
        deduplicated: state.deduplicated,
        sent: state.sent,
        dropped: state.dropped,
        heard_unix_ms: time(state.heard_unix_ms),
    };
    states.into_iter().take(MAX_OBSERVERS).map(state).collect()
}

pub(super) fn events(events: v1::Events, limits: &ReaderLimits) -> Result<Vec<Event>, DecodeError> {
    let numbered = events.events.into_iter().enumerate();
    let events = numbered.map(|(index, wire)| {
        event(wire, limits).map_err(|error| error.at(&format!("event {index}")))
    });
    events.collect()
}

fn event(event: v1::Event, limits: &ReaderLimits) -> Result<Event, DecodeError> {
    if event.uid.is_empty() {
        return Err(DecodeError::Malformed("`uid` is empty".to_owned()));
    }
    let names = [&event.uid, &event.r#type, &event.reason, &event.object_name, &event.host];
    if names.into_iter().any(|name| name.len() > limits.max_label_bytes) {
        return Err(DecodeError::Limit("a name is longer than max_label_bytes".to_owned()));
    }
    Ok(Event {
        uid: event.uid,
        first_unix_ms: time(event.first_unix_ms),
        last_unix_ms: time(event.last_unix_ms),
        count: event.count,
        kind: event.r#type,
        reason: event.reason,
        message: cut(event.message),
        object_kind: cut(event.object_kind),
        object_namespace: cut(event.object_namespace),
        object_name: event.object_name,
        object_uid: cut(event.object_uid),
        component: cut(event.component),
        host: event.host,
    })
}

fn time(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms).unwrap_or(i64::MAX)
}

/// The text, or as much of it as is kept.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ReaderLimits {
        super::super::decode::test_limits()
    }

    fn hello() -> v1::Hello {
        v1::Hello {
            buddy_id: "b".into(),
            instance_id: "i".into(),
            cluster: "lab".into(),
            roles: vec![v1::Role::Polls.into(), v1::Role::Polls.into(), 77],
            ..v1::Hello::default()
        }
    }

    #[test]
    fn a_hello_is_checked() {
        let known = identity(hello(), "peer".into(), &limits()).unwrap();
        assert_eq!(known.roles, [Role::Polls], "what is not known is ignored");
        for cluster in ["", "a/b", "a b", &"x".repeat(254)] {
            let hello = v1::Hello { cluster: cluster.to_owned(), ..hello() };
            let error = identity(hello, "peer".into(), &limits()).unwrap_err();
            assert!(error.contains("is no name of a cluster"), "{error}");
        }
        let nobody = v1::Hello { buddy_id: String::new(), ..hello() };
        assert!(identity(nobody, "peer".into(), &limits()).is_err());
        let idle = v1::Hello { roles: vec![], ..hello() };
        assert!(identity(idle, "peer".into(), &limits()).unwrap_err().contains("roles"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = format!("x{}", "ß".repeat(MAX_TEXT_BYTES));
        assert_eq!(cut(text).len(), MAX_TEXT_BYTES - 1);
    }

    #[test]
    fn a_host_without_identity_or_with_a_wild_port_is_refused() {
        let host = v1::Host { id: "a".into(), name: "a".into(), ..v1::Host::default() };
        let list = |host: v1::Host| v1::HostSnapshot { version: 1, hosts: vec![host], last: true };
        assert!(snapshot(list(host.clone()), &limits()).is_ok());
        let nameless = v1::Host { name: String::new(), ..host.clone() };
        let error = snapshot(list(nameless), &limits()).unwrap_err();
        assert!(error.to_string().starts_with("host 0: "), "{error}");
        let endpoint = v1::Endpoint { port: 70_000, ..v1::Endpoint::default() };
        let wild = v1::Host { endpoints: vec![endpoint], ..host };
        assert!(snapshot(list(wild), &limits()).is_err());
    }
}
