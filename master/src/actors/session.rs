//! A session: one buddy that is connected. It lives as long as the buddy's Control stream.
//!
//! Decoding is not done here but in the task of each Ingest stream (see `grpc::decode`), so that a
//! session's mailbox holds only a few small messages.
//!
//! - owns: which Ingest streams are open, and the tokens that end them and the Control stream.
//! - receives: [`Pulse`] and [`OpenStream`] from the gRPC tasks; [`Close`]; [`Drain`].
//! - sends: [`Downlink`] to the Control stream's task, through a bounded channel.
//! - mailbox bound: [`MAILBOX_BOUND`]; each gRPC task has one message under way.
//! - when full: the gRPC task waits. When the channel is full the message is left out: the next
//!   one of its kind says the same.
//! - when it dies: its tokens are cancelled, so that the buddy's streams end and it connects anew.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, dev::MessageResponse};
use heapster_shared::{Map, tick::unix_ms};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Drain,
    buddy::{BuddyRecord, Pulse},
    exit::{Exit, ExitGuard},
    mailbox::{Mailbox, takes_queued},
};
/// Messages that may wait for a session.
pub const MAILBOX_BOUND: usize = 32;

/// What the master says to a buddy on its own account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Downlink {
    /// A whole list of hosts is wanted.
    SendSnapshot {
        /// Why.
        reason: String,
    },
    /// The master is going away.
    Drain {
        /// How long the streams stay open.
        deadline_ms: u32,
    },
}

/// What an Ingest stream is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StreamPurpose {
    /// What is measured now.
    Live,
    /// What could not be delivered earlier.
    Backfill,
}

/// Asks for the right to open an Ingest stream. It ends an older one of the same purpose, which
/// can only be a connection that was cut without anybody noticing.
#[derive(Debug, Message)]
#[rtype(result = "StreamToken")]
pub struct OpenStream {
    /// What the stream is for.
    pub purpose: StreamPurpose,
}

/// Cancelled when the stream is to end.
#[derive(Clone, Debug, MessageResponse)]
pub struct StreamToken(pub CancellationToken);

/// A heartbeat came.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heartbeat(pub Pulse);

/// Ends the session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    /// Why.
    pub exit: Exit,
}

/// What a session is made of.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct SessionParts {
    pub record: Arc<BuddyRecord>,
    pub downlink: mpsc::Sender<Downlink>,
    pub closed: CancellationToken,
    /// Without a sign of life for this long the session ends.
    pub silence: Duration,
    pub exit: ExitGuard,
}

/// The session actor.
pub struct Session {
    record: Arc<BuddyRecord>,
    downlink: mpsc::Sender<Downlink>,
    closed: CancellationToken,
    streams: Map<StreamPurpose, CancellationToken>,
    silence: Duration,
    exit: ExitGuard,
    _end: DropGuard,
}

impl Session {
    /// Starts a session on the arbiter of the caller.
    #[must_use]
    pub fn launch(parts: SessionParts) -> Mailbox<Self> {
        Mailbox::new(Self::create(move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX_BOUND);
            Self {
                _end: parts.closed.clone().drop_guard(),
                record: parts.record,
                downlink: parts.downlink,
                closed: parts.closed,
                streams: Map::default(),
                silence: parts.silence,
                exit: parts.exit,
            }
        }))
    }

    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.exit.set(exit);
        self.closed.cancel();
        ctx.stop();
    }

    fn check_silence(&mut self, ctx: &mut Context<Self>) {
        let silent_ms = unix_ms().saturating_sub(self.record.heard_unix_ms.load(Relaxed));
        if u128::try_from(silent_ms).is_ok_and(|silent| silent > self.silence.as_millis()) {
            let why = format!("no heartbeat for {} s", self.silence.as_secs());
            self.record.failed(&why);
            self.end(Exit::Failed(why), ctx);
        }
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.silence / 6, Self::check_silence);
    }
}

takes_queued!(Session: OpenStream, Heartbeat, Close, Drain);

impl Handler<OpenStream> for Session {
    type Result = StreamToken;

    fn handle(&mut self, open: OpenStream, _: &mut Self::Context) -> Self::Result {
        let token = self.closed.child_token();
        if let Some(older) = self.streams.insert(open.purpose, token.clone()) {
            older.cancel();
        }
        StreamToken(token)
    }
}

impl Handler<Heartbeat> for Session {
    type Result = ();

    fn handle(&mut self, Heartbeat(pulse): Heartbeat, _: &mut Self::Context) {
        self.record.pulse(pulse, unix_ms());
    }
}

impl Handler<Close> for Session {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        self.end(close.exit, ctx);
    }
}

impl Handler<Drain> for Session {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        let left = drain.deadline.saturating_duration_since(std::time::Instant::now());
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        // A buddy that does not read learns of it when its stream ends.
        let _ = self.downlink.try_send(Downlink::Drain { deadline_ms });
    }
}
