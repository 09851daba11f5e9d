//! The hosts that the master wants polled: gathers the chunks of an assignment, puts it in force when
//! it is whole and makes sense, and remembers its version over sessions.

use std::sync::Arc;

use heapster_proto::v1::{self, Assignment, AssignmentReply};
use heapster_shared::{Set, host::Host};
use tokio::sync::watch;

use super::convert;

/// Hosts of one assignment; more is a mistake of the master.
const MAX_HOSTS: usize = 1_000_000;

/// What this buddy was told to poll.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    /// Of the assignment in force; 0 for none.
    version: u64,
    /// Chunks of one that is not whole yet.
    incoming: (u64, Vec<v1::Host>),
}

impl Assigned {
    /// The version in force, for the next Hello.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// A session begins: what came in part in the one before is void.
    pub(super) fn begin(&mut self) {
        self.incoming = (0, Vec::new());
    }

    /// Takes a chunk. With the last one the hosts are in force, unless they make no sense; then
    /// there is an answer for the master.
    pub(super) fn take(
        &mut self,
        chunk: Assignment,
        in_force: &watch::Sender<Option<Arc<Vec<Host>>>>,
    ) -> Option<AssignmentReply> {
        let Assignment { version, hosts, last, own_hosts } = chunk;
        if self.incoming.0 != version {
            self.incoming = (version, Vec::new());
        }
        self.incoming.1.extend(hosts.into_iter().take(MAX_HOSTS + 1 - self.incoming.1.len()));
        if !last {
            return None;
        }
        let hosts = std::mem::take(&mut self.incoming).1;
        let hosts: Vec<Host> = hosts.into_iter().map(convert::assigned_host).collect();
        let error = wrong_with(&hosts, own_hosts);
        if error.is_none() {
            in_force.send_replace((!own_hosts).then(|| Arc::new(hosts)));
            self.version = version;
        }
        let accepted = error.is_none();
        Some(AssignmentReply { version, accepted, error: error.unwrap_or_default() })
    }
}

fn wrong_with(hosts: &[Host], own_hosts: bool) -> Option<String> {
    if own_hosts && !hosts.is_empty() {
        return Some("it names hosts and says to poll what is discovered".to_owned());
    }
    if hosts.len() > MAX_HOSTS {
        return Some(format!("more than {MAX_HOSTS} hosts"));
    }
    let mut ids = Set::default();
    for host in hosts {
        if host.id.is_empty() || host.name.is_empty() {
            return Some("a host has no id or no name".to_owned());
        }
        if !ids.insert(&host.id) {
            return Some(format!("the host {} is named twice", host.id));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(version: u64, ids: &[&str], last: bool) -> Assignment {
        let host = |id: &&str| v1::Host {
            id: (*id).to_owned(),
            name: (*id).to_owned(),
            ..v1::Host::default()
        };
        Assignment { version, hosts: ids.iter().map(host).collect(), last, own_hosts: false }
    }

    fn ids(in_force: &watch::Sender<Option<Arc<Vec<Host>>>>) -> Option<Vec<String>> {
        let hosts = in_force.borrow();
        Some(hosts.as_ref()?.iter().map(|host| host.id.to_string()).collect())
    }

    /// A list is in force when it is whole; chunks of another version, or of a session before, are
    /// no part of it. What makes no sense changes nothing.
    #[test]
    fn a_whole_list_that_makes_sense_is_in_force() {
        let in_force = watch::Sender::new(None);
        let mut assigned = Assigned::default();
        assert_eq!(assigned.take(chunk(3, &["x"], false), &in_force), None);
        assert_eq!(assigned.take(chunk(4, &["a"], false), &in_force), None);
        assert_eq!((assigned.version(), ids(&in_force)), (0, None));
        let reply = assigned.take(chunk(4, &["b"], true), &in_force).unwrap();
        assert!(reply.accepted && reply.version == 4);
        assert_eq!(ids(&in_force).unwrap(), ["a", "b"]);

        assigned.take(chunk(5, &["c"], false), &in_force);
        assigned.begin();
        let reply = assigned.take(chunk(5, &["d", "d"], true), &in_force).unwrap();
        assert_eq!((reply.accepted, &*reply.error), (false, "the host d is named twice"));
        assert_eq!(
            (assigned.version(), ids(&in_force).unwrap()),
            (4, vec!["a".into(), "b".into()])
        );
    }

    /// The way back to what is discovered.
    #[test]
    fn own_hosts_end_an_assignment() {
        let in_force = watch::Sender::new(None);
        let mut assigned = Assigned::default();
        assigned.take(chunk(1, &["a"], true), &in_force);
        let both = Assignment { own_hosts: true, ..chunk(2, &["b"], true) };
        assert!(!assigned.take(both, &in_force).unwrap().accepted);
        let own = Assignment { own_hosts: true, ..chunk(3, &[], true) };
        assert!(assigned.take(own, &in_force).unwrap().accepted);
        assert_eq!((assigned.version(), ids(&in_force)), (3, None));
    }
}
