//! What is known of a buddy: shared by its session, its streams and its cluster.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

pub use heapster_shared::access::Role;
use heapster_shared::event::ObserverState;

use tokio::time::Instant;

use super::rate::Rate;
use crate::{core::assign::Arrival, status::BuddyStatus};

/// Observers of one buddy that are remembered.
const MAX_OBSERVERS: usize = 16;

/// Who a buddy says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are those of the protocol's message Hello
pub struct Identity {
    pub buddy_id: String,
    pub instance_id: String,
    pub cluster: String,
    pub manager: String,
    pub roles: Vec<Role>,
    pub software: String,
    /// It polls hosts only where no other buddy can.
    pub standby: bool,
    pub assignment_version: Option<u64>,
    /// Where it connects from.
    pub peer: String,
    /// The name of what it showed to be let in; empty where nobody is asked.
    pub credential: String,
}

impl Identity {
    /// Whether it sends rows.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.roles.contains(&Role::Polls)
    }

    /// Whether it finds hosts.
    #[must_use]
    pub fn discovers(&self) -> bool {
        self.roles.contains(&Role::Discovers)
    }

    /// The buddy as the assignment sees it.
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        Arrival {
            instance: self.instance_id.clone(),
            polls: self.polls(),
            discovers: self.discovers(),
            standby: self.standby,
            in_force: self.assignment_version,
        }
    }
}

/// A heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // the fields are those of the protocol's message Heartbeat
pub struct Pulse {
    pub unix_ms: i64,
    pub spool_bytes: u64,
    pub dropped_frames: u64,
    pub damaged_frames: u64,
    pub spool_error: String,
}

/// One connection of a buddy, and what was counted on it.
#[derive(Debug)]
#[allow(missing_docs)] // the fields are those of `BuddyStatus`
pub struct BuddyRecord {
    pub identity: Identity,
    pub connected: AtomicBool,
    pub connected_unix_ms: i64,
    pub heard_unix_ms: AtomicI64,
    pub clock_offset_ms: AtomicI64,
    pub delivered_sequence: AtomicU64,
    pub received_bytes: AtomicU64,
    pub received_frames: AtomicU64,
    pub retried_frames: AtomicU64,
    pub rejected_frames: AtomicU64,
    pub spool_bytes: AtomicU64,
    pub dropped_frames: AtomicU64,
    pub damaged_frames: AtomicU64,
    spool_error: Mutex<String>,
    /// What it has sent, on connections of before too.
    rate: Arc<Rate>,
    slowed_ms: AtomicU64,
    observers: Mutex<Vec<ObserverState>>,
    last_error: Mutex<String>,
    /// Where another instance came from that was turned away, and when.
    duplicate: Mutex<Option<(String, i64)>>,
}

impl BuddyRecord {
    /// The record of a buddy that has just connected.
    #[must_use]
    pub fn new(identity: Identity, rate: Arc<Rate>, now_ms: i64) -> Self {
        Self {
            identity,
            connected: AtomicBool::new(true),
            connected_unix_ms: now_ms,
            heard_unix_ms: AtomicI64::new(now_ms),
            clock_offset_ms: AtomicI64::default(),
            delivered_sequence: AtomicU64::default(),
            received_bytes: AtomicU64::default(),
            received_frames: AtomicU64::default(),
            retried_frames: AtomicU64::default(),
            rejected_frames: AtomicU64::default(),
            spool_bytes: AtomicU64::default(),
            dropped_frames: AtomicU64::default(),
            damaged_frames: AtomicU64::default(),
            spool_error: Mutex::default(),
            rate,
            slowed_ms: AtomicU64::default(),
            observers: Mutex::default(),
            last_error: Mutex::default(),
            duplicate: Mutex::default(),
        }
    }

    /// Counts bytes that it has sent; when the next may be read, where it has to wait.
    pub fn spend(&self, bytes: usize, per_second: u64, now: Instant) -> Option<Instant> {
        let resume = self.rate.spend(bytes, per_second, now)?;
        let wait = resume.saturating_duration_since(now).as_millis();
        self.slowed_ms.fetch_add(u64::try_from(wait).unwrap_or(u64::MAX), Relaxed);
        Some(resume)
    }

    /// Notes a sign of life.
    pub fn heard(&self, now_ms: i64) {
        self.heard_unix_ms.store(now_ms, Relaxed);
    }

    /// Notes a heartbeat.
    pub fn pulse(&self, pulse: Pulse, now_ms: i64) {
        self.heard(now_ms);
        self.clock_offset_ms.store(pulse.unix_ms.saturating_sub(now_ms), Relaxed);
        self.spool_bytes.store(pulse.spool_bytes, Relaxed);
        self.dropped_frames.store(pulse.dropped_frames, Relaxed);
        self.damaged_frames.store(pulse.damaged_frames, Relaxed);
        *self.spool_error.lock().unwrap_or_else(PoisonError::into_inner) = pulse.spool_error;
    }

    /// Notes how observing events goes; what is not named stays as it was.
    pub fn observes(&self, states: Vec<ObserverState>) {
        let mut known = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        for state in states {
            match known.iter().position(|known| known.name == state.name) {
                Some(place) => known[place] = state,
                None if known.len() < MAX_OBSERVERS => known.push(state),
                None => {}
            }
        }
    }

    /// Notes that another instance with this id was turned away.
    pub fn turned_away(&self, peer: &str, now_ms: i64) {
        let mut duplicate = self.duplicate.lock().unwrap_or_else(PoisonError::into_inner);
        *duplicate = Some((peer.to_owned(), now_ms));
    }

    /// Notes what went wrong.
    pub fn failed(&self, error: &str) {
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        error.clone_into(&mut last);
    }

    /// The record as pages show it; the assignment is its cluster's to add.
    #[must_use]
    pub fn status(&self) -> BuddyStatus {
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let duplicate = self.duplicate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (duplicate, duplicate_unix_ms) = duplicate.map_or_else(Default::default, said_of);
        BuddyStatus {
            id: self.identity.buddy_id.clone(),
            instance: self.identity.instance_id.clone(),
            cluster: self.identity.cluster.clone(),
            roles: self.identity.roles.iter().map(|role| role.name().to_owned()).collect(),
            software: self.identity.software.clone(),
            peer: self.identity.peer.clone(),
            credential: self.identity.credential.clone(),
            connected: self.connected.load(Relaxed),
            connected_unix_ms: self.connected_unix_ms,
            heard_unix_ms: self.heard_unix_ms.load(Relaxed),
            clock_offset_ms: self.clock_offset_ms.load(Relaxed),
            delivered_sequence: self.delivered_sequence.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            received_frames: self.received_frames.load(Relaxed),
            retried_frames: self.retried_frames.load(Relaxed),
            rejected_frames: self.rejected_frames.load(Relaxed),
            slowed_ms: self.slowed_ms.load(Relaxed),
            spool_bytes: self.spool_bytes.load(Relaxed),
            dropped_frames: self.dropped_frames.load(Relaxed),
            damaged_frames: self.damaged_frames.load(Relaxed),
            spool_error: self.spool_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            observers: self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            assignment: None,
            manager: self.identity.manager.clone(),
            duplicate,
            duplicate_unix_ms,
            last_error,
        }
    }
}

/// A duplicate as pages tell of it.
fn said_of((peer, at_ms): (String, i64)) -> (String, i64) {
    let text = format!(
        "another instance with this id, from {peer}, was turned away: stop it, or give it an id of its own (--buddy-id)"
    );
    (text, at_ms)
}
