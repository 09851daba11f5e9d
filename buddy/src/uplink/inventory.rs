//! What the master was told of hosts and their states, and what it has to be told now.

use heapster_proto::v1::{Health, HostChange, HostSnapshot, from_buddy::Kind};
use heapster_shared::{
    Map,
    host::{DiscoveryState, Host, HostState},
};

use super::convert;

/// Hosts or states of one message.
const CHUNK: usize = 500;

/// One session's knowledge on the master's side.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    version: u64,
    hosts: Map<String, Host>,
    states: Map<String, HostState>,
    discoveries: Vec<DiscoveryState>,
}

impl Inventory {
    /// Everything.
    pub(super) fn snapshot(&mut self, hosts: &[Host]) -> Vec<Kind> {
        self.version += 1;
        self.hosts = hosts.iter().map(|host| (host.id.to_string(), host.clone())).collect();
        let version = self.version;
        let chunks = hosts.len().div_ceil(CHUNK).max(1);
        let chunk = |index: usize| {
            let part = hosts.iter().skip(index * CHUNK).take(CHUNK);
            let hosts = part.map(convert::host).collect();
            Kind::Hosts(HostSnapshot { version, hosts, last: index + 1 == chunks })
        };
        (0..chunks).map(chunk).collect()
    }

    /// The step from what the master knows; a snapshot where much has changed.
    pub(super) fn change(&mut self, hosts: &[Host]) -> Vec<Kind> {
        let known = &self.hosts;
        let is_new = |host: &&Host| known.get(host.id.as_str()) != Some(*host);
        let upserted: Vec<&Host> = hosts.iter().filter(is_new).collect();
        let named: heapster_shared::Set<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
        let removed: Vec<String> =
            known.keys().filter(|id| !named.contains(id.as_str())).cloned().collect();
        if upserted.is_empty() && removed.is_empty() {
            return Vec::new();
        }
        if upserted.len() + removed.len() > CHUNK {
            return self.snapshot(hosts);
        }
        let upserts = upserted.iter().map(|host| convert::host(host)).collect();
        for id in &removed {
            self.hosts.remove(id);
        }
        for host in upserted {
            self.hosts.insert(host.id.to_string(), host.clone());
        }
        let from_version = self.version;
        self.version += 1;
        let version = self.version;
        vec![Kind::HostChange(HostChange { from_version, version, upserted: upserts, removed })]
    }

    /// The states that changed since they were last sent.
    pub(super) fn host_health(&mut self, states: &[HostState]) -> Vec<Kind> {
        let known = &self.states;
        let is_new = |state: &&HostState| known.get(state.host_id.as_str()) != Some(*state);
        let changed: Vec<HostState> = states.iter().filter(is_new).cloned().collect();
        let messages = changed.chunks(CHUNK).map(|chunk| {
            let hosts = chunk.iter().map(convert::host_state).collect();
            Kind::Health(Health { hosts, ..Health::default() })
        });
        let messages = messages.collect();
        let states = states.iter().map(|state| (state.host_id.to_string(), state.clone()));
        self.states = states.collect();
        messages
    }

    /// The states of the discoveries, where one changed.
    pub(super) fn discovery_health(&mut self, states: &[DiscoveryState]) -> Option<Kind> {
        if self.discoveries == states {
            return None;
        }
        self.discoveries = states.to_vec();
        let discoveries = states.iter().map(convert::discovery_state).collect();
        Some(Kind::Health(Health { discoveries, ..Health::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(ids: &[&str]) -> Vec<Host> {
        ids.iter().map(|id| Host::named(id)).collect()
    }

    #[test]
    fn a_long_list_goes_in_chunks_of_one_version() {
        let ids: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let messages = Inventory::default().snapshot(&hosts(&ids));
        let chunks: Vec<_> = messages
            .iter()
            .map(|message| match message {
                Kind::Hosts(chunk) => (chunk.version, chunk.hosts.len(), chunk.last),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(chunks, [(1, 500, false), (1, 500, false), (1, 1, true)]);
        assert_eq!(Inventory::default().snapshot(&[]).len(), 1, "an empty list is a list");
    }

    #[test]
    fn a_change_names_what_came_changed_and_went() {
        let mut inventory = Inventory::default();
        inventory.snapshot(&hosts(&["a", "b"]));
        let mut now = hosts(&["b", "c"]);
        now[0].ready = false;
        let messages = inventory.change(&now);
        let [Kind::HostChange(change)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!((change.from_version, change.version), (1, 2));
        let upserted: Vec<&str> = change.upserted.iter().map(|host| host.id.as_str()).collect();
        assert_eq!((upserted, &change.removed[..]), (vec!["b", "c"], &["a".to_owned()][..]));
        assert!(inventory.change(&now).is_empty());
    }
}
