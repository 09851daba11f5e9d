//! The actors: thin shells round `core`, each owning its state. See `ARCHITECTURE.md` for the tree.

pub mod buddy;
pub mod cluster;
pub mod exit;
pub mod ledger;
pub mod lineup;
pub mod mailbox;
pub mod model;
pub mod rate;
pub mod router;
pub mod session;
pub mod sink;
pub mod supervisor;

use std::{fmt, marker::PhantomData, sync::Arc, time::Instant};

use actix::{Actor, Addr, Context, Handler, Message, Recipient, dev::SendError};
use mailbox::{Depth, Queued};

use crate::{
    core::room::{Place, Room},
    delivery::{Origin, Payload, Ticket},
    status::SinkStatus,
};

/// Memory that what waits in the mailbox of a sink may take; what it has taken out it counts itself.
pub const SINK_MAILBOX_BYTES: usize = 32 << 20;

/// Offers a payload to a sink. A required sink gets a ticket, which it settles when its peer has
/// the payload; others get none.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Offer {
    /// What to write.
    pub payload: Payload,
    /// Where it comes from.
    pub origin: Origin,
    /// The way back to the sender.
    pub ticket: Option<Ticket>,
    /// What it takes of the mailbox, until the offer has been taken apart.
    place: Option<Place>,
}

impl Offer {
    /// Offers this payload.
    #[must_use]
    pub const fn new(payload: Payload, origin: Origin, ticket: Option<Ticket>) -> Self {
        Self { payload, origin, ticket, place: None }
    }

    /// Offers rows of nobody in particular, whose sender does not wait: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn unasked(payload: Payload) -> Self {
        Self::new(payload, Origin::fresh("".into()), None)
    }
}

/// Asks an actor for its state.
#[derive(Debug)]
pub struct Observe<T>(PhantomData<T>);

impl<T> Default for Observe<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Send + 'static> Message for Observe<T> {
    type Result = T;
}

/// Asks an actor to finish what it holds and stop; answered when it has, or at the deadline.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// When to give up.
    pub deadline: Instant,
}

/// A sink actor that runs.
#[derive(Clone)]
pub struct SinkHandle {
    /// Its spec without options and secrets, unique among the sinks.
    pub name: String,
    /// Whether acknowledgements wait for it.
    pub required: bool,
    /// Asked for its state.
    pub observe: Recipient<Observe<SinkStatus>>,
    /// Asked to finish.
    pub drain: Recipient<Drain>,
    offer: Recipient<Queued<Offer>>,
    depth: Depth,
    mailbox: Arc<Room>,
    queue: Arc<Room>,
}

impl SinkHandle {
    /// The handle of a sink's actor.
    #[must_use]
    pub fn new<A>(name: String, required: bool, actor: Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<Queued<Offer>>
            + Handler<Observe<SinkStatus>>
            + Handler<Drain>,
    {
        Self {
            name,
            required,
            observe: actor.clone().recipient(),
            drain: actor.clone().recipient(),
            offer: actor.recipient(),
            depth: Depth::default(),
            mailbox: Arc::new(Room::new(SINK_MAILBOX_BYTES)),
            queue: Arc::new(Room::new(usize::MAX)),
        }
    }

    /// The same for a sink that holds what it has taken in this room.
    #[must_use]
    pub fn holding_in(mut self, queue: Arc<Room>) -> Self {
        self.queue = queue;
        self
    }

    /// Whether what is backfilled would be taken: it may have half of the queue, so that the other
    /// half is there for what is fresh.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.used() < self.queue.limit() / 2
    }

    /// What waits in its mailbox, in bytes.
    #[must_use]
    pub fn mailbox_bytes(&self) -> usize {
        self.mailbox.used()
    }

    /// Offers a payload without waiting.
    ///
    /// # Errors
    /// When the mailbox is full or the actor gone; gives the offer back.
    pub fn offer(&self, mut offer: Offer) -> Result<(), SendError<Offer>> {
        offer.place = self.mailbox.try_take(offer.payload.size_bytes());
        if offer.place.is_none() {
            return Err(SendError::Full(offer));
        }
        self.offer.try_send(self.depth.queue(offer)).map_err(mailbox::unqueued)
    }

    /// Offers that it has not handled yet.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth.get()
    }
}

mailbox::takes_queued!(sink::SinkActor: Offer);
mailbox::takes_queued!(model::ModelActor: Offer);

impl fmt::Debug for SinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkHandle")
            .field("name", &self.name)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

/// How to start a sink actor, and to start it again when it has failed.
pub struct SinkChild {
    /// [`SinkHandle::name`].
    pub name: String,
    /// [`SinkHandle::required`].
    pub required: bool,
    /// Messages that its mailbox may hold.
    pub mailbox_bound: usize,
    /// Starts one on an arbiter of its choice. The actor keeps the guard as long as it lives.
    pub start: Box<dyn FnMut(exit::ExitGuard) -> SinkHandle + Send>,
}
