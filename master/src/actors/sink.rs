//! The actor of one sink: queues, batches, tries again, and never makes anybody wait.
//!
//! - Owns: the queue of its sink, the attempts under way, the counters (kept over restarts).
//! - Receives: [`Offer`](super::Offer), `Observe<SinkStatus>`, [`Drain`](super::Drain).
//! - Sends: nothing; it settles the [`Ticket`](crate::delivery::Ticket)s of what it was offered.
//! - Mailbox: [`SinkActor::MAILBOX`] messages. No handler waits for the sink, so it stays empty.
//! - When full: the queue of payloads is bounded in bytes and follows [`FullPolicy`]. What a mailbox
//!   may hold is bounded in bytes too, see [`SinkHandle`](super::SinkHandle). What is held for the
//!   interval of the sink counts with the queue.
//! - When it dies: its tickets drop, which asks their senders for the payloads again; what had no
//!   ticket counts as dropped. Attempts under way are called off.

mod attempt;
mod handlers;
mod intake;
mod ledger;
mod queue;
mod slip;
mod status;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use heapster_shared::{Map, backoff::Backoff};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use self::{
    attempt::{Attempt, Attempted},
    intake::Intake,
    ledger::{Ledger, Loss},
    queue::{Entry, Queue},
};
use super::exit::{Exit, ExitGuard};
use crate::{
    core::room::Room,
    delivery::Outcome,
    sinks::{Configured, SinkError, Written},
};
pub use queue::FullPolicy;

/// See the head of this file.
pub struct SinkActor {
    configured: Configured,
    runtime: Handle,
    ledger: Arc<Mutex<Ledger>>,
    room: Arc<Room>,
    intake: Intake,
    queue: Queue,
    attempts: Map<u64, Vec<Entry>>,
    last_attempt: u64,
    prepared: bool,
    refused: bool,
    backoff: Backoff,
    not_before: Instant,
    timer: Option<SpawnHandle>,
    draining: Option<Vec<oneshot::Sender<()>>>,
    guard: Option<ExitGuard>,
}

impl SinkActor {
    /// Messages that its mailbox holds: as many as the router's, so that what comes in a burst is
    /// bounded by its bytes alone.
    pub const MAILBOX: usize = 1024;

    /// Makes actors of a sink, for a supervisor that starts it again after a panic. The writing is
    /// done on `runtime`; the actor's own thread only keeps the books.
    pub fn factory(
        configured: Configured,
        runtime: Handle,
    ) -> impl Fn() -> Self + Clone + Send + Sync + 'static {
        let room = Self::room(&configured);
        Self::factory_in(configured, runtime, room)
    }

    /// The same for actors that hold what they were offered in this room.
    pub fn factory_in(
        configured: Configured,
        runtime: Handle,
        room: Arc<Room>,
    ) -> impl Fn() -> Self + Clone + Send + Sync + 'static {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        move || {
            let (configured, runtime) = (configured.clone(), runtime.clone());
            Self::new(configured, runtime, Arc::clone(&ledger), Arc::clone(&room))
        }
    }

    /// The room that a sink's options give it.
    #[must_use]
    pub fn room(configured: &Configured) -> Arc<Room> {
        Arc::new(Room::new(configured.options.queue_bytes.bytes()))
    }

    fn new(
        configured: Configured,
        runtime: Handle,
        ledger: Arc<Mutex<Ledger>>,
        room: Arc<Room>,
    ) -> Self {
        let options = &configured.options;
        Self {
            intake: Intake::new(options, &room),
            queue: Queue::new(Arc::clone(&room)),
            room,
            backoff: Backoff::new(options.retry_first, options.retry_longest),
            not_before: Instant::now(),
            configured,
            runtime,
            ledger,
            attempts: Map::default(),
            last_attempt: 0,
            prepared: false,
            refused: false,
            timer: None,
            draining: None,
            guard: None,
        }
    }

    /// Tells a supervisor when and why this actor stops.
    #[must_use]
    pub fn guarded(mut self, guard: ExitGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// What goes when the queue is full.
    #[must_use]
    pub fn full_policy(&self) -> FullPolicy {
        if self.configured.options.required {
            FullPolicy::GiveBackOldest
        } else {
            FullPolicy::DropOldest
        }
    }

    /// Nothing panics while it holds the lock; the counters are whole in any case.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts all attempts that are due, and sets the timer for the next.
    fn pump(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        while self.attempts.len() < self.most_attempts() {
            let Some(due) = self.next_due() else { break };
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                self.timer = Some(context.run_later(wait, |actor, context| {
                    actor.timer = None;
                    actor.pump(context);
                }));
                return;
            }
            self.start_attempt(context);
        }
        if self.draining.is_some() && self.queue.is_empty() && self.attempts.is_empty() {
            self.finish(context);
        }
    }

    /// A peer in trouble is tried by one batch at a time.
    fn most_attempts(&self) -> usize {
        if self.backoff.failures() > 0 { 1 } else { self.configured.options.concurrency }
    }

    fn next_due(&mut self) -> Option<Instant> {
        let options = &self.configured.options;
        let interval =
            if self.draining.is_some() { Duration::ZERO } else { options.flush_interval };
        let due = self.queue.due(options.batch_samples, interval)?;
        Some(due.max(self.not_before))
    }

    fn start_attempt(&mut self, context: &mut Context<Self>) {
        let batch = self.queue.take_batch(self.configured.options.batch_samples);
        let payloads = batch.iter().map(|entry| entry.payload.clone()).collect();
        let sink = Arc::clone(&self.configured.sink);
        let limit = self.configured.options.timeout;
        let attempt = Attempt::start(&self.runtime, sink, payloads, !self.prepared, limit);
        self.last_attempt += 1;
        let number = self.last_attempt;
        self.attempts.insert(number, batch);
        let ended = attempt.outcome().into_actor(self).map(move |outcome, actor, context| {
            actor.attempted(number, outcome);
            actor.pump(context);
        });
        context.spawn(ended);
    }

    fn attempted(&mut self, number: u64, outcome: Attempted) {
        let Some(batch) = self.attempts.remove(&number) else { return };
        match outcome {
            Ok(written) => self.written(batch, &written),
            Err(SinkError::Transient { message, retry_after }) => {
                self.failed(batch, &message, retry_after);
            }
            Err(SinkError::Permanent { message }) => self.gave_up(batch, &message),
        }
    }

    fn written(&mut self, batch: Vec<Entry>, written: &Written) {
        self.prepared = true;
        self.refused = false;
        self.backoff.reset();
        let recovered = {
            let mut ledger = self.ledger();
            ledger.delivered += written.delivered;
            ledger.rejected += written.rejected;
            ledger.succeeded()
        };
        if recovered {
            tracing::info!(sink = self.configured.name, "sink works again");
        }
        if written.rejected > 0 && self.ledger().failed(&written.reason) {
            let (sink, samples) = (&self.configured.name, written.rejected);
            tracing::warn!(sink, samples, reason = written.reason, "sink refused some samples");
        }
        settle(batch, &Outcome::Delivered);
    }

    /// Nothing is lost yet: the batch goes back to its place, and the peer gets a rest.
    fn failed(&mut self, batch: Vec<Entry>, message: &str, retry_after: Option<Duration>) {
        self.prepared = false;
        let now = Instant::now();
        // Attempts that fail together are one failure of the peer.
        if self.not_before <= now {
            self.not_before = now + self.backoff.next_wait();
        }
        self.not_before = self.not_before.max(now + retry_after.unwrap_or_default());
        self.queue.give_back(batch, false);
        self.ledger().retries += 1;
        let told = {
            let mut ledger = self.ledger();
            let told = ledger.failed(message);
            ledger.in_trouble |= told;
            told
        };
        if told {
            let sink = &self.configured.name;
            tracing::warn!(sink, error = message, "write failed, trying again");
        }
    }

    /// One bad payload must not cost its neighbours: each is then written by itself.
    fn gave_up(&mut self, batch: Vec<Entry>, message: &str) {
        self.prepared = false;
        if batch.len() > 1 {
            self.queue.give_back(batch, true);
            return;
        }
        self.refused = true;
        let samples = samples_of(&batch);
        self.ledger().rejected += samples;
        if self.ledger().failed(message) {
            let sink = &self.configured.name;
            tracing::error!(sink, samples, error = message, "sink refused samples for good");
        }
        settle(batch, &Outcome::Rejected { reason: self.reason(message) });
    }

    /// Lets go of entries that were never written: the senders of a required sink have them still.
    fn give_up_waiting(&self, entries: Vec<Entry>, loss: Loss, why: &str) {
        self.count_given_up(samples_of(&entries), loss);
        settle(entries, &Outcome::Retry { reason: self.reason(why) });
    }

    fn count_given_up(&self, samples: u64, loss: Loss) {
        match self.full_policy() {
            FullPolicy::DropOldest => self.ledger().lost(samples, loss),
            FullPolicy::GiveBackOldest => self.ledger().given_back += samples,
        }
    }

    fn reason(&self, message: &str) -> String {
        format!("sink {}: {message}", self.configured.name)
    }

    /// Ends a drain, whatever is left.
    fn finish(&mut self, context: &mut Context<Self>) {
        let left = self.take_all();
        if samples_of(&left) > 0 {
            let samples = samples_of(&left);
            let sink = &self.configured.name;
            tracing::warn!(
                sink,
                samples,
                "sink stops with samples that it could not write in time"
            );
        }
        self.give_up_waiting(left, Loss::Stopped, "it stopped before it could write this");
        for waiting in self.draining.take().into_iter().flatten() {
            // Who no longer waits for the end does not miss it.
            let _ = waiting.send(());
        }
        if let Some(guard) = &mut self.guard {
            guard.set(Exit::Drained);
        }
        context.stop();
    }

    fn take_all(&mut self) -> Vec<Entry> {
        let mut all: Vec<Entry> =
            std::mem::take(&mut self.attempts).into_values().flatten().collect();
        all.extend(self.queue.take_all());
        all
    }
}

fn samples_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.samples).sum()
}

fn settle(entries: Vec<Entry>, outcome: &Outcome) {
    entries.into_iter().for_each(|entry| entry.slip.settle(outcome));
}

impl Actor for SinkActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(Self::MAILBOX);
    }
}

impl Drop for SinkActor {
    /// After a panic; a drain leaves nothing behind.
    fn drop(&mut self) {
        let left = self.take_all();
        if !left.is_empty() {
            self.give_up_waiting(left, Loss::Stopped, "it failed before it could write this");
        }
        self.give_up_windows("it failed before it could write this");
    }
}
