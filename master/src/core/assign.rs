//! Which buddy polls which hosts of one cluster, and what each has to be told.
//!
//! The rules, in full in `docs/assignment.md`:
//! - Hosts are shared by the buddies that may poll them (`candidates`), each by one (`share`).
//! - A host is taken from a buddy only when the one that is to have it has accepted it. So a host
//!   may be polled twice while it changes hands, and is never dropped by both.
//! - A buddy that polls just what it finds needs no assignment, and gets none.
//! - A buddy that goes away keeps its hosts for a moment, for it may come back at once.
//! - What a buddy has refused is not sent to it again; what it had before stays in force.

mod buddy;
mod candidates;
mod share;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use buddy::Buddy;
use candidates::{Poller, choices};
use heapster_shared::{Map, host::Host, tick::Resolution};
use share::Shares;

use super::inventory::{Inventory, Merged};
use crate::status::AssignmentStatus;

/// A buddy says something at least so often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A connection that was cut is made again after about a second.
const RECONNECT: Duration = Duration::from_millis(1_500);
/// When buddies have tasks from before a restart of the master, the others have so long to come
/// back: as long as they wait between two attempts at the most.
const SETTLE: Duration = Duration::from_secs(30);

/// One host of so many may be missing from a sum.
const FEW: usize = 10;

/// What a buddy is to poll.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// What it finds itself.
    Own,
    /// These, in order of their ids.
    Hosts(Arc<[Arc<Host>]>),
}

/// A task to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The buddy.
    pub buddy: Arc<str>,
    /// Grows with each order of the cluster.
    pub version: u64,
    /// What it is to poll.
    pub task: Task,
}

/// What a buddy that connects says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// This start of it.
    pub instance: String,
    /// It polls hosts.
    pub polls: bool,
    /// It finds hosts.
    pub discovers: bool,
    /// It wants hosts only where nobody else can have them.
    pub standby: bool,
    /// The version of the task in force; 0 for none, and `None` when it does not say.
    pub in_force: Option<u64>,
}

/// Ticks for which a buddy's rows may be missing: from when it was lost until others had its hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Absence {
    from_ms: i64,
    until_ms: Option<i64>,
    /// The hosts that it had.
    load: usize,
}

/// The assignment of one cluster.
#[derive(Debug)]
pub struct Assigner {
    buddies: BTreeMap<Arc<str>, Buddy>,
    shares: Shares,
    version: u64,
    /// Nothing is sent before this time.
    settled_ms: i64,
    started_ms: i64,
    grace_ms: i64,
    resolution_ms: i64,
    /// The buddies that were there when it was decided last who polls what.
    planned_for: Option<Vec<Arc<str>>>,
}

impl Assigner {
    /// No buddies yet. Versions begin with the time, so that they are never those of a master
    /// before.
    #[must_use]
    pub fn new(resolution: Resolution, now_ms: i64) -> Self {
        Self {
            buddies: BTreeMap::new(),
            shares: Shares::default(),
            version: now_ms.max(0).unsigned_abs(),
            settled_ms: now_ms,
            started_ms: now_ms,
            grace_ms: ms(grace(resolution)),
            resolution_ms: i64::from(resolution.ms()),
            planned_for: None,
        }
    }

    /// A buddy has connected.
    pub fn connect(&mut self, name: &str, arrival: Arrival, now_ms: i64) {
        let before = self.buddies.remove(name);
        let mut buddy = Buddy::new(arrival, before);
        if buddy.has_foreign_task() {
            self.settled_ms = self.settled_ms.max(self.started_ms + ms(SETTLE));
        }
        if let Some(absence) = &mut buddy.absence {
            absence.until_ms.get_or_insert(now_ms + self.resolution_ms);
        }
        self.buddies.insert(name.into(), buddy);
    }

    /// A buddy's connection has ended; `for_good` when it said that it will not come back.
    pub fn disconnect(&mut self, name: &str, for_good: bool, now_ms: i64) {
        if let Some(buddy) = self.buddies.get_mut(name) {
            buddy.connected = false;
            buddy.stays_until_ms = if for_good { now_ms } else { now_ms + self.grace_ms };
        }
    }

    /// Forgets a buddy.
    pub fn forget(&mut self, name: &str) {
        self.buddies.remove(name);
    }

    /// Takes a buddy's answer to an order, an error where it was refused. Whether there may be
    /// something to say to others now.
    pub fn answer(&mut self, name: &str, version: u64, error: Option<String>) -> bool {
        self.buddies.get_mut(name).is_some_and(|buddy| buddy.answer(version, error))
    }

    /// Decides who polls what; gives what has to be said. `heard_ms` tells when a buddy was heard
    /// of last.
    pub fn plan(
        &mut self,
        inventory: &Inventory,
        heard_ms: impl Fn(&str) -> i64,
        now_ms: i64,
    ) -> Vec<Order> {
        if now_ms < self.settled_ms || !inventory.is_listed() {
            return Vec::new();
        }
        self.note_absences(&heard_ms, now_ms);
        let pollers = self.pollers(&heard_ms, now_ms);
        let merged = inventory.merged();
        let names: Vec<Arc<str>> = pollers.iter().map(|poller| Arc::clone(&poller.name)).collect();
        self.shares = self.shares.renewed(&names, &choices(&merged, &pollers));
        self.planned_for = Some(names);
        self.note_loads(now_ms);
        let lists = self.lists(&merged, inventory);
        if lists.is_covered {
            self.end_absences(now_ms);
        }
        let orders = lists.by_buddy.into_iter();
        orders.filter_map(|(name, hosts)| self.order(name, hosts, inventory, now_ms)).collect()
    }

    /// Whether who is there is not what it was when it was decided who polls what.
    #[must_use]
    pub fn is_due(&self, heard_ms: impl Fn(&str) -> i64, now_ms: i64) -> bool {
        let there = self.pollers(&heard_ms, now_ms);
        let planned = self.planned_for.iter().flatten();
        self.planned_for.is_none() || !there.iter().map(|poller| &poller.name).eq(planned)
    }

    /// The buddies that poll and are there, in order of their names. One that is connected and has
    /// missed a heartbeat is not.
    fn pollers(&self, heard_ms: &impl Fn(&str) -> i64, now_ms: i64) -> Vec<Poller> {
        let is_there = |name: &str, buddy: &Buddy| {
            if buddy.connected {
                now_ms.saturating_sub(heard_ms(name)) <= self.silence_ms()
            } else {
                now_ms < buddy.stays_until_ms
            }
        };
        let polling = self.buddies.iter().filter(|(_, buddy)| buddy.arrival.polls);
        let there = polling.filter(|(name, buddy)| is_there(name, buddy));
        let poller = |(name, buddy): (&Arc<str>, &Buddy)| Poller {
            name: Arc::clone(name),
            discovers: buddy.arrival.discovers,
            standby: buddy.arrival.standby,
        };
        there.map(poller).collect()
    }

    /// A buddy that says nothing for longer than this is taken for lost.
    fn silence_ms(&self) -> i64 {
        ms(HEARTBEAT) + self.grace_ms
    }

    /// What each connected buddy has to poll: its hosts, and those whose new buddy has not
    /// accepted them yet. Where nobody is there to have a host, whoever polls it goes on, for it may
    /// be the master that heard of nobody for a while.
    fn lists(&self, merged: &[Merged<'_>], inventory: &Inventory) -> Lists {
        let connected = self.buddies.iter().filter(|(_, it)| it.connected && it.arrival.polls);
        let mut by_buddy: BTreeMap<Arc<str>, Vec<Arc<Host>>> =
            connected.map(|(name, _)| (Arc::clone(name), Vec::new())).collect();
        let mut is_covered = true;
        for Merged { host, .. } in merged {
            let owner = self.shares.owner(&host.id);
            let mut is_polled = false;
            if let Some((owner, list)) = owner.and_then(|it| Some((it, by_buddy.get_mut(it)?))) {
                list.push(Arc::clone(host));
                is_polled = self.polls(owner, &host.id, inventory);
            }
            if is_polled {
                continue;
            }
            for (name, list) in by_buddy.iter_mut().filter(|(name, _)| Some(*name) != owner) {
                if self.polls(name, &host.id, inventory) {
                    list.push(Arc::clone(host));
                    is_polled = true;
                }
            }
            is_covered &= is_polled || owner.is_none();
        }
        Lists { by_buddy, is_covered }
    }

    /// Whether a buddy polls a host, by what it has accepted.
    fn polls(&self, name: &str, id: &str, inventory: &Inventory) -> bool {
        match self.buddies.get(name).and_then(Buddy::in_force) {
            Some(Task::Own) => inventory.listed_by(name, id).is_some(),
            Some(Task::Hosts(hosts)) => {
                hosts.binary_search_by(|host| host.id.as_str().cmp(id)).is_ok()
            }
            None => false,
        }
    }

    fn order(
        &mut self,
        name: Arc<str>,
        hosts: Vec<Arc<Host>>,
        inventory: &Inventory,
        now_ms: i64,
    ) -> Option<Order> {
        let as_listed = |host: &Arc<Host>| inventory.listed_by(&name, &host.id) == Some(host);
        let is_own = hosts.len() == inventory.count_of(&name) && hosts.iter().all(as_listed);
        let buddy = self.buddies.get_mut(&name)?;
        let task = buddy.task_for(hosts, is_own);
        if !buddy.needs(&task) {
            return None;
        }
        self.version += 1;
        buddy.send(self.version, task.clone(), now_ms);
        Some(Order { buddy: name, version: self.version, task })
    }

    fn note_loads(&mut self, now_ms: i64) {
        let loads = self.shares.loads();
        for (name, buddy) in &mut self.buddies {
            buddy.load = loads.get(name).copied().unwrap_or_default();
            if buddy.load == 0 {
                buddy.busy_since_ms = None;
            } else {
                buddy.busy_since_ms.get_or_insert(now_ms);
            }
        }
    }

    /// From here on a buddy that has hosts and is away, or says nothing, may be missed.
    fn note_absences(&mut self, heard_ms: &impl Fn(&str) -> i64, now_ms: i64) {
        let silent_ms = self.silence_ms();
        let Self { buddies, resolution_ms, .. } = self;
        for (name, buddy) in buddies.iter_mut().filter(|(_, buddy)| buddy.load > 0) {
            let heard_ms = heard_ms(name).min(now_ms);
            let is_lost = !buddy.connected || now_ms - heard_ms > silent_ms;
            let is_open = buddy.absence.is_some_and(|absence| absence.until_ms.is_none());
            if is_lost && !is_open {
                let from_ms = heard_ms - *resolution_ms;
                buddy.absence = Some(Absence { from_ms, until_ms: None, load: buddy.load });
            }
        }
    }

    /// Every host is polled again: the next tick is whole.
    fn end_absences(&mut self, now_ms: i64) {
        let until_ms = now_ms + self.resolution_ms;
        for absence in self.buddies.values_mut().filter_map(|buddy| buddy.absence.as_mut()) {
            absence.until_ms.get_or_insert(until_ms);
        }
    }

    /// Whether the rows of many hosts may be missing from a round: those of buddies that have hosts
    /// since before this tick, or were lost and had hosts then that nobody else had yet, and are none
    /// of those that `ended` the round. A few are missed as hosts are that do not answer.
    pub fn misses(&self, tick_ms: i64, ended: impl Fn(&str) -> bool) -> bool {
        let missing = self.buddies.iter().filter(|(name, _)| !ended(name));
        let missing: usize = missing.map(|(_, buddy)| buddy.load_at(tick_ms)).sum();
        let all: usize = self.buddies.values().map(|buddy| buddy.load).sum();
        missing * FEW > all
    }

    /// The buddy that polls a host; nobody, where it was decided that nobody can.
    #[must_use]
    pub fn owner(&self, id: &str) -> Option<&str> {
        self.shares.owner(id).map(|name| &**name)
    }

    /// How long a buddy that was cut off keeps its hosts.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.unsigned_abs())
    }

    /// Whether it is decided who polls what.
    #[must_use]
    pub const fn is_planned(&self) -> bool {
        self.planned_for.is_some()
    }

    /// What the buddies that poll were told, and said to it.
    #[must_use]
    pub fn statuses(&self) -> Map<&str, AssignmentStatus> {
        let polling = self.buddies.iter().filter(|(_, buddy)| buddy.arrival.polls);
        polling.map(|(name, buddy)| (&**name, buddy.status())).collect()
    }
}

/// Hosts by buddy, and whether somebody polls each of them already.
struct Lists {
    by_buddy: BTreeMap<Arc<str>, Vec<Arc<Host>>>,
    is_covered: bool,
}

/// So that the hosts of a buddy that is lost are taken over within two ticks, and not at once.
fn grace(resolution: Resolution) -> Duration {
    (resolution.duration() / 2).clamp(RECONNECT, HEARTBEAT)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
