//! One buddy as the assignment sees it: whether it is there, and what it polls.

use std::sync::Arc;

use heapster_shared::host::Host;

use super::{Absence, Arrival, Task};
use crate::status::AssignmentStatus;

/// What a buddy polls.
#[derive(Clone, Debug)]
enum Force {
    /// A task that it has accepted; number 0 is where every buddy begins, with its own hosts.
    Known(u64, Task),
    /// Something that this master did not give it.
    Unknown,
}

#[derive(Debug)]
struct Sent {
    version: u64,
    task: Task,
    at_ms: i64,
}

#[derive(Debug)]
struct Refusal {
    version: u64,
    task: Task,
    error: String,
}

/// A buddy that is there, or was.
#[derive(Debug)]
pub(super) struct Buddy {
    pub(super) arrival: Arrival,
    pub(super) connected: bool,
    /// While it is away it counts as there until then, for it may come back at once.
    pub(super) stays_until_ms: i64,
    pub(super) absence: Option<Absence>,
    /// Hosts of which it is the one that polls them, as of the last plan.
    pub(super) load: usize,
    /// Since when it has any.
    pub(super) busy_since_ms: Option<i64>,
    force: Force,
    sent: Option<Sent>,
    refusal: Option<Refusal>,
    /// The newest that was sent; 0 for none.
    version: u64,
}

impl Buddy {
    /// A buddy that has just connected; `before` is what was known of the same instance.
    pub(super) fn new(arrival: Arrival, before: Option<Self>) -> Self {
        let (absence, load) =
            before.as_ref().map_or((None, 0), |before| (before.absence, before.load));
        let same = before.filter(|before| before.arrival.instance == arrival.instance);
        let told = arrival.in_force;
        let (mut force, mut refusal, mut version) = (Force::Unknown, None, 0);
        let mut busy_since_ms = None;
        if let Some(same) = same {
            force = same.in_force_at(told);
            (refusal, version, busy_since_ms) = (same.refusal, same.version, same.busy_since_ms);
        }
        if told == Some(0) {
            force = Force::Known(0, Task::Own);
        }
        Self {
            arrival,
            connected: true,
            stays_until_ms: 0,
            absence,
            load,
            busy_since_ms,
            force,
            sent: None,
            refusal,
            version,
        }
    }

    /// The task of a version: its acknowledgement may have been lost.
    fn in_force_at(&self, told: Option<u64>) -> Force {
        let accepted = match &self.force {
            Force::Known(version, task) => Some((*version, task)),
            Force::Unknown => None,
        };
        let sent = self.sent.as_ref().map(|sent| (sent.version, &sent.task));
        let found = [accepted, sent].into_iter().flatten().find(|(at, _)| Some(*at) == told);
        found.map_or(Force::Unknown, |(version, task)| Force::Known(version, task.clone()))
    }

    /// Whether it has a task from another master, or from this one before it was started again.
    pub(super) fn has_foreign_task(&self) -> bool {
        let told = self.arrival.in_force.is_some_and(|version| version > 0);
        told && matches!(self.force, Force::Unknown) && self.version == 0
    }

    /// What it polls by all that is known.
    pub(super) fn in_force(&self) -> Option<&Task> {
        match &self.force {
            Force::Known(_, task) => Some(task),
            Force::Unknown => None,
        }
    }

    /// The task for a list of hosts, which may be the buddy's own.
    pub(super) fn task_for(&self, hosts: Vec<Arc<Host>>, is_own: bool) -> Task {
        let polls_own = matches!(self.expected(), Some(Task::Own));
        let may_return = self.arrival.discovers && self.arrival.in_force.is_some();
        if is_own && (polls_own || may_return) { Task::Own } else { Task::Hosts(hosts.into()) }
    }

    /// Whether it has to be told of this task.
    pub(super) fn needs(&self, task: &Task) -> bool {
        let refused = self.refusal.as_ref().is_some_and(|refusal| refusal.task == *task);
        !refused && self.expected() != Some(task)
    }

    /// Notes that a task was sent.
    pub(super) fn send(&mut self, version: u64, task: Task, now_ms: i64) {
        self.version = version;
        self.sent = Some(Sent { version, task, at_ms: now_ms });
    }

    /// Takes an answer; whether it was one to what was sent last.
    pub(super) fn answer(&mut self, version: u64, error: Option<String>) -> bool {
        let Some(sent) = self.sent.take_if(|sent| sent.version == version) else { return false };
        match error {
            None => self.force = Force::Known(version, sent.task),
            Some(error) => self.refusal = Some(Refusal { version, task: sent.task, error }),
        }
        true
    }

    /// What it polls, or will when it has accepted what was sent.
    fn expected(&self) -> Option<&Task> {
        self.sent.as_ref().map(|sent| &sent.task).or_else(|| self.in_force())
    }

    /// The hosts whose rows for a tick are this buddy's to bring, or that were lost with it.
    pub(super) fn load_at(&self, tick_ms: i64) -> usize {
        let lost = self.absence.filter(|absence| {
            tick_ms >= absence.from_ms && absence.until_ms.is_none_or(|until| tick_ms <= until)
        });
        let is_busy = self.busy_since_ms.is_some_and(|since| since <= tick_ms);
        let busy = if is_busy { self.load } else { 0 };
        busy.max(lost.map_or(0, |absence| absence.load))
    }

    /// The state for pages.
    pub(super) fn status(&self) -> AssignmentStatus {
        let (acknowledged_version, own_hosts) = match &self.force {
            Force::Known(version, task) => (*version, matches!(task, Task::Own)),
            Force::Unknown => (0, false),
        };
        let refusal = self.refusal.as_ref();
        AssignmentStatus {
            hosts: self.load,
            own_hosts,
            version: self.version,
            acknowledged_version,
            unanswered_since_unix_ms: self.sent.as_ref().map_or(0, |sent| sent.at_ms),
            refused_version: refusal.map_or(0, |refusal| refusal.version),
            refusal: refusal.map_or_else(String::new, |refusal| refusal.error.clone()),
        }
    }
}
