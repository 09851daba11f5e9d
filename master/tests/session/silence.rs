//! What is said of clusters whose actors do not answer.

use std::sync::{Arc, Mutex, mpsc};

use heapster_master::{
    server::Arbiters,
    status::{ClusterState, StatusSource as _},
};
use heapster_proto::v1;

use super::harness::{eventually, hello, with_sinks};

/// So many that there are some on each thread.
const CLUSTERS: usize = 16;

/// Their names and that they are silent; and all of it again when they answer.
#[test]
fn clusters_that_are_stuck_are_named() {
    let handles = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&handles);
    let find = move |arbiters: &Arbiters| {
        *found.lock().unwrap() = arbiters.handles();
        Vec::new()
    };
    with_sinks(&[], find, async |bench| {
        let mut buddies = Vec::new();
        for number in 0..CLUSTERS {
            let cluster = format!("cluster-{number}");
            let hello = v1::Hello { cluster, ..hello("buddy-1", "one") };
            buddies.push(bench.hello(hello).await.unwrap());
        }
        // The first thread has the supervisor, the second one a part of the clusters.
        let holding = hold(&handles.lock().unwrap()[1]);
        let clusters = bench.status.clusters().await;
        assert_eq!(clusters.len(), CLUSTERS);
        let (answered, silent): (Vec<_>, Vec<_>) =
            clusters.iter().partition(|cluster| cluster.has_answered());
        assert!(!silent.is_empty() && silent.iter().all(|cluster| cluster.buddies == 0));
        assert_eq!(bench.status.buddies().await.len(), answered.len());
        drop(holding);
        eventually("they answer again", async || {
            let clusters = bench.status.clusters().await;
            clusters.iter().all(|it| it.state == ClusterState::Ok && it.buddies == 1)
        })
        .await;
    });
}

/// Keeps an arbiter's thread busy until the sender is dropped.
fn hold(arbiter: &actix::ArbiterHandle) -> mpsc::SyncSender<()> {
    let (sender, held) = mpsc::sync_channel::<()>(0);
    let wait = move || {
        let _ = held.recv();
    };
    assert!(arbiter.spawn_fn(wait));
    sender
}
