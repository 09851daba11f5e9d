//! `fleet` by etcd's API of version 3, where the keys are mirrored.

use etcd_client::{Client, PutOptions};
use heapster_testkit::{peer::Etcd, real_peer};

use super::{common::start, fleet_v2::object};

fn key(id: &str) -> String {
    format!("/_coreos.com/fleet/machines/{id}/object")
}

/// Machines come, are renewed without any effect, and go: deleted, or with their lease.
#[tokio::test]
async fn mirrored_machines_come_and_go() {
    let etcd = real_peer!(Etcd::start());
    let mut client = Client::connect([etcd.url()], None).await.unwrap();
    client.put(key("m1"), object("m1", "10.0.0.1", "a"), None).await.unwrap();
    client.put("/_coreos.com/fleet/engine/version", "1", None).await.unwrap();
    let mut running = start(&format!("fleet:{}?api=v3", etcd.url()));
    let listing = running.listed(&["m1"]).await;
    assert_eq!(listing.hosts[0].labels.get("zone"), Some("a"));
    assert_eq!(listing.states[0].error, "");
    let lease = client.lease_grant(1, None).await.unwrap().id();
    let leased = Some(PutOptions::new().with_lease(lease));
    client.put(key("m2"), object("m2", "10.0.0.2", "b"), leased).await.unwrap();
    let before = running.listed(&["m1", "m2"]).await;
    client.put(key("m1"), object("m1", "10.0.0.1", "a"), None).await.unwrap();
    // Nobody keeps the lease alive.
    let after = running.until(|listing| *listing != before).await;
    assert_eq!(after.hosts.len(), 1, "the renewal changed something: {after:?}");
    client.delete(key("m1"), None).await.unwrap();
    running.listed(&[]).await;
}

/// While etcd is away the last list stands; what changed in revisions that were compacted away is
/// seen when it is back.
#[tokio::test]
async fn an_outage_and_a_compaction_are_survived() {
    let mut etcd = real_peer!(Etcd::start());
    let mut client = Client::connect([etcd.url()], None).await.unwrap();
    client.put(key("m1"), object("m1", "10.0.0.1", "a"), None).await.unwrap();
    let mut running = start(&format!("fleet:{}?api=v3", etcd.url()));
    running.listed(&["m1"]).await;
    etcd.stop().await.unwrap();
    let listing = running.failed(&etcd.url()).await;
    assert_eq!(listing.hosts.len(), 1);
    etcd.start().await.unwrap();
    let mut client = Client::connect([etcd.url()], None).await.unwrap();
    client.delete(key("m1"), None).await.unwrap();
    let put = client.put(key("m2"), object("m2", "10.0.0.2", "a"), None).await.unwrap();
    client.compact(put.header().unwrap().revision(), None).await.unwrap();
    running.listed(&["m2"]).await;
}
