//! `/validate`, where buddies contradict each other or the master, and what pages say of a cluster
//! that says nothing.

use heapster_master::status::{AssignmentStatus, BuddyStatus, ClusterStatus};

use super::world::{World, troubled_parts};

/// What buddies refuse and contradict each other in is said, and by whom; a clock that is off by
/// less than half a minute is not.
#[actix::test]
async fn validate_tells_of_contradictions() {
    let now_ms = heapster_shared::tick::unix_ms();
    let mut parts = troubled_parts(now_ms);
    let buddy = &mut parts.buddies[0];
    buddy.clock_offset_ms = -300_000;
    buddy.duplicate = "another instance with this id, from 10.0.0.9:1, was turned away".into();
    buddy.duplicate_unix_ms = now_ms - 1_000;
    buddy.assignment = Some(AssignmentStatus {
        hosts: 7,
        version: 5,
        acknowledged_version: 4,
        refused_version: 5,
        refusal: "the host a is named twice".into(),
        ..AssignmentStatus::default()
    });
    let quiet = BuddyStatus { id: "b2".into(), clock_offset_ms: 29_000, ..buddy.clone() };
    let quiet = BuddyStatus { duplicate_unix_ms: now_ms - 3_600_000, ..quiet };
    parts.buddies.push(BuddyStatus { assignment: None, ..quiet });
    parts.clusters[0].disputes = vec!["host node-a: buddies disagree".into()];
    let host = &mut parts.clusters[0].hosts[0].host;
    host.addresses = vec!["10.0.0.1".into()];
    parts.clusters.push(ClusterStatus { name: "other".into(), ..parts.clusters[0].clone() });
    let world = World::new(&["lab"], parts).await;
    let (_, text) = world.text("/validate").await;
    for words in [
        "buddy b1 of lab refuses the hosts that it is given, and goes on with those before: the host a is named twice",
        "buddy b1 of lab: its clock is 5 min behind the master's",
        "buddy b1 of lab: another instance with this id, from 10.0.0.9:1, was turned away",
        "cluster lab: host node-a: buddies disagree",
        "host node-a (10.0.0.1) is in the clusters lab, other, and each polls it",
        "polls: 7 hosts, assignment 5, acknowledged is 4; refused 5: the host a is named twice",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    assert!(!text.contains("buddy b2 of lab:"), "{text}");
}

/// A cluster that does not answer is named everywhere, and no number is made up for it: a counter of
/// zero would look as if it had begun anew.
#[actix::test]
async fn a_silent_cluster_is_named() {
    let mut parts = troubled_parts(heapster_shared::tick::unix_ms());
    parts.clusters.push(ClusterStatus::silent("stuck"));
    let world = World::new(&["lab"], parts).await;
    let clusters = world.json("/api/v1/clusters").await;
    let states = clusters.as_array().unwrap().iter().map(|it| (&it["name"], &it["state"]));
    let states: Vec<String> = states.map(|(name, state)| format!("{name} {state}")).collect();
    assert_eq!(states, ["\"lab\" \"ok\"", "\"stuck\" \"silent\""]);
    let (_, metrics) = world.text("/metrics").await;
    assert!(metrics.contains("heapster_cluster_answered{cluster=\"stuck\"} 0"), "{metrics}");
    assert!(metrics.contains("heapster_cluster_answered{cluster=\"lab\"} 1"), "{metrics}");
    assert_eq!(metrics.matches("cluster=\"stuck\"").count(), 1, "{metrics}");
    let (_, text) = world.text("/validate").await;
    assert_eq!(text.matches("stuck: it did not answer within a second").count(), 2, "{text}");
    let (_, page) = world.text("/").await;
    assert!(
        page.contains("Cluster stuck <span class=\"dim\">· it did not say how it is"),
        "{page}"
    );
}
