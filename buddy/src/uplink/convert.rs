//! Hosts and their states between the model and the protocol.

use std::collections::HashMap;

use heapster_proto::v1;
use heapster_shared::{
    entity::Labels,
    event::ObserverState,
    host::{DiscoveryState, Endpoint, Host, HostState},
};

pub(super) fn host(host: &Host) -> v1::Host {
    v1::Host {
        id: host.id.to_string(),
        name: host.name.to_string(),
        addresses: host.addresses.iter().map(ToString::to_string).collect(),
        endpoints: host.endpoints.iter().map(endpoint).collect(),
        labels: labels(&host.labels),
        ready: host.ready,
        state: host.state.to_string(),
        local: host.local,
    }
}

pub(super) fn assigned_host(host: v1::Host) -> Host {
    Host {
        id: host.id.into(),
        name: host.name.into(),
        addresses: host.addresses.into_iter().map(Into::into).collect(),
        endpoints: host.endpoints.into_iter().map(assigned_endpoint).collect(),
        labels: Labels::from_iter(host.labels),
        ready: host.ready,
        state: host.state.into(),
        local: host.local,
    }
}

pub(super) fn host_state(state: &HostState) -> v1::HostState {
    v1::HostState {
        host_id: state.host_id.to_string(),
        ok: state.ok,
        error: state.error.clone(),
        latency_ms: state.latency_ms,
        tick_unix_ms: u64::try_from(state.tick_unix_ms).unwrap_or(0),
        source: state.source.to_string(),
    }
}

pub(super) fn discovery_state(state: &DiscoveryState) -> v1::DiscoveryState {
    v1::DiscoveryState {
        name: state.name.clone(),
        ok: state.ok,
        error: state.error.clone(),
        hosts: u32::try_from(state.hosts).unwrap_or(u32::MAX),
        listed_unix_ms: u64::try_from(state.listed_unix_ms).unwrap_or(0),
    }
}

pub(super) fn observer_state(state: &ObserverState) -> v1::ObserverState {
    v1::ObserverState {
        name: state.name.clone(),
        ok: state.ok,
        error: state.error.clone(),
        observed: state.observed,
        deduplicated: state.deduplicated,
        sent: state.sent,
        dropped: state.dropped,
        heard_unix_ms: u64::try_from(state.heard_unix_ms).unwrap_or(0),
    }
}

fn endpoint(endpoint: &Endpoint) -> v1::Endpoint {
    v1::Endpoint {
        kind: endpoint.kind.to_string(),
        scheme: endpoint.scheme.to_string(),
        port: u32::from(endpoint.port),
        path: endpoint.path.to_string(),
        server_name: endpoint.server_name.to_string(),
    }
}

fn assigned_endpoint(endpoint: v1::Endpoint) -> Endpoint {
    Endpoint {
        kind: endpoint.kind.into(),
        scheme: endpoint.scheme.into(),
        port: u16::try_from(endpoint.port).unwrap_or(0),
        path: endpoint.path.into(),
        server_name: endpoint.server_name.into(),
    }
}

fn labels(labels: &Labels) -> HashMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_comes_back_as_it_went() {
        let mut there = Host::named("a");
        there.addresses = vec!["10.0.0.1".into()];
        there.labels = Labels::from_iter([("zone", "b")]);
        there.ready = false;
        there.local = true;
        there.state = "cordoned".into();
        there.endpoints =
            vec![Endpoint { kind: "cadvisor".into(), port: 4194, ..Endpoint::default() }];
        assert_eq!(assigned_host(host(&there)), there);
    }
}
