//! Addresses that know how many messages wait behind them; actix does not tell.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::{
    Actor, Addr, Handler, MailboxError, Message,
    dev::{SendError, ToEnvelope},
};

/// The number of messages sent to an actor and not yet handled.
#[derive(Clone, Debug, Default)]
pub struct Depth(Arc<AtomicUsize>);

impl Depth {
    /// The number now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A message on its way, which counts until it is taken.
    pub(super) fn queue<M>(&self, message: M) -> Queued<M> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Queued { message, place: Place(self.clone()) }
    }
}

/// One message's place in a mailbox; given up when it is handled, or dropped with the mailbox.
#[derive(Debug)]
struct Place(Depth);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A message on its way through a [`Mailbox`].
#[derive(Debug)]
pub struct Queued<M> {
    message: M,
    place: Place,
}

impl<M> Queued<M> {
    /// The message, which has left the mailbox with this.
    pub fn take(self) -> M {
        drop(self.place);
        self.message
    }
}

impl<M: Message> Message for Queued<M> {
    type Result = M::Result;
}

/// The error with the message that was not sent.
pub(super) fn unqueued<M>(error: SendError<Queued<M>>) -> SendError<M> {
    match error {
        SendError::Full(queued) => SendError::Full(queued.take()),
        SendError::Closed(queued) => SendError::Closed(queued.take()),
    }
}

/// Makes an actor take these messages, which it handles, from a [`Mailbox`] as well.
macro_rules! takes_queued {
    ($actor:ty: $($message:ty),+ $(,)?) => {$(
        impl actix::Handler<$crate::actors::mailbox::Queued<$message>> for $actor {
            type Result = <$actor as actix::Handler<$message>>::Result;

            fn handle(
                &mut self,
                queued: $crate::actors::mailbox::Queued<$message>,
                ctx: &mut Self::Context,
            ) -> Self::Result {
                actix::Handler::<$message>::handle(self, queued.take(), ctx)
            }
        }
    )+};
}

pub(super) use takes_queued;

/// An actor's address with the depth of its mailbox.
pub struct Mailbox<A: Actor> {
    address: Addr<A>,
    depth: Depth,
}

impl<A: Actor> Mailbox<A> {
    /// The mailbox of the actor at this address.
    #[must_use]
    pub fn new(address: Addr<A>) -> Self {
        Self { address, depth: Depth::default() }
    }

    /// Sends a message and waits for the answer. Whoever sends waits for the answer before it
    /// sends again, so that the number of senders bounds what is under way.
    ///
    /// # Errors
    /// When the actor is gone, or goes before it answers.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, MailboxError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<Queued<M>>,
        A::Context: ToEnvelope<A, Queued<M>>,
    {
        self.address.send(self.depth.queue(message)).await
    }

    /// Sends a message without waiting.
    ///
    /// # Errors
    /// When the mailbox is full or the actor gone; gives the message back.
    pub fn post<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<Queued<M>>,
        A::Context: ToEnvelope<A, Queued<M>>,
    {
        self.address.try_send(self.depth.queue(message)).map_err(unqueued)
    }

    /// Whether the actor is alive.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.address.connected()
    }

    /// Messages that wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth.get()
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), depth: self.depth.clone() }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("depth", &self.depth()).finish_non_exhaustive()
    }
}
