//! The buddies of one cluster: who has a session, and who had one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use heapster_shared::Map;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::messages::JoinError;
use crate::{
    actors::{
        buddy::{BuddyRecord, Identity},
        ledger::Ledger,
        lineup::LineupView,
        mailbox::Mailbox,
        session::Session,
    },
    core::assign::Order,
    status::BuddyStatus,
};

/// Buddies remembered, connected or not.
const MAX_BUDDIES: usize = 1024;
/// Instances whose frames are remembered, past which those in nobody's hands are forgotten.
const MAX_LEDGERS: usize = 4096;

/// One buddy's newest connection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session_id: String,
    pub(super) session: Mailbox<Session>,
    pub(super) record: Arc<BuddyRecord>,
    pub(super) closed: CancellationToken,
    /// Where its orders go: the newest counts.
    pub(super) orders: watch::Sender<Option<Order>>,
}

/// The buddies of one cluster.
#[derive(Debug)]
pub(super) struct Members {
    /// The sinks, of which acknowledgements wait for the required ones.
    sinks: LineupView,
    buddies: BTreeMap<String, Member>,
    ledgers: Map<(String, String), (Arc<Ledger>, i64)>,
}

impl Members {
    /// Nobody yet.
    pub(super) fn new(sinks: LineupView) -> Self {
        Self { sinks, buddies: BTreeMap::new(), ledgers: Map::default() }
    }

    /// Whether a buddy may have a session now. The newest connection of an instance wins at once;
    /// another instance only when the one before is gone or has been silent for too long.
    pub(super) fn admit(
        &self,
        identity: &Identity,
        silence: Duration,
        now_ms: i64,
    ) -> Result<(), JoinError> {
        let Some(member) = self.buddies.get(&identity.buddy_id) else {
            return if self.buddies.len() < MAX_BUDDIES { Ok(()) } else { Err(JoinError::TooMany) };
        };
        let record = &member.record;
        let same = record.identity.instance_id == identity.instance_id;
        if same || !member.session.is_open() || !record.connected.load(Relaxed) {
            return Ok(());
        }
        let silent_ms = now_ms.saturating_sub(record.heard_unix_ms.load(Relaxed)).max(0);
        let silence_ms = i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
        if silent_ms > silence_ms {
            return Ok(());
        }
        let left_ms = u32::try_from(silence_ms - silent_ms).unwrap_or(u32::MAX);
        let retry_after_ms = left_ms.saturating_add(1000);
        Err(JoinError::Duplicate { peer: record.identity.peer.clone(), retry_after_ms })
    }

    /// Takes in a buddy's new session; the one before, if any, is closed.
    pub(super) fn insert(&mut self, member: Member) {
        let buddy_id = member.record.identity.buddy_id.clone();
        if let Some(older) = self.buddies.insert(buddy_id, member) {
            older.record.connected.store(false, Relaxed);
            older.closed.cancel();
        }
    }

    /// A session has ended; the buddy's id if no newer one has taken its place.
    pub(super) fn ended(&mut self, session_id: &str) -> Option<String> {
        let member = self.buddies.values().find(|member| member.session_id == session_id)?;
        member.record.connected.store(false, Relaxed);
        Some(member.record.identity.buddy_id.clone())
    }

    /// The newest connection of a buddy.
    pub(super) fn get(&self, buddy_id: &str) -> Option<&Member> {
        self.buddies.get(buddy_id)
    }

    /// When a buddy was heard of last; 0 for one that is not known.
    pub(super) fn heard_ms(&self, buddy_id: &str) -> i64 {
        self.get(buddy_id).map_or(0, |member| member.record.heard_unix_ms.load(Relaxed))
    }

    pub(super) fn find(&self, session_id: &str) -> Option<&Member> {
        let mut members = self.buddies.values();
        members.find(|member| member.session_id == session_id && member.session.is_open())
    }

    /// The frames of an instance of a buddy.
    pub(super) fn ledger(&mut self, buddy_id: &str, instance: &str, now_ms: i64) -> Arc<Ledger> {
        let key = (buddy_id.to_owned(), instance.to_owned());
        if self.ledgers.len() >= MAX_LEDGERS && !self.ledgers.contains_key(&key) {
            self.ledgers.retain(|_, (ledger, _)| Arc::strong_count(ledger) > 1);
        }
        let new = || (Arc::new(Ledger::new(self.sinks.clone())), now_ms);
        let entry = self.ledgers.entry(key).or_insert_with(new);
        entry.1 = now_ms;
        Arc::clone(&entry.0)
    }

    /// Forgets buddies and instances that were not heard of since then; the ids of the buddies.
    pub(super) fn forget(&mut self, before_ms: i64) -> Vec<String> {
        self.ledgers
            .retain(|_, (ledger, used)| *used >= before_ms || Arc::strong_count(ledger) > 1);
        let stale = |member: &Member| {
            !member.record.connected.load(Relaxed)
                && member.record.heard_unix_ms.load(Relaxed) < before_ms
        };
        let members = self.buddies.iter().filter(|(_, member)| stale(member));
        let gone: Vec<String> = members.map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| drop(self.buddies.remove(id)));
        gone
    }

    /// The buddies that send rows now.
    pub(super) fn polling(&self) -> BTreeSet<String> {
        let polling = self.connected().filter(|member| member.record.identity.polls());
        polling.map(|member| member.record.identity.buddy_id.clone()).collect()
    }

    /// The members that are connected.
    pub(super) fn connected(&self) -> impl Iterator<Item = &Member> {
        self.buddies.values().filter(|member| member.record.connected.load(Relaxed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buddies.is_empty()
    }

    pub(super) fn statuses(&self) -> Vec<BuddyStatus> {
        self.buddies.values().map(|member| member.record.status()).collect()
    }
}
