//! The hosts of one cluster, as its buddies report them.
//!
//! Each buddy's list is kept as it was sent; the cluster's hosts are all of them, by id. A list
//! stands until a newer whole one has come, also while its buddy is away. Where lists say different
//! things of one id, what came last holds: a list that is sent again unchanged is not newer.

mod list;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{
    Map, Set,
    host::{DiscoveryState, Host, HostState},
};
use list::BuddyHosts;
pub use list::{HostsUpdate, NotApplied};

use crate::status::HostStatus;

/// Discoveries of one buddy that are remembered.
const MAX_DISCOVERIES: usize = 256;
/// Hosts of one id that buddies disagree on, and that are named.
const MAX_DISPUTES: usize = 20;

/// The hosts of one cluster by buddy.
#[derive(Debug)]
pub struct Inventory {
    buddies: BTreeMap<String, BuddyHosts>,
    max_hosts: usize,
    /// Numbers what lists say, so that the newest is known.
    changes: u64,
}

/// A host of the cluster, and who lists it.
#[derive(Debug)]
pub struct Merged<'a> {
    /// What was said of it last.
    pub host: &'a Arc<Host>,
    /// The buddies that list it, in order of their ids.
    pub listers: Vec<&'a str>,
    changed: u64,
}

impl Inventory {
    /// No hosts yet; no buddy may have more than this many.
    #[must_use]
    pub const fn new(max_hosts: usize) -> Self {
        Self { buddies: BTreeMap::new(), max_hosts, changes: 0 }
    }

    /// A buddy has connected. Its versions start anew, its last list stands until the next.
    pub fn connect(&mut self, buddy: &str, discovers: bool) {
        let hosts = self.buddies.entry(buddy.to_owned()).or_default();
        hosts.discovers = discovers;
        hosts.version = None;
        hosts.incoming = None;
    }

    /// Forgets a buddy and all that it said.
    pub fn forget(&mut self, buddy: &str) {
        self.buddies.remove(buddy);
        self.prune();
    }

    /// Takes what a buddy says of its hosts.
    ///
    /// # Errors
    /// When the update cannot be applied; the last good list stands.
    pub fn apply(&mut self, buddy: &str, update: HostsUpdate) -> Result<(), NotApplied> {
        let max = self.max_hosts;
        self.changes += 1;
        let known = self.buddies.entry(buddy.to_owned()).or_default();
        if known.apply(update, self.changes, max)? {
            self.prune();
        }
        Ok(())
    }

    /// Takes how polling and discovering went. States of hosts that nobody lists are dropped.
    pub fn health(&mut self, buddy: &str, hosts: Vec<HostState>, found: Vec<DiscoveryState>) {
        let listed = |id: &str| self.buddies.values().any(|known| known.hosts.contains_key(id));
        let hosts: Vec<HostState> =
            hosts.into_iter().filter(|state| listed(&state.host_id)).collect();
        let known = self.buddies.entry(buddy.to_owned()).or_default();
        known.states.extend(hosts.into_iter().map(|state| (state.host_id.clone(), state)));
        for state in found {
            let room = known.discoveries.len() < MAX_DISCOVERIES;
            if room || known.discoveries.contains_key(&state.name) {
                known.discoveries.insert(state.name.clone(), state);
            }
        }
    }

    /// Whether a buddy that discovers has given a whole list: before that it is not known which
    /// hosts there are.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.buddies.values().any(|known| known.discovers && known.listed)
    }

    /// What this buddy itself says of a host.
    #[must_use]
    pub fn listed_by(&self, buddy: &str, id: &str) -> Option<&Arc<Host>> {
        Some(&self.buddies.get(buddy)?.hosts.get(id)?.host)
    }

    /// How many hosts this buddy lists.
    #[must_use]
    pub fn count_of(&self, buddy: &str) -> usize {
        self.buddies.get(buddy).map_or(0, |known| known.hosts.len())
    }

    /// The hosts of all buddies in order of their ids, each once.
    #[must_use]
    pub fn merged(&self) -> Vec<Merged<'_>> {
        let mut merged: Map<&CompactString, Merged<'_>> = Map::default();
        for (buddy, known) in &self.buddies {
            for (id, listed) in &known.hosts {
                let fresh = || Merged { host: &listed.host, listers: Vec::new(), changed: 0 };
                let entry = merged.entry(id).or_insert_with(fresh);
                entry.listers.push(buddy);
                if listed.changed > entry.changed {
                    entry.changed = listed.changed;
                    entry.host = &listed.host;
                }
            }
        }
        let mut merged: Vec<Merged<'_>> = merged.into_values().collect();
        merged.sort_unstable_by(|a, b| a.host.id.cmp(&b.host.id));
        merged
    }

    /// The hosts of all buddies by name, each once, with the buddy that polls it: `owner` gives it
    /// by the host's id, where that is decided already.
    #[must_use]
    pub fn hosts<'a>(&self, owner: Option<impl Fn(&str) -> Option<&'a str>>) -> Vec<HostStatus> {
        let status = |merged: Merged<'_>| {
            let host = &**merged.host;
            let polled_by = owner.as_ref().map(|owner| owner(&host.id));
            let state = match polled_by {
                Some(None) => Some(unpolled(host, &merged.listers)),
                Some(Some(buddy)) => self.state_by(buddy, &host.id),
                None => self.newest_state(&host.id),
            };
            let polled_by = polled_by.flatten().unwrap_or_default().to_owned();
            HostStatus { host: host.clone(), state, polled_by }
        };
        let mut hosts: Vec<HostStatus> = self.merged().into_iter().map(status).collect();
        hosts.sort_by(|a, b| (&a.host.name, &a.host.id).cmp(&(&b.host.name, &b.host.id)));
        hosts
    }

    /// The state by the buddy that polls the host; until it has said one, that of the buddy before.
    fn state_by(&self, buddy: &str, id: &str) -> Option<HostState> {
        let own = self.buddies.get(buddy).and_then(|known| known.states.get(id));
        own.cloned().or_else(|| self.newest_state(id))
    }

    fn newest_state(&self, id: &str) -> Option<HostState> {
        let states = self.buddies.values().filter_map(|known| known.states.get(id));
        states.max_by_key(|state| state.tick_unix_ms).cloned()
    }

    /// The discoveries of all buddies.
    #[must_use]
    pub fn discoveries(&self) -> Vec<DiscoveryState> {
        let buddies = self.buddies.values();
        buddies.flat_map(|buddy| buddy.discoveries.values().cloned()).collect()
    }

    /// Where buddies disagree on how a host is reached, in sentences.
    #[must_use]
    pub fn disputes(&self) -> Vec<String> {
        let several = self.merged().into_iter().filter(|merged| merged.listers.len() > 1);
        let disputed = several.filter_map(|merged| {
            let other = merged.listers.iter().find(|buddy| {
                let theirs = self.listed_by(buddy, &merged.host.id);
                theirs.is_some_and(|theirs| !is_reached_alike(theirs, merged.host))
            })?;
            Some(format!(
                "host {}: buddy {other} lists it differently than others do; what was said last holds: {}",
                merged.host.name,
                merged.host.addresses.join(", ")
            ))
        });
        disputed.take(MAX_DISPUTES).collect()
    }

    /// Drops the states of hosts that nobody lists any more.
    fn prune(&mut self) {
        let lists = self.buddies.values().flat_map(|known| known.hosts.keys().cloned());
        let listed: Set<CompactString> = lists.collect();
        for known in self.buddies.values_mut() {
            known.states.retain(|id, _| listed.contains(id));
        }
    }
}

fn is_reached_alike(one: &Host, other: &Host) -> bool {
    one.addresses == other.addresses && one.endpoints == other.endpoints
}

fn unpolled(host: &Host, listers: &[&str]) -> HostState {
    let error = if host.local {
        let lister = listers.first().copied().unwrap_or_default();
        format!("only buddy {lister} can poll this host, and it is not there: start it")
    } else {
        "no connected buddy polls this host: start one that polls in this cluster, or give the master --poll"
            .to_owned()
    };
    HostState {
        host_id: host.id.clone(),
        ok: false,
        error,
        latency_ms: 0,
        tick_unix_ms: 0,
        source: CompactString::default(),
    }
}
