//! What travels from a cluster to the sinks, and how its sender learns what became of it.

mod ticket;

use std::sync::Arc;

use heapster_shared::{event::Event, row::RowBatch, tick::Tick};
use tokio::sync::OwnedSemaphorePermit;

use crate::core::sink_set::SinkSet;
pub use ticket::{Ticket, Watch};

/// Something for the sinks; shared by all of them and never changed.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Rows of one cluster.
    Rows(Arc<RowBatch>),
    /// Events of one cluster.
    Events(Arc<EventBatch>),
    /// A round of one cluster is over; nothing more comes for the tick, late rows apart.
    RoundEnd {
        /// The cluster's name.
        cluster: Arc<str>,
        /// The tick of the round.
        tick: Tick,
    },
}

/// Events of one cluster.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

/// What each payload that waits is counted with beside its rows: its place in a queue, and what is
/// remembered of its frame until it is answered.
const OVERHEAD_BYTES: usize = 1 << 10;

impl Payload {
    /// Samples or events in it.
    #[must_use]
    pub fn samples(&self) -> u64 {
        let count = match self {
            Self::Rows(rows) => rows.sample_count(),
            Self::Events(batch) => batch.events.len(),
            Self::RoundEnd { .. } => 0,
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The memory that it takes while it waits somewhere.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        OVERHEAD_BYTES
            + match self {
                Self::Rows(rows) => rows.size_bytes(),
                Self::Events(batch) => batch.events.iter().map(event_bytes).sum(),
                Self::RoundEnd { .. } => 0,
            }
    }
}

fn event_bytes(event: &Event) -> usize {
    let texts = [
        &event.uid,
        &event.kind,
        &event.reason,
        &event.message,
        &event.object_kind,
        &event.object_namespace,
        &event.object_name,
        &event.object_uid,
        &event.component,
        &event.host,
    ];
    size_of::<Event>() + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// Where a payload comes from, for queues that are fair to their sources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Who sent it: nobody's payloads push out those of somebody who has less waiting.
    pub source: Arc<str>,
    /// Whether it is what could not be delivered earlier, which lets fresh data go first.
    pub backfill: bool,
}

impl Origin {
    /// Fresh data of this source.
    #[must_use]
    pub const fn fresh(source: Arc<str>) -> Self {
        Self { source, backfill: false }
    }
}

/// How a payload is to travel.
#[derive(Debug)]
pub struct Passage {
    /// The sinks that it is for.
    pub to: SinkSet,
    /// Where it comes from.
    pub origin: Origin,
    /// The way back to the sender.
    pub ticket: Ticket,
    /// The turn of its stream, which is over when it has been handed to the sinks.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// What became of a payload, by the worst that any required sink says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Outcome {
    /// Every required sink has it.
    #[default]
    Delivered,
    /// A required sink could not take it now: send it again later.
    Retry {
        /// Which sink, and why.
        reason: String,
    },
    /// A required sink will never take it.
    Rejected {
        /// Which sink, and why.
        reason: String,
    },
}

impl Outcome {
    /// Becomes the other one, if that is worse.
    pub(crate) fn worsen(&mut self, other: Self) {
        if other.severity() > self.severity() {
            *self = other;
        }
    }

    const fn severity(&self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Rejected { .. } => 1,
            Self::Retry { .. } => 2,
        }
    }

    /// Whether it is not to be sent again.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        !matches!(self, Self::Retry { .. })
    }
}
