//! The newest usage of every node.
//!
//! The poller writes a node at a time, whole, and readers take the nodes as they are: a writer waits
//! for no longer than it takes to copy a pointer a node, and a list holds nobody up.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use compact_str::CompactString;
use heapster_shared::{Map, host::Host, row::Block, tick::Resolution};

use super::usage::{NodeUsage, Taken};
use crate::{poller::Clock, source::Readings};

/// A poll stands for this many ticks, and a sample that a host repeats too.
const TICKS: i64 = 3;
/// But for no less than this, for hosts take samples in steps of their own.
const LEAST_MS: i64 = 60_000;

/// What the nodes of a cluster, and the containers on them, use now.
pub struct MetricsStore {
    clock: Clock,
    nodes: RwLock<Map<CompactString, Arc<NodeUsage>>>,
    has_round: AtomicBool,
}

impl std::fmt::Debug for MetricsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsStore").finish_non_exhaustive()
    }
}

impl MetricsStore {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, nodes: RwLock::default(), has_round: AtomicBool::new(false) }
    }

    /// Takes in what a poll of a host gave: its readings, and the rows that followed from them.
    pub fn take(&self, host: &Host, readings: &Readings, blocks: &[Block], resolution: Resolution) {
        let ticks_ms = i64::try_from(resolution.duration().as_millis()).unwrap_or(LEAST_MS);
        let keep_ms = ticks_ms.saturating_mul(TICKS).max(LEAST_MS);
        let taken = Taken { now_ms: (self.clock)(), keep_ms };
        let before = self.read().get(&host.name).cloned();
        let after = NodeUsage::after(before.as_deref(), host, (readings, blocks), taken);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(host.name.clone(), Arc::new(after));
    }

    /// Each node had its time to answer: forgets those that have not answered for long.
    pub fn end_round(&self) {
        self.has_round.store(true, Ordering::Relaxed);
        let now_ms = self.now_ms();
        let stale = |nodes: &Map<_, Arc<NodeUsage>>| nodes.values().any(|it| !it.is_fresh(now_ms));
        if stale(&self.read()) {
            let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
            nodes.retain(|_, node| node.is_fresh(now_ms));
        }
    }

    /// Whether each node had its time to answer, once.
    pub(super) fn has_round(&self) -> bool {
        self.has_round.load(Ordering::Relaxed)
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// The nodes that answered lately, in no order.
    pub(super) fn nodes(&self) -> Vec<Arc<NodeUsage>> {
        let now_ms = self.now_ms();
        self.read().values().filter(|node| node.is_fresh(now_ms)).cloned().collect()
    }

    /// A node, where it answered lately.
    pub(super) fn node(&self, name: &str) -> Option<Arc<NodeUsage>> {
        let now_ms = self.now_ms();
        self.read().get(name).filter(|node| node.is_fresh(now_ms)).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Map<CompactString, Arc<NodeUsage>>> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner)
    }
}
