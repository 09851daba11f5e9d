//! A host, and what is remembered of it from one tick to the next.

use std::{sync::Arc, time::Duration};

use heapster_shared::{
    host::{Host, HostState},
    tick::Tick,
};

use super::ask::{Failure, sources_of};
use crate::{enrich::HostMemory, pipeline::HostPipeline, source::Source};

/// A host, and what is remembered of it.
pub(super) struct Slot {
    pub(super) host: Arc<Host>,
    /// Those that poll this host, in order.
    pub(super) sources: Arc<[Arc<dyn Source>]>,
    /// What the enrichment remembers of it.
    pub(super) known: HostMemory,
    pub(super) pipeline: HostPipeline,
    pub(super) state: Option<HostState>,
    pub(super) busy: bool,
    /// Removed while it was busy.
    pub(super) gone: bool,
}

impl Slot {
    pub(super) fn new(host: &Host, sources: &Arc<[Arc<dyn Source>]>) -> Self {
        Self {
            host: Arc::new(host.clone()),
            sources: sources_of(host, sources),
            known: HostMemory::default(),
            pipeline: HostPipeline::default(),
            state: None,
            busy: false,
            gone: false,
        }
    }

    /// The host is listed again, maybe with other addresses or labels.
    pub(super) fn stay(&mut self, host: &Host, sources: &Arc<[Arc<dyn Source>]>) {
        self.gone = false;
        if *self.host != *host {
            self.host = Arc::new(host.clone());
            self.sources = sources_of(host, sources);
        }
    }

    /// Whether its newest poll gave rows, or there was none yet.
    pub(super) fn works(&self) -> bool {
        self.state.as_ref().is_none_or(|state| state.ok)
    }

    pub(super) fn answered(&mut self, tick: Tick, source: &'static str, took: Duration) {
        if !self.works() {
            tracing::info!(host = %self.host.name, source, "host answers again");
        }
        self.note(tick, source, took, None);
    }

    pub(super) fn failed(&mut self, tick: Tick, failure: Failure) {
        if self.works() {
            tracing::warn!(host = %self.host.name, error = %failure.error, "host gives no rows");
        }
        self.note(tick, failure.source, failure.took, Some(failure.error));
    }

    fn note(&mut self, tick: Tick, source: &'static str, took: Duration, error: Option<String>) {
        let state = self.state.get_or_insert_with(|| HostState {
            host_id: self.host.id.clone(),
            ok: true,
            error: String::new(),
            latency_ms: 0,
            tick_unix_ms: 0,
            source: source.into(),
        });
        state.ok = error.is_none();
        state.error = error.unwrap_or_default();
        state.latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        state.tick_unix_ms = tick.0;
        if state.source != source {
            state.source = source.into();
        }
    }
}
