//! `dns` against a real name server.

use heapster_testkit::{
    peer::{Dnsmasq, free_ports},
    real_peer,
};

use super::common::{NEVER, start, start_every};

/// Addresses of both kinds; asked for again when their time is over.
#[tokio::test]
async fn addresses_and_their_changes() {
    let server = real_peer!(Dnsmasq::start(&[]));
    server.set_names("10.0.0.1 nodes.test\n10.0.0.2 nodes.test\nfd00::1 nodes.test\n").unwrap();
    let of_kind = |options: &str| format!("dns:nodes.test?server={}{options}", server.address());
    let mut running = start_every(&of_kind("&port=8080"), NEVER);
    let listing = running.listed(&["10.0.0.1", "10.0.0.2", "fd00::1"]).await;
    assert_eq!(listing.hosts[2].addresses, ["fd00::1"]);
    assert_eq!(listing.hosts[2].endpoints[0].port, 8080);
    start(&of_kind("&records=a")).listed(&["10.0.0.1", "10.0.0.2"]).await;
    start(&of_kind("&records=aaaa")).listed(&["fd00::1"]).await;
    server.set_names("10.0.0.2 nodes.test\n10.0.0.3 nodes.test\n").unwrap();
    let good = running.listed(&["10.0.0.2", "10.0.0.3"]).await;
    // A name without records is no empty cluster.
    server.set_names("").unwrap();
    let bad = running.failed("nodes.test has no record A or AAAA").await;
    assert_eq!(bad.hosts, good.hosts);
    server.set_names("10.0.0.4 nodes.test\n").unwrap();
    running.listed(&["10.0.0.4"]).await;
}

/// Targets of a service are hosts by name, at the port of the service; several names are one list.
#[tokio::test]
async fn services() {
    let server = real_peer!(Dnsmasq::start(&[
        "srv-host=_cadvisor._tcp.test,node-1.test,8080,10",
        "srv-host=_cadvisor._tcp.test,node-1.test,4194,20",
        "srv-host=_cadvisor._tcp.test,Node-2.test,8081,10",
        "srv-host=_gone._tcp.test",
        "host-record=alone.test,10.0.0.9",
    ]));
    let spec = |names: &str| format!("dns:{names}?server={}", server.address());
    let mut running = start(&spec("_cadvisor._tcp.test,alone.test"));
    let listing = running.listed(&["10.0.0.9", "node-1.test", "node-2.test"]).await;
    let [alone, first, second] = &listing.hosts[..] else { panic!("{listing:?}") };
    assert!(alone.endpoints.is_empty());
    assert_eq!((first.addresses[0].as_str(), first.endpoints[0].port), ("node-1.test", 8080));
    assert_eq!(second.endpoints[0].port, 8081);
    let told = "node-1.test has port 4194 too; a host is polled once";
    assert_eq!(listing.states[0].error, told);
    start(&spec("_gone._tcp.test")).listed(&[]).await;
    start(&spec("_none._tcp.test")).failed("_none._tcp.test has no record SRV").await;
}

/// A server that does not answer is an error, not an empty list.
#[tokio::test]
async fn no_server() {
    let [dead] = free_ports().unwrap();
    let mut running = start(&format!("dns:nodes.test?server=127.0.0.1:{dead}"));
    running.failed("dns: A of nodes.test: ").await;
}
