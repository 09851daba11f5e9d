//! One buddy's list of hosts, and how the hosts are that it polls.

use std::{collections::BTreeMap, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{
    Map,
    host::{DiscoveryState, Host, HostState},
};

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

/// What one buddy says.
#[derive(Debug, Default)]
pub(super) struct BuddyHosts {
    pub(super) discovers: bool,
    /// A whole list has come.
    pub(super) listed: bool,
    pub(super) version: Option<u64>,
    pub(super) hosts: Map<CompactString, Listed>,
    pub(super) incoming: Option<(u64, Map<CompactString, Host>)>,
    pub(super) states: Map<CompactString, HostState>,
    pub(super) discoveries: BTreeMap<String, DiscoveryState>,
}

/// A host, and the number of the change that last said something else of it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) host: Arc<Host>,
    pub(super) changed: u64,
}

impl BuddyHosts {
    /// Takes an update, which has this number; whether hosts are gone with it.
    pub(super) fn apply(
        &mut self,
        update: HostsUpdate,
        number: u64,
        max: usize,
    ) -> Result<bool, NotApplied> {
        match update {
            HostsUpdate::Snapshot { version, hosts, last } => {
                let list = self.gathered(version, hosts, max)?;
                if last {
                    return Ok(self.replace(list, version, number));
                }
                self.incoming = Some((version, list));
                Ok(false)
            }
            HostsUpdate::Change { from_version, version, upserted, removed } => {
                self.check_step(from_version, upserted.len(), removed.len(), max)?;
                upserted.into_iter().for_each(|host| self.upsert(host, number));
                let removed = removed.iter().filter(|id| self.hosts.remove(*id).is_some()).count();
                self.version = Some(version);
                Ok(removed > 0)
            }
        }
    }

    /// The parts of this version so far.
    fn gathered(
        &mut self,
        version: u64,
        hosts: Vec<Host>,
        max: usize,
    ) -> Result<Map<CompactString, Host>, NotApplied> {
        let mut list = match self.incoming.take() {
            Some((started, list)) if started == version => list,
            _ => Map::default(),
        };
        list.extend(hosts.into_iter().map(|host| (host.id.clone(), host)));
        if list.len() > max { Err(NotApplied::TooMany) } else { Ok(list) }
    }

    fn replace(&mut self, list: Map<CompactString, Host>, version: u64, number: u64) -> bool {
        let before = self.hosts.len();
        self.hosts.retain(|id, _| list.contains_key(id));
        let is_shorter = self.hosts.len() < before;
        list.into_values().for_each(|host| self.upsert(host, number));
        self.version = Some(version);
        self.listed = true;
        is_shorter
    }

    /// What says the same as before stays as old as it is.
    fn upsert(&mut self, host: Host, number: u64) {
        if self.hosts.get(&host.id).is_none_or(|known| *known.host != host) {
            self.hosts.insert(host.id.clone(), Listed { host: Arc::new(host), changed: number });
        }
    }

    fn check_step(
        &self,
        from: u64,
        upserted: usize,
        removed: usize,
        max: usize,
    ) -> Result<(), NotApplied> {
        if self.version != Some(from) {
            let have = self.version.map_or("none".to_owned(), |version| version.to_string());
            let reason = format!("the step starts at version {from}, here is {have}");
            return Err(NotApplied::Gap(reason));
        }
        if self.hosts.len().saturating_add(upserted) > max.saturating_add(removed) {
            return Err(NotApplied::TooMany);
        }
        Ok(())
    }
}
