//! Messages of the Control stream as the master reads them.

use heapster_master::grpc::door::{hello, told};
use heapster_proto::v1;
use prost::Message as _;

use super::{Target, frames::LIMITS};

pub(super) const TARGETS: &[Target] = &[
    Target { name: "hello", run: greeting, recorded: &[], made: greetings },
    Target { name: "control", run: control, recorded: &[], made: messages },
];

/// A cluster's name is what the protocol allows, whatever else is said.
fn greeting(input: &[u8]) {
    let Ok(cluster) = hello(input, &LIMITS) else { return };
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    assert!((1..=253).contains(&cluster.len()) && cluster.chars().all(legal), "{cluster:?}");
}

/// What is kept of hosts stays within the limits.
fn control(input: &[u8]) {
    let Ok(told) = told(input, &LIMITS) else { return };
    for host in &told.hosts {
        assert!(!host.id.is_empty() && !host.name.is_empty(), "{host:?}");
        let names = host.addresses.iter().chain([&host.id, &host.name]);
        assert!(names.map(|name| name.len()).all(|bytes| bytes <= LIMITS.max_label_bytes));
        assert!(host.labels.len() <= LIMITS.max_labels && host.state.len() <= 4096, "{host:?}");
    }
    assert!(told.states.iter().all(|state| state.error.len() <= 4096 && state.tick_unix_ms >= 0));
}

fn greetings() -> Vec<Vec<u8>> {
    let hello = v1::Hello {
        versions: vec![1],
        buddy_id: "b".into(),
        instance_id: "i".into(),
        cluster: "lab-1.x".into(),
        roles: vec![1, 2, 3],
        capabilities: vec!["standby".into()],
        assignment_version: Some(7),
        ..Default::default()
    };
    vec![hello.encode_to_vec()]
}

fn messages() -> Vec<Vec<u8>> {
    let endpoint = v1::Endpoint { kind: "cadvisor".into(), port: 8080, ..Default::default() };
    let host = v1::Host {
        id: "1".into(),
        name: "node-1".into(),
        addresses: vec!["10.0.0.1".into(), "fd00::1".into()],
        endpoints: vec![endpoint],
        labels: [("rack".to_owned(), "r1".to_owned())].into(),
        ready: true,
        ..Default::default()
    };
    let state = v1::HostState { host_id: "1".into(), error: "x".into(), ..Default::default() };
    let hosts = vec![host];
    vec![
        v1::HostSnapshot { version: 3, hosts: hosts.clone(), last: true }.encode_to_vec(),
        v1::HostChange { from_version: 3, version: 4, upserted: hosts, removed: vec!["2".into()] }
            .encode_to_vec(),
        v1::Health { hosts: vec![state], ..Default::default() }.encode_to_vec(),
    ]
}
