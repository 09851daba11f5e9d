//! The hosts of one cluster, as its buddies report them.
//!
//! Each buddy's list is kept as it was sent; the cluster's hosts are all of them, by id. A list
//! stands until a newer whole one has come, also while its buddy is away.

use std::collections::BTreeMap;

use compact_str::CompactString;
use heapster_shared::{
    Map,
    host::{DiscoveryState, Host, HostState},
};

use crate::status::HostStatus;

/// Discoveries of one buddy that are remembered.
const MAX_DISCOVERIES: usize = 256;

/// What a buddy says of the hosts.
#[derive(Clone, Debug)]
pub enum HostsUpdate {
    /// A part of the whole list.
    Snapshot {
        /// Grows with each change.
        version: u64,
        /// The hosts of this part.
        hosts: Vec<Host>,
        /// Whether the list is whole with this part.
        last: bool,
    },
    /// A step from one version to the next.
    Change {
        /// The version that it applies to.
        from_version: u64,
        /// The version that it gives.
        version: u64,
        /// New hosts, and those that changed.
        upserted: Vec<Host>,
        /// Ids of those that are gone.
        removed: Vec<CompactString>,
    },
}

/// Why an update was not applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotApplied {
    /// A step is missing: a whole list is needed.
    Gap(String),
    /// There are more hosts than a buddy may have.
    TooMany,
}

/// The hosts of one cluster by buddy.
#[derive(Debug)]
pub struct Inventory {
    buddies: BTreeMap<String, BuddyHosts>,
    max_hosts: usize,
}

#[derive(Debug, Default)]
struct BuddyHosts {
    version: Option<u64>,
    hosts: Map<CompactString, Host>,
    incoming: Option<(u64, Map<CompactString, Host>)>,
    states: Map<CompactString, HostState>,
    discoveries: BTreeMap<String, DiscoveryState>,
    polls: bool,
}

impl Inventory {
    /// No hosts yet; no buddy may have more than this many.
    #[must_use]
    pub const fn new(max_hosts: usize) -> Self {
        Self { buddies: BTreeMap::new(), max_hosts }
    }

    /// A buddy has connected. Its versions start anew, its last list stands until the next.
    pub fn connect(&mut self, buddy: &str, polls: bool) {
        let hosts = self.buddies.entry(buddy.to_owned()).or_default();
        hosts.polls = polls;
        hosts.version = None;
        hosts.incoming = None;
    }

    /// A buddy has gone: it polls no more, and what it listed stands.
    pub fn disconnect(&mut self, buddy: &str) {
        if let Some(hosts) = self.buddies.get_mut(buddy) {
            hosts.polls = false;
        }
    }

    /// Forgets a buddy and all that it said.
    pub fn forget(&mut self, buddy: &str) {
        self.buddies.remove(buddy);
    }

    /// Takes what a buddy says of its hosts.
    ///
    /// # Errors
    /// When the update cannot be applied; the last good list stands.
    pub fn apply(&mut self, buddy: &str, update: HostsUpdate) -> Result<(), NotApplied> {
        let max = self.max_hosts;
        let known = self.buddies.entry(buddy.to_owned()).or_default();
        match update {
            HostsUpdate::Snapshot { version, hosts, last } => {
                known.snapshot(version, hosts, last, max)
            }
            HostsUpdate::Change { from_version, version, upserted, removed } => {
                known.step(from_version, version, upserted, &removed, max)
            }
        }
    }

    /// Takes how polling and discovering went. States of hosts that nobody listed are dropped.
    pub fn health(&mut self, buddy: &str, hosts: Vec<HostState>, found: Vec<DiscoveryState>) {
        let known = self.buddies.entry(buddy.to_owned()).or_default();
        for state in hosts {
            if known.hosts.contains_key(&state.host_id) {
                known.states.insert(state.host_id.clone(), state);
            }
        }
        for state in found {
            let room = known.discoveries.len() < MAX_DISCOVERIES;
            if room || known.discoveries.contains_key(&state.name) {
                known.discoveries.insert(state.name.clone(), state);
            }
        }
    }

    /// The hosts of all buddies by name, each once. One that no buddy polls has a state that says so.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostStatus> {
        let mut merged: Map<&CompactString, (&Host, Option<&HostState>, bool)> = Map::default();
        for buddy in self.buddies.values() {
            for (id, host) in &buddy.hosts {
                let state = buddy.states.get(id);
                let entry = merged.entry(id).or_insert((host, None, false));
                entry.2 |= buddy.polls;
                if state.map(|state| state.tick_unix_ms) > entry.1.map(|state| state.tick_unix_ms) {
                    *entry = (host, state, entry.2);
                }
            }
        }
        let mut hosts: Vec<HostStatus> = merged
            .into_values()
            .map(|(host, state, polled)| HostStatus {
                host: host.clone(),
                state: state.cloned().or_else(|| (!polled).then(|| unpolled(host))),
            })
            .collect();
        hosts.sort_by(|a, b| (&a.host.name, &a.host.id).cmp(&(&b.host.name, &b.host.id)));
        hosts
    }

    /// The discoveries of all buddies.
    #[must_use]
    pub fn discoveries(&self) -> Vec<DiscoveryState> {
        let buddies = self.buddies.values();
        buddies.flat_map(|buddy| buddy.discoveries.values().cloned()).collect()
    }
}

impl BuddyHosts {
    fn snapshot(
        &mut self,
        version: u64,
        hosts: Vec<Host>,
        last: bool,
        max: usize,
    ) -> Result<(), NotApplied> {
        let mut list = match self.incoming.take() {
            Some((started, list)) if started == version => list,
            _ => Map::default(),
        };
        list.extend(hosts.into_iter().map(|host| (host.id.clone(), host)));
        if list.len() > max {
            return Err(NotApplied::TooMany);
        }
        if !last {
            self.incoming = Some((version, list));
            return Ok(());
        }
        self.hosts = list;
        self.version = Some(version);
        self.prune();
        Ok(())
    }

    fn step(
        &mut self,
        from: u64,
        version: u64,
        upserted: Vec<Host>,
        removed: &[CompactString],
        max: usize,
    ) -> Result<(), NotApplied> {
        if self.version != Some(from) {
            let have = self.version.map_or("none".to_owned(), |version| version.to_string());
            return Err(NotApplied::Gap(format!(
                "the step starts at version {from}, here is {have}"
            )));
        }
        if self.hosts.len().saturating_add(upserted.len()) > max.saturating_add(removed.len()) {
            return Err(NotApplied::TooMany);
        }
        self.hosts.extend(upserted.into_iter().map(|host| (host.id.clone(), host)));
        for id in removed {
            self.hosts.remove(id);
        }
        self.version = Some(version);
        self.prune();
        Ok(())
    }

    fn prune(&mut self) {
        let Self { hosts, states, .. } = self;
        states.retain(|id, _| hosts.contains_key(id));
    }
}

fn unpolled(host: &Host) -> HostState {
    HostState {
        host_id: host.id.clone(),
        ok: false,
        error: "no connected buddy polls this host: start one with a source in this cluster"
            .to_owned(),
        latency_ms: 0,
        tick_unix_ms: 0,
        source: CompactString::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Vec<Host> {
        names.iter().map(|name| Host::named(name)).collect()
    }

    fn names(inventory: &Inventory) -> Vec<String> {
        inventory.hosts().iter().map(|status| status.host.name.to_string()).collect()
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

    /// A host that only a discoverer lists says that nobody polls it; one that a poller has too
    /// shows the poller's state.
    #[test]
    fn several_buddies_are_one_inventory() {
        let mut inventory = Inventory::new(10);
        inventory.connect("finder", false);
        inventory.apply("finder", snapshot(1, &["a", "b"], true)).unwrap();
        inventory.connect("poller", true);
        inventory.apply("poller", snapshot(1, &["b"], true)).unwrap();
        let state = |id: &str| HostState {
            host_id: id.into(),
            ok: true,
            error: String::new(),
            latency_ms: 3,
            tick_unix_ms: 15_000,
            source: "cgroup".into(),
        };
        inventory.health("poller", vec![state("b"), state("stranger")], Vec::new());
        let hosts = inventory.hosts();
        assert_eq!(names(&inventory), ["a", "b"]);
        assert!(hosts[0].state.as_ref().unwrap().error.contains("no connected buddy polls"));
        assert!(hosts[1].state.as_ref().unwrap().ok);
    }
}
