//! Where the discoveries put what they find, and from where the merged list is published.

use std::sync::{Arc, Mutex, PoisonError};

use compact_str::CompactString;
use heapster_shared::{
    Map,
    host::{DiscoveryState, Host},
};
use tokio::sync::watch;

use super::Listing;

/// Of many conflicts only so many are named.
const NAMED_CONFLICTS: usize = 3;

/// All discoveries of a buddy.
pub(super) struct Board {
    own_hosts: Vec<Host>,
    slots: Mutex<Vec<Slot>>,
    sender: watch::Sender<Listing>,
}

/// One discovery.
struct Slot {
    name: String,
    hosts: Vec<Host>,
    ok: bool,
    error: String,
    listed_unix_ms: i64,
}

impl Board {
    /// A board of discoveries with these names, and a receiver of what is on it.
    pub(super) fn new(
        names: Vec<String>,
        own_hosts: Vec<Host>,
    ) -> (Self, watch::Receiver<Listing>) {
        let slot = |name| Slot {
            name,
            hosts: Vec::new(),
            ok: false,
            error: "not listed yet".to_owned(),
            listed_unix_ms: 0,
        };
        let slots: Vec<Slot> = names.into_iter().map(slot).collect();
        let (hosts, states) = merge(&own_hosts, &slots);
        let (sender, receiver) = watch::channel(Listing { hosts: Arc::new(hosts), states });
        (Self { own_hosts, slots: Mutex::new(slots), sender }, receiver)
    }

    /// A discovery gave a list, with remarks or none.
    pub(super) fn listed(&self, index: usize, hosts: Vec<Host>, remarks: String, now_ms: i64) {
        self.update(index, |slot| {
            slot.hosts = hosts;
            slot.ok = true;
            slot.error = remarks;
            slot.listed_unix_ms = now_ms;
        });
    }

    /// A discovery gave no list; its last one stands.
    pub(super) fn failed(&self, index: usize, error: &str) {
        self.update(index, |slot| {
            slot.ok = false;
            error.clone_into(&mut slot.error);
        });
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(index) {
            change(slot);
        }
        let (hosts, states) = merge(&self.own_hosts, &slots);
        // Under the lock, so that of two lists the newer is published last.
        self.sender.send_modify(|listing| {
            if *listing.hosts != hosts {
                listing.hosts = Arc::new(hosts);
            }
            listing.states = states;
        });
    }
}

/// The hosts of all lists, each id once, the first one standing; and the states.
fn merge(own_hosts: &[Host], slots: &[Slot]) -> (Vec<Host>, Vec<DiscoveryState>) {
    let mut merged: Vec<Host> = Vec::new();
    let mut owners: Map<CompactString, &str> = Map::default();
    for host in own_hosts {
        if owners.insert(host.id.clone(), "a source").is_none() {
            merged.push(host.clone());
        }
    }
    let mut states = Vec::with_capacity(slots.len());
    for slot in slots {
        let mut conflicts = Vec::new();
        for host in &slot.hosts {
            match owners.get(&host.id) {
                Some(owner) => conflicts.push(format!("`{}` of {owner}", host.id)),
                None => {
                    owners.insert(host.id.clone(), &slot.name);
                    merged.push(host.clone());
                }
            }
        }
        states.push(state(slot, &conflicts));
    }
    (merged, states)
}

fn state(slot: &Slot, conflicts: &[String]) -> DiscoveryState {
    let mut error = slot.error.clone();
    if !conflicts.is_empty() {
        let named = conflicts[..conflicts.len().min(NAMED_CONFLICTS)].join(", ");
        let more = conflicts.len().saturating_sub(NAMED_CONFLICTS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let separator = if error.is_empty() { "" } else { "; " };
        error.push_str(&format!(
            "{separator}hosts that are known already keep their place: {named}{more}"
        ));
    }
    DiscoveryState {
        name: slot.name.clone(),
        ok: slot.ok,
        error,
        hosts: slot.hosts.len(),
        listed_unix_ms: slot.listed_unix_ms,
    }
}
