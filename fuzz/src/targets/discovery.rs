//! Answers, files and keys that name hosts.

use std::collections::HashSet;

use heapster_buddy::discovery::door::{Text, hosts};

use super::{Target, nothing_made};

/// A target for one kind of text.
macro_rules! target {
    ($name:literal, $text:ident, $recorded:expr, $made:expr) => {
        Target {
            name: $name,
            run: |input| discovered(Text::$text, input),
            recorded: $recorded,
            made: $made,
        }
    };
}

pub(super) const TARGETS: &[Target] = &[
    target!("consul-nodes", ConsulNodes, &[], || vec![CONSUL_NODES.into()]),
    target!("consul-service", ConsulService, &[], || vec![CONSUL_SERVICE.into()]),
    target!("dns", Dns, &[], dns_answers),
    target!("docker", Docker, &[], || vec![DOCKER.into()]),
    target!("etcd-value", EtcdValue, &[], || {
        ["10.0.0.1:4194", "[fd00::1%eth0]:1", "", r#"{"ip":"a","port":1,"labels":{"b":"c"}}"#]
            .map(|value| value.as_bytes().to_vec())
            .into()
    }),
    target!(
        "fleet-keys",
        FleetKeys,
        &[
            "buddy/testdata/fleet/etcd-v2-fleet-all.json",
            "buddy/testdata/fleet/etcd-v2-watch-heartbeat.json",
            "buddy/testdata/fleet/etcd-v2-cleared.json",
        ],
        nothing_made
    ),
    target!(
        "fleet-machines",
        FleetMachines,
        &["buddy/testdata/fleet/fleet-v1-machines.json"],
        nothing_made
    ),
    target!(
        "hosts-json",
        HostsFile,
        &[
            "buddy/testdata/hosts/ancestor.good.json",
            "buddy/testdata/hosts/any-case.good.json",
            "buddy/testdata/hosts/file_sd.good.json",
            "buddy/testdata/hosts/half-written.bad.json",
        ],
        nothing_made
    ),
    target!(
        "hosts-yaml",
        HostsFileYaml,
        &["buddy/testdata/hosts/file_sd.good.yaml", "buddy/testdata/hosts/indent.bad.yaml"],
        || vec![
            b"- &a {targets: [b:1]}\n- *a\n- targets: [\"c\"]\n  labels: {x: 1, y: 2.5}\n".into()
        ]
    ),
    target!("http-sd", HttpSd, &["buddy/testdata/hosts/file_sd.good.json"], nothing_made),
    target!("nomad", Nomad, &[], || vec![NOMAD.into()]),
    target!("swarm", Swarm, &[], || vec![SWARM.into()]),
];

const CONSUL_NODES: &str = r#"[{"ID":"40e4a748","Node":"a","Address":"10.0.0.1","Datacenter":"dc1",
"TaggedAddresses":{"lan":"10.0.0.1"},"Meta":{"consul-network-segment":"","rack":"r1"}},
{"ID":"","Node":"b.lan","Address":"fd00::2","Datacenter":"","Meta":null}]"#;
const CONSUL_SERVICE: &str = r#"[{"Node":{"ID":"1","Node":"a","Address":"10.0.0.1","Meta":{"x":"y"}},
"Service":{"ID":"c","Service":"cadvisor","Address":"10.0.0.3","Port":8080},
"Checks":[{"Name":"up","Status":"critical"},{"Name":"x","Status":"passing"}]},
{"Node":{"Node":"a","Address":"10.0.0.1"},"Service":{"Address":"","Port":0},"Checks":null}]"#;
const DOCKER: &str = r#"{"ID":"7TRN:IPZB","Name":"m1","Labels":["rack=r1","ssd","z="],"NCPU":4}"#;
const NOMAD: &str = r#"[{"ID":"f7476465","Name":"n","Address":"10.0.0.1","Datacenter":"dc1",
"NodeClass":"big","NodePool":"default","Status":"down","StatusDescription":"missed a heartbeat"}]"#;
const SWARM: &str = r#"[{"ID":"24ifs","Spec":{"Role":"manager","Labels":{"a":"b"}},
"Description":{"Hostname":"m"},"Status":{"State":"ready","Message":"","Addr":"0.0.0.0"},
"ManagerStatus":{"Leader":true,"Addr":"10.0.0.1:2377"}},{"ID":"25","Spec":{"Role":"worker","Labels":null},
"Description":{"Hostname":"w"},"Status":{"State":"down","Message":"x","Addr":"10.0.0.2"}}]"#;

/// A message of a server: SRV records of two targets, one of them with a space in its name, and the
/// addresses of a host.
fn dns_answers() -> Vec<Vec<u8>> {
    const ASKED: &[u8] = b"\x09_cadvisor\x04_tcp\x03lab\x00";
    // A pointer to the name that was asked for, the type, the class, a time of 60 s.
    let record = |kind: u8, data: &[u8]| {
        let length = u8::try_from(data.len()).unwrap_or_default();
        [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length], data].concat()
    };
    let (service, address, address_6, alias) = (33, 1, 28, 5);
    let answers = [
        record(service, b"\x00\x0a\x00\x01\x10\x62\x06node-1\x03lab\x00"),
        record(service, b"\x00\x14\x00\x01\x1f\x90\x06node 2\x00"),
        record(service, b"\x00\x00\x00\x00\x00\x00\x00"),
        record(address, &[10, 0, 0, 1]),
        record(address_6, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(alias, b"\x01a\xc0\x20"),
    ];
    let head = |answers: u8| [0, 7, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
    let message = |kind: u8, answers: &[Vec<u8>]| {
        let count = u8::try_from(answers.len()).unwrap_or_default();
        [&head(count)[..], ASKED, &[0, kind, 0, 1], &answers.concat()].concat()
    };
    vec![
        message(service, &answers[..3]),
        message(address, &answers[3..]),
        message(service, &answers),
    ]
}

/// Each host has an id, a name that fits into a line, and an address that is one; and there are no
/// more of them than a text of that size can name.
fn discovered(of: Text, input: &[u8]) {
    let Ok((hosts, left_out)) = hosts(of, input) else { return };
    assert!(hosts.len() + left_out <= input.len().max(1), "{} hosts and more", hosts.len());
    for host in &hosts {
        assert!(!host.id.is_empty() && !host.name.is_empty(), "{host:?} has no name");
        assert!(!host.name.chars().any(char::is_control), "the name of {host:?}");
        assert!(!host.addresses.is_empty(), "{host:?} has no address");
        for address in &host.addresses {
            let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@[]".contains(c);
            assert!(!address.is_empty() && !address.chars().any(odd), "the address of {host:?}");
        }
    }
    let names: HashSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let checks_names = matches!(of, Text::HostsFile | Text::HostsFileYaml | Text::HttpSd);
    assert!(!checks_names || names.len() == hosts.len(), "two hosts of one name");
}
