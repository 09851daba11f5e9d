//! What the records of answers say: an address is a host, and so is the target of a service.

use std::{collections::BTreeMap, time::Instant};

use compact_str::{CompactString, ToCompactString};
use heapster_shared::host::{Endpoint, Host};
use hickory_resolver::{lookup::Lookup, proto::rr::RData};

use crate::discovery::address::check_name;

/// The records of all answers.
pub(super) struct Records {
    /// Of addresses.
    port: u16,
    /// By name, with the priority of the record.
    hosts: BTreeMap<CompactString, (u16, u16)>,
    left_out: Vec<String>,
    /// When the first of them is to be asked for again.
    pub(super) good_until: Option<Instant>,
}

impl Records {
    pub(super) fn new(port: u16) -> Self {
        Self { port, hosts: BTreeMap::new(), left_out: Vec::new(), good_until: None }
    }

    /// Adds those of an answer; and whether there was one that counts.
    pub(super) fn add(&mut self, answer: &Lookup) -> bool {
        let before = self.good_until;
        let mut any = false;
        for record in answer.answers() {
            match &record.data {
                RData::A(address) => self.host(address.0.to_compact_string(), 0, self.port),
                RData::AAAA(address) => self.host(address.0.to_compact_string(), 0, self.port),
                // There is decidedly no such service.
                RData::SRV(service) if service.target.is_root() => {}
                RData::SRV(service) => {
                    let target = service.target.to_utf8();
                    let target = target.trim_end_matches('.').to_ascii_lowercase();
                    // A name of DNS may have any bytes in it; a host's goes into URLs.
                    match check_name(&target) {
                        Ok(()) => self.host(target.into(), service.priority, service.port),
                        Err(why) => self.left_out.push(why),
                    }
                }
                // An alias on the way.
                _ => continue,
            }
            any = true;
        }
        if any {
            let until = answer.valid_until();
            self.good_until = Some(before.map_or(until, |before| before.min(until)));
        }
        any
    }

    /// A host is polled once: where it has several ports, at that of the highest priority, which is
    /// the lowest number.
    fn host(&mut self, name: CompactString, priority: u16, port: u16) {
        let Some(known) = self.hosts.get_mut(&name) else {
            self.hosts.insert(name, (priority, port));
            return;
        };
        let dropped = (*known).max((priority, port)).1;
        *known = (*known).min((priority, port));
        if known.1 != dropped {
            self.left_out.push(format!("{name} has port {dropped} too; a host is polled once"));
        }
    }

    /// The hosts, by name; and what was left out.
    pub(super) fn hosts(self) -> (Vec<Host>, Vec<String>) {
        let host = |(name, (_, port)): (CompactString, (u16, u16))| {
            let mut host = Host::named(&name);
            if port != 0 {
                host.endpoints = vec![Endpoint { port, ..Endpoint::default() }];
            }
            host.addresses = vec![name];
            host
        };
        (self.hosts.into_iter().map(host).collect(), self.left_out)
    }
}
