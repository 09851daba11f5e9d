//! What a buddy says of its hosts on one Control stream.

use std::collections::HashSet;

use heapster_proto::v1::{Host, HostChange, HostSnapshot};

/// The hosts as they were told.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    version: Option<u64>,
    ids: HashSet<String>,
    /// Chunks of a list that is not whole yet.
    incoming: Option<(u64, Vec<Host>)>,
    /// The newest whole list.
    pub(super) listed: Vec<Host>,
    /// Whole lists that came.
    pub(super) snapshots: usize,
}

impl Hosts {
    /// Takes a chunk; what is wrong with it.
    pub(super) fn snapshot(&mut self, chunk: &HostSnapshot) -> Option<String> {
        let version = chunk.version;
        let mut hosts = match self.incoming.take() {
            Some((started, hosts)) if started == version => hosts,
            _ => Vec::new(),
        };
        hosts.extend(chunk.hosts.iter().cloned());
        if !chunk.last {
            self.incoming = Some((version, hosts));
            return None;
        }
        if let Some(before) = self.version.replace(version)
            && version < before
        {
            return Some(format!("a HostSnapshot of version {version} came after {before}"));
        }
        self.snapshots += 1;
        self.ids.clear();
        let mut wrong = None;
        for host in &hosts {
            wrong = wrong.or_else(|| wrong_with(host));
            if !self.ids.insert(host.id.clone()) {
                wrong = Some(format!("the host {:?} comes twice in one list", host.id));
            }
        }
        self.listed = hosts;
        wrong
    }

    /// Takes a step; what is wrong with it.
    pub(super) fn change(&mut self, change: &HostChange) -> Option<String> {
        let from = change.from_version;
        let Some(version) = self.version.replace(change.version) else {
            return Some("a HostChange came before a whole HostSnapshot".to_owned());
        };
        if from != version {
            return Some(format!("a HostChange starts at version {from}, and {version} was sent"));
        }
        if change.version <= from {
            return Some(format!("a HostChange of version {} does not grow it", change.version));
        }
        for id in &change.removed {
            if !self.ids.remove(id) {
                return Some(format!("a HostChange removes the host {id:?}, which is not listed"));
            }
        }
        let wrong = change.upserted.iter().find_map(wrong_with);
        self.ids.extend(change.upserted.iter().map(|host| host.id.clone()));
        wrong
    }
}

fn wrong_with(host: &Host) -> Option<String> {
    if host.id.is_empty() || host.name.is_empty() {
        return Some(format!("a host has the id {:?} and the name {:?}", host.id, host.name));
    }
    let wild = host.endpoints.iter().find(|endpoint| endpoint.port > u32::from(u16::MAX));
    wild.map(|endpoint| format!("the host {:?} has the port {}", host.id, endpoint.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(id: &str) -> Host {
        Host { id: id.into(), name: id.into(), ..Host::default() }
    }

    fn list(version: u64, ids: &[&str], last: bool) -> HostSnapshot {
        HostSnapshot { version, hosts: ids.iter().map(|id| host(id)).collect(), last }
    }

    fn step(from_version: u64, version: u64, removed: &[&str]) -> HostChange {
        let removed = removed.iter().map(|id| (*id).to_owned()).collect();
        HostChange { from_version, version, upserted: vec![host("new")], removed }
    }

    #[test]
    fn chunks_make_a_list_and_steps_go_on_from_it() {
        let mut hosts = Hosts::default();
        assert_eq!(hosts.snapshot(&list(1, &["a"], false)), None);
        assert_eq!(hosts.snapshots, 0);
        assert_eq!(hosts.snapshot(&list(1, &["b"], true)), None);
        assert_eq!((hosts.snapshots, hosts.listed.len()), (1, 2));
        assert_eq!(hosts.change(&step(1, 2, &["a"])), None);
        assert!(hosts.change(&step(1, 3, &[])).unwrap().contains("starts at version 1"));
        assert!(hosts.change(&step(3, 4, &["a"])).unwrap().contains("is not listed"));
    }

    #[test]
    fn a_bad_list_is_told() {
        let told = |chunk| Hosts::default().snapshot(&chunk).unwrap();
        assert!(told(list(1, &["a", "a"], true)).contains("twice"));
        assert!(told(list(1, &[""], true)).contains("the id \"\""));
        assert!(Hosts::default().change(&step(0, 1, &[])).unwrap().contains("before a whole"));
    }
}
