//! The actors: thin shells round `core`, each owning its state. See `ARCHITECTURE.md` for the tree.

pub mod sink;

use std::{marker::PhantomData, time::Instant};

use actix::Message;

use crate::delivery::{Payload, Ticket};

/// Offers a payload to a sink. A required sink gets a ticket, which it settles when its peer has
/// the payload; others get none.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Offer {
    /// What to write.
    pub payload: Payload,
    /// The way back to the sender.
    pub ticket: Option<Ticket>,
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
