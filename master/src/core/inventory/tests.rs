//! Tests of the inventory.

use super::*;

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().map(|name| Host::named(name)).collect()
}

/// The hosts as long as nobody has decided who polls them.
fn statuses(inventory: &Inventory) -> Vec<HostStatus> {
    inventory.hosts(None::<fn(&str) -> Option<&'static str>>)
}

fn names(inventory: &Inventory) -> Vec<String> {
    statuses(inventory).iter().map(|status| status.host.name.to_string()).collect()
}

fn snapshot(version: u64, names: &[&str], last: bool) -> HostsUpdate {
    HostsUpdate::Snapshot { version, hosts: hosts(names), last }
}

fn change(from_version: u64, upserted: &[&str], removed: &[&str]) -> HostsUpdate {
    HostsUpdate::Change {
        from_version,
        version: from_version + 1,
        upserted: hosts(upserted),
        removed: removed.iter().map(|id| (*id).into()).collect(),
    }
}

/// A partial list never shows: the old one stands until the last chunk is there.
#[test]
fn a_list_takes_effect_when_it_is_whole() {
    let mut inventory = Inventory::new(10);
    inventory.connect("x", true);
    inventory.apply("x", snapshot(1, &["b", "a"], true)).unwrap();
    inventory.apply("x", snapshot(2, &["c"], false)).unwrap();
    assert_eq!(names(&inventory), ["a", "b"]);
    inventory.apply("x", snapshot(2, &["d"], true)).unwrap();
    assert_eq!(names(&inventory), ["c", "d"]);
}

#[test]
fn a_gap_is_told_and_changes_nothing() {
    let mut inventory = Inventory::new(3);
    inventory.connect("x", true);
    assert!(matches!(inventory.apply("x", change(1, &["z"], &[])), Err(NotApplied::Gap(_))));
    inventory.apply("x", snapshot(1, &["a", "b"], true)).unwrap();
    inventory.apply("x", change(1, &["c"], &["a"])).unwrap();
    assert!(matches!(inventory.apply("x", change(5, &["d"], &[])), Err(NotApplied::Gap(_))));
    assert_eq!(names(&inventory), ["b", "c"]);
    let many = snapshot(3, &["a", "b", "c", "d"], true);
    assert_eq!(inventory.apply("x", many), Err(NotApplied::TooMany));
    assert_eq!(names(&inventory), ["b", "c"]);
}

/// After a reconnect the versions of the new process mean nothing to the old list, which
/// stands until replaced.
#[test]
fn a_reconnect_keeps_the_hosts_and_forgets_the_version() {
    let mut inventory = Inventory::new(10);
    inventory.connect("x", true);
    inventory.apply("x", snapshot(1, &["a"], true)).unwrap();
    inventory.connect("x", true);
    assert_eq!(names(&inventory), ["a"]);
    assert!(inventory.apply("x", change(1, &["b"], &[])).is_err());
}

fn state(id: &str, tick_unix_ms: i64) -> HostState {
    HostState {
        host_id: id.into(),
        ok: true,
        error: String::new(),
        latency_ms: 3,
        tick_unix_ms,
        source: "cgroup".into(),
    }
}

/// The state of a host is that by the buddy that polls it, which need not list it; one that nobody
/// polls says so. States of strangers are not kept.
#[test]
fn several_buddies_are_one_inventory() {
    let mut inventory = Inventory::new(10);
    inventory.connect("finder", true);
    inventory.apply("finder", snapshot(1, &["a", "b"], true)).unwrap();
    inventory.connect("poller", false);
    inventory.health("poller", vec![state("b", 1), state("stranger", 1)], Vec::new());
    inventory.health("finder", vec![state("b", 2)], Vec::new());
    let owner = |id: &str| (id == "b").then_some("poller");
    let hosts = inventory.hosts(Some(owner));
    assert_eq!(names(&inventory), ["a", "b"]);
    assert!(hosts[0].state.as_ref().unwrap().error.contains("no connected buddy polls"));
    assert_eq!((&*hosts[0].polled_by, &*hosts[1].polled_by), ("", "poller"));
    assert_eq!(hosts[1].state.as_ref().unwrap().tick_unix_ms, 1);
    assert_eq!(statuses(&inventory)[1].state.as_ref().unwrap().tick_unix_ms, 2, "the newest");

    inventory.apply("finder", snapshot(2, &["a", "stranger"], true)).unwrap();
    assert_eq!(statuses(&inventory)[1].state, None, "it was no host when it was told of");
    inventory.apply("finder", snapshot(3, &["b"], true)).unwrap();
    assert_eq!(statuses(&inventory)[0].state, None, "states go with their hosts");
}

/// Two that list the same host: each is named, what was said last holds, and who repeats itself
/// says nothing new. The list of one that is gone stands.
#[test]
fn lists_that_disagree_are_joined() {
    let mut inventory = Inventory::new(10);
    let at = |address: &str| Host { addresses: vec![address.into()], ..Host::named("a") };
    let list =
        |version, host: Host| HostsUpdate::Snapshot { version, hosts: vec![host], last: true };
    inventory.apply("x", list(1, at("10.0.0.1"))).unwrap();
    inventory.apply("y", list(1, at("10.0.0.2"))).unwrap();
    inventory.apply("z", snapshot(1, &["b"], true)).unwrap();
    inventory.apply("x", list(2, at("10.0.0.1"))).unwrap();
    let merged = inventory.merged();
    assert_eq!(
        (merged[0].host.addresses[0].as_str(), &merged[0].listers[..]),
        ("10.0.0.2", &["x", "y"][..])
    );
    assert_eq!(merged.len(), 2);
    let disputes = inventory.disputes();
    assert_eq!(disputes.len(), 1);
    assert!(disputes[0].contains("host a: buddy x lists it differently"), "{disputes:?}");
    inventory.apply("x", list(3, at("10.0.0.2"))).unwrap();
    assert!(inventory.disputes().is_empty());
    inventory.connect("z", true);
    assert_eq!(names(&inventory), ["a", "b"]);
    inventory.forget("z");
    assert_eq!(names(&inventory), ["a"]);
}

/// Until a buddy that discovers has said all, nothing is known.
#[test]
fn a_list_of_who_only_polls_is_no_list_of_the_cluster() {
    let mut inventory = Inventory::new(10);
    inventory.connect("poller", false);
    inventory.apply("poller", snapshot(1, &[], true)).unwrap();
    inventory.connect("finder", true);
    inventory.apply("finder", snapshot(1, &["a"], false)).unwrap();
    assert!(!inventory.is_listed());
    inventory.apply("finder", snapshot(1, &[], true)).unwrap();
    assert!(inventory.is_listed());
}
