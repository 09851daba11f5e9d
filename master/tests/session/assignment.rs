//! Assignments on the wire: chunks, acknowledgements, refusals.

use std::collections::BTreeSet;

use heapster_master::status::{AssignmentStatus, StatusSource};
use heapster_proto::v1::{self, from_buddy::Kind as Up, to_buddy};
use prost::Message;

use super::harness::{Bench, Buddy, eventually, from_buddy, hello, with_master};

/// A buddy that discovers and polls, and has nothing but its own hosts yet.
async fn join(bench: &Bench, id: &str) -> Buddy {
    let hello = v1::Hello { assignment_version: Some(0), ..hello(id, "1") };
    bench.hello(hello).await.unwrap()
}

async fn list(buddy: &Buddy, hosts: usize) {
    let host = |number: usize| v1::Host {
        id: format!("node-{number:04}"),
        name: format!("node-{number:04}"),
        labels: [("note".to_owned(), "x".repeat(100))].into(),
        ..v1::Host::default()
    };
    let hosts: Vec<v1::Host> = (0..hosts).map(host).collect();
    let chunks = hosts.chunks(20).enumerate();
    for (index, chunk) in chunks {
        let last = (index + 1) * 20 >= hosts.len();
        let snapshot = v1::HostSnapshot { version: 1, hosts: chunk.to_vec(), last };
        buddy.control.send(from_buddy(Up::Hosts(snapshot))).await.unwrap();
    }
}

async fn reply(buddy: &Buddy, version: u64, error: &str) {
    let (accepted, error) = (error.is_empty(), error.to_owned());
    let reply = v1::AssignmentReply { version, accepted, error };
    buddy.control.send(from_buddy(Up::AssignmentReply(reply))).await.unwrap();
}

/// The chunks of the next assignment.
async fn assigned(buddy: &mut Buddy) -> Vec<v1::Assignment> {
    let mut chunks: Vec<v1::Assignment> = Vec::new();
    while !chunks.last().is_some_and(|chunk| chunk.last) {
        match buddy.inbound.message().await.unwrap().unwrap().kind.unwrap() {
            to_buddy::Kind::Assignment(chunk) => chunks.push(chunk),
            other => panic!("no assignment: {other:?}"),
        }
    }
    chunks
}

fn ids(chunks: &[v1::Assignment]) -> BTreeSet<&str> {
    chunks.iter().flat_map(|chunk| &chunk.hosts).map(|host| host.id.as_str()).collect()
}

async fn status(bench: &Bench, id: &str) -> AssignmentStatus {
    let buddies = bench.status.buddies().await;
    let buddy = buddies.into_iter().find(|buddy| buddy.id == id);
    buddy.and_then(|buddy| buddy.assignment).unwrap_or_default()
}

/// Two that found the same hosts are told which half each is to poll, in chunks that keep to the
/// limit on frames. One accepts and one refuses, and both are seen. When one says goodbye the other
/// has all at once.
#[test]
fn two_that_found_the_same_share_it() {
    with_master(&["--max-frame-bytes", "8KiB"], async |bench| {
        let (mut a, mut b) = (join(&bench, "a").await, join(&bench, "b").await);
        list(&a, 200).await;
        list(&b, 200).await;
        let (of_a, of_b) = (assigned(&mut a).await, assigned(&mut b).await);
        assert!(of_a.len() > 1 && of_b.len() > 1, "{} {}", of_a.len(), of_b.len());
        for chunks in [&of_a, &of_b] {
            assert!(chunks.iter().all(|chunk| chunk.encoded_len() <= 8 << 10));
            assert!(chunks.iter().all(|chunk| chunk.version == chunks[0].version));
        }
        assert!(ids(&of_a).is_disjoint(&ids(&of_b)));
        assert_eq!(ids(&of_a).len() + ids(&of_b).len(), 200);

        reply(&a, of_a[0].version, "").await;
        reply(&b, of_b[0].version, "no source for them").await;
        eventually("both answers are seen", async || {
            let (a, b) = (status(&bench, "a").await, status(&bench, "b").await);
            a.acknowledged_version == of_a[0].version
                && a.unanswered_since_unix_ms == 0
                && b.refused_version == of_b[0].version
                && b.refusal == "no source for them"
                && b.own_hosts
        })
        .await;
        assert_eq!(status(&bench, "a").await.hosts, ids(&of_a).len());

        let goodbye = v1::Goodbye { reason: "the buddy was stopped".into() };
        b.control.send(from_buddy(Up::Goodbye(goodbye))).await.unwrap();
        let back = assigned(&mut a).await;
        assert!(back.len() == 1 && back[0].own_hosts, "it found them all itself");
        let hosts = bench.status.clusters().await.remove(0).hosts;
        assert!(hosts.iter().all(|host| host.polled_by == "a"));
    });
}

/// The states of hosts by a buddy that only polls them count; of hosts without a buddy it is said
/// that nobody polls them.
#[test]
fn who_only_polls_lists_nothing() {
    with_master(&[], async |bench| {
        let finds = v1::Hello { roles: vec![v1::Role::Discovers.into()], ..hello("d", "1") };
        let finder = bench.hello(finds).await.unwrap();
        list(&finder, 1).await;
        let host = async || bench.status.clusters().await.remove(0).hosts.remove(0);
        eventually("nobody polls it", async || {
            let clusters = bench.status.clusters().await;
            let mut hosts = clusters.iter().flat_map(|cluster| &cluster.hosts);
            hosts.any(|host| host.state.as_ref().is_some_and(|it| it.error.contains("--poll")))
        })
        .await;
        let polls = vec![v1::Role::Polls.into()];
        let polls = v1::Hello { roles: polls, assignment_version: Some(0), ..hello("p", "1") };
        let mut poller = bench.hello(polls).await.unwrap();
        let chunks = assigned(&mut poller).await;
        assert_eq!(ids(&chunks), ["node-0000"].into());
        reply(&poller, chunks[0].version, "").await;
        let state = v1::HostState { host_id: "node-0000".into(), ok: true, ..Default::default() };
        let health = v1::Health { hosts: vec![state], ..v1::Health::default() };
        poller.control.send(from_buddy(Up::Health(health))).await.unwrap();
        eventually("it is polled", async || host().await.state.is_some_and(|state| state.ok)).await;
        assert_eq!(host().await.polled_by, "p");
    });
}
