//! The messages of the cluster actor.

use std::sync::Arc;

use actix::{Message, dev::MessageResponse};
use heapster_shared::{
    entity::Entity,
    event::Event,
    host::{DiscoveryState, HostState},
    row::Block,
    schema::{Field, Layout},
    tick::Tick,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        buddy::{BuddyRecord, Identity},
        ledger::Ledger,
        mailbox::Mailbox,
        rate::Rate,
        session::{Downlink, Session},
    },
    core::{
        assign::Order,
        entities::Unresolved,
        inventory::{HostsUpdate, NotApplied},
    },
    delivery::Passage,
    status::{BuddyStatus, ClusterStatus},
};

/// A buddy wants a session.
#[derive(Debug, Message)]
#[rtype(result = "Result<Joined, JoinError>")]
pub struct Join {
    /// Who it is.
    pub identity: Identity,
    /// What it has sent of late.
    pub rate: Arc<Rate>,
    /// Where the session's messages to it go.
    pub downlink: mpsc::Sender<Downlink>,
}

/// The session that a buddy was given.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Joined {
    pub session_id: String,
    pub session: Mailbox<Session>,
    pub record: Arc<BuddyRecord>,
    /// Cancelled when the session ends.
    pub closed: CancellationToken,
    /// What the buddy is to poll, where it has to be told: the newest counts.
    pub orders: watch::Receiver<Option<Order>>,
}

/// Why a buddy was given none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JoinError {
    /// Another instance of it is alive.
    Duplicate {
        /// Where that one connects from.
        peer: String,
        /// When it will be taken for dead if it stays silent.
        retry_after_ms: u32,
    },
    /// There are as many buddies as a cluster may have.
    TooMany,
}

/// A stream presents a session.
#[derive(Debug, Message)]
#[rtype(result = "Option<Found>")]
pub struct FindSession {
    /// As given in [`Joined`].
    pub session_id: String,
    /// The instance that wrote the segment.
    pub instance_id: String,
}

/// The session that a stream belongs to.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Found {
    pub session: Mailbox<Session>,
    pub record: Arc<BuddyRecord>,
    /// The frames of the instance that wrote the segment.
    pub ledger: Arc<Ledger>,
}

/// Definitions of a stream; refused when the cluster would remember too many entities.
#[derive(Debug, Default, Message)]
#[rtype(result = "Result<Resolved, TooManyEntities>")]
pub struct ResolveDefinitions {
    /// Entities, parents first.
    pub entities: Vec<Unresolved>,
    /// The measured fields of each layout.
    pub layouts: Vec<Vec<Field>>,
}

/// The cluster remembers as many entities as it may; those that are gone are forgotten in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the cluster has {0} entities, four times --max-entities: names may be made up anew each time"
)]
pub struct TooManyEntities(pub usize);

/// What [`ResolveDefinitions`] asked for, in the same order.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Resolved {
    pub entities: Vec<Arc<Entity>>,
    pub layouts: Vec<Arc<Layout>>,
}

/// Rows that a buddy measured; answered with whether the router has them.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct SubmitRows {
    /// The buddy.
    pub buddy_id: String,
    /// The tick that they were taken for.
    pub tick: Tick,
    /// The rows.
    pub blocks: Vec<Block>,
    /// How many more were refused.
    pub refused: usize,
    /// Whether the frame before them came to this master too.
    pub follows: bool,
    /// Which sinks lack them, and the way back to the stream.
    pub passage: Passage,
}

/// Events that a buddy reported; answered with whether the router has them.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct SubmitEvents {
    /// The events.
    pub events: Vec<Event>,
    /// Which sinks lack them, and the way back to the stream.
    pub passage: Passage,
}

/// A buddy has sent all that there is for a tick.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EndRound {
    /// The buddy.
    pub buddy_id: String,
    /// The tick.
    pub tick: Tick,
}

/// A buddy says which hosts there are.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotApplied>")]
pub struct UpdateHosts {
    /// The buddy.
    pub buddy_id: String,
    /// What it says.
    pub update: HostsUpdate,
}

/// A buddy says how discovering and polling went.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct UpdateHealth {
    /// The buddy.
    pub buddy_id: String,
    /// By host.
    pub hosts: Vec<HostState>,
    /// By discovery.
    pub discoveries: Vec<DiscoveryState>,
}

/// A buddy has accepted an order, or refused it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AnswerOrder {
    /// The buddy.
    pub buddy_id: String,
    /// Of the order.
    pub version: u64,
    /// Why it was refused.
    pub error: Option<String>,
}

/// Asks which hosts of a cluster wait for a buddy that polls them.
#[derive(Debug, Message)]
#[rtype(result = "PollNeed")]
pub struct AskPollNeed;

/// Whether a cluster needs a buddy that stands by.
#[derive(Clone, PartialEq, Eq, Debug, MessageResponse)]
pub struct PollNeed {
    /// The cluster.
    pub cluster: String,
    /// Hosts that are known, and that any buddy may poll.
    pub hosts: usize,
    /// Buddies that poll and do not stand by, and are connected.
    pub pollers: usize,
    /// Hosts that buddies that stand by are to poll.
    pub on_standby: usize,
}

/// What a cluster says of itself and its buddies.
#[derive(Clone, Debug, MessageResponse)]
#[allow(missing_docs)]
pub struct ClusterReport {
    pub cluster: ClusterStatus,
    pub buddies: Vec<BuddyStatus>,
}
