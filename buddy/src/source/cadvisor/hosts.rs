//! What is remembered of each host from poll to poll.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use heapster_shared::schema::table;

use super::{api::Api, facts::Facts, known::Known as OfContainer};
use crate::source::{Readings, Shapes, hosts::lock};

/// Facts are asked for again after this time, and a better version of the API is looked for.
const FACTS_LIFE: Duration = Duration::from_secs(600);
/// One host. Its polls do not overlap, so nobody waits for its locks.
#[derive(Default)]
pub(super) struct HostMemory {
    known: Mutex<Known>,
    shapes: Mutex<Shapes<OfContainer>>,
}

#[derive(Default)]
struct Known {
    api: Option<Api>,
    facts: Option<(Arc<Facts>, Instant)>,
    machine_cpu_ns: i64,
    address: usize,
}

impl HostMemory {
    /// The version of the API that worked.
    pub(super) fn api(&self) -> Option<Api> {
        lock(&self.known).api
    }

    /// Remembers the version that works.
    pub(super) fn remember_api(&self, api: Api) {
        lock(&self.known).api = Some(api);
    }

    /// The next poll finds out anew which version works.
    pub(super) fn forget_api(&self) {
        lock(&self.known).api = None;
    }

    /// Index of the address that worked last.
    pub(super) fn address(&self) -> usize {
        lock(&self.known).address
    }

    /// Remembers the index of an address that works.
    pub(super) fn remember_address(&self, index: usize) {
        lock(&self.known).address = index;
    }

    /// What is known of the machine, and whether it is fresh.
    pub(super) fn facts(&self) -> Option<(Arc<Facts>, bool)> {
        let known = lock(&self.known);
        let (facts, since) = known.facts.as_ref()?;
        Some((Arc::clone(facts), since.elapsed() < FACTS_LIFE))
    }

    /// Remembers what was just learnt of the machine.
    pub(super) fn remember_facts(&self, facts: Facts) -> Arc<Facts> {
        let facts = Arc::new(facts);
        let mut known = lock(&self.known);
        let earlier = known.facts.replace((Arc::clone(&facts), Instant::now()));
        if earlier.is_some() && known.api != Some(Api::V2_1) {
            known.api = None;
        }
        facts
    }

    /// What its containers looked like in the poll before.
    pub(super) fn shapes(&self) -> MutexGuard<'_, Shapes<OfContainer>> {
        lock(&self.shapes)
    }

    /// Notices a machine that was started anew: what was known of it, its start above all, is old.
    pub(super) fn note(&self, readings: &Readings) {
        let cpu = readings.node().and_then(|(machine, cells)| {
            let place = machine.layout.index_of(table::CPU_USAGE.def())?;
            cells.get(place)?.as_int()
        });
        let Some(cpu) = cpu else { return };
        let mut known = lock(&self.known);
        if cpu < known.machine_cpu_ns {
            known.facts = None;
        }
        known.machine_cpu_ns = cpu;
    }
}
