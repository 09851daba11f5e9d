//! Where the router finds a sink.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use actix::dev::SendError;
use arc_swap::ArcSwapOption;

use crate::{
    actors::{Offer, SinkHandle},
    core::sink_set::SinkSet,
    delivery::{Origin, Payload, Ticket},
};

/// Where a sink is now; whoever restarts it puts its new handle here.
#[derive(Debug)]
pub struct SinkSlot {
    /// [`SinkHandle::name`].
    pub name: String,
    /// What payloads for it are marked with: its place where it is required, else
    /// [`SinkSet::OTHERS`].
    pub whom: SinkSet,
    handle: ArcSwapOption<SinkHandle>,
    pub(super) dropped_samples: AtomicU64,
}

impl SinkSlot {
    /// A slot that no sink has filled yet.
    #[must_use]
    pub fn new(name: String, whom: SinkSet) -> Self {
        Self { name, whom, handle: ArcSwapOption::empty(), dropped_samples: AtomicU64::new(0) }
    }

    /// Whether acknowledgements wait for it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.whom != SinkSet::OTHERS
    }

    /// Puts a sink that has started here.
    pub fn fill(&self, handle: SinkHandle) {
        self.handle.store(Some(Arc::new(handle)));
    }

    /// The sink.
    #[must_use]
    pub fn handle(&self) -> Option<Arc<SinkHandle>> {
        self.handle.load_full()
    }

    /// Samples that were dropped in front of the sink, because its mailbox was full or it was gone.
    #[must_use]
    pub fn dropped_samples(&self) -> u64 {
        self.dropped_samples.load(Relaxed)
    }

    /// Whether it could take more of what is backfilled, as far as is known without asking it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.handle.load().as_ref().is_some_and(|handle| handle.has_room())
    }

    pub(super) fn offer(
        &self,
        payload: &Payload,
        ticket: Option<Ticket>,
        origin: &Origin,
    ) -> Result<(), Ungiven> {
        let Some(handle) = self.handle.load_full() else { return Err(Ungiven::gone(ticket)) };
        let offer = Offer::new(payload.clone(), origin.clone(), ticket);
        handle.offer(offer).map_err(|error| match error {
            SendError::Full(offer) => Ungiven { ticket: offer.ticket, why: "has a full mailbox" },
            SendError::Closed(offer) => Ungiven::gone(offer.ticket),
        })
    }
}

/// What a sink was not given.
pub(super) struct Ungiven {
    pub(super) ticket: Option<Ticket>,
    pub(super) why: &'static str,
}

impl Ungiven {
    const fn gone(ticket: Option<Ticket>) -> Self {
        Self { ticket, why: "is being started again" }
    }
}
