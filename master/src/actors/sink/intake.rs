//! The way of a payload into the queue: what of it is wanted, and what is held until the interval of
//! its sink is over.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context};
use heapster_shared::tick;
use tokio::time::Instant;

use super::{
    FullPolicy, SinkActor,
    ledger::Loss,
    queue::Entry,
    slip::{Part, Slip},
};
use crate::{
    core::{
        room::Room,
        windows::{Closed, Windows},
    },
    delivery::{Origin, Outcome, Payload, Ticket},
    sinks::{CommonOptions, Selection},
};

/// How often windows are looked at while there are any.
const LOOK: Duration = Duration::from_secs(1);

/// What a payload goes through before it waits in the queue.
#[derive(Debug)]
pub(super) struct Intake {
    selection: Selection,
    /// Only of a sink with an interval of its own.
    windows: Option<Windows<Ticket>>,
    looking: bool,
}

impl Intake {
    pub(super) fn new(options: &CommonOptions, room: &Arc<Room>) -> Self {
        let interval = options.min_interval;
        let windows = || Windows::new(interval, Arc::clone(room));
        Self {
            selection: Selection::new(options.filter.clone()),
            windows: (!interval.is_zero()).then(windows),
            looking: false,
        }
    }

    /// Samples that are held.
    pub(super) fn held_samples(&self) -> u64 {
        self.windows.as_ref().map_or(0, Windows::samples)
    }
}

impl SinkActor {
    /// What of a payload this sink wants; the rest is counted.
    pub(super) fn choose(&mut self, payload: Payload) -> Option<Payload> {
        let sink = &self.configured.sink;
        let takes = match payload {
            Payload::Events(_) => sink.takes_events(),
            Payload::Rows(_) | Payload::RoundEnd { .. } => sink.takes_rows(),
        };
        if !takes {
            return None;
        }
        if self.intake.selection.is_idle() {
            return Some(payload);
        }
        let offered = payload.samples();
        let chosen = self.intake.selection.select(payload);
        let left = chosen.as_ref().map_or(0, Payload::samples);
        self.ledger().filtered += offered.saturating_sub(left);
        chosen
    }

    /// Puts what is wanted where it waits.
    pub(super) fn take_in(
        &mut self,
        payload: Payload,
        origin: Origin,
        ticket: Option<Ticket>,
        context: &mut Context<Self>,
    ) {
        if let Payload::Rows(batch) = &payload {
            self.ledger().accepted_rows += batch.row_count() as u64;
        }
        let Some(windows) = &mut self.intake.windows else {
            return self.take_in_entry(payload, origin, ticket);
        };
        match payload {
            Payload::Rows(batch) => {
                let now_ms = tick::unix_ms();
                windows.add(&batch, ticket, origin.backfill, now_ms);
                let closed = windows.close_due(now_ms);
                self.ledger().accepted += batch.sample_count() as u64;
                self.enqueue_closed(closed);
                self.look_later(context);
            }
            Payload::RoundEnd { cluster, tick } => {
                let closed = windows.end_round(&cluster, tick.0);
                self.enqueue_closed(closed);
                self.take_in_entry(Payload::RoundEnd { cluster, tick }, origin, ticket);
            }
            Payload::Events(_) => self.take_in_entry(payload, origin, ticket),
        }
    }

    fn take_in_entry(&mut self, payload: Payload, origin: Origin, ticket: Option<Ticket>) {
        let slip = Slip::Payload(ticket);
        let entry = Entry::new(payload, origin, slip, Instant::now(), &self.room);
        self.ledger().accepted += entry.samples;
        self.enqueue(entry);
    }

    /// Queues the rows that windows have become.
    fn enqueue_closed(&mut self, closed: Vec<Closed<Ticket>>) {
        for window in closed {
            if window.early {
                self.tell_of_early_ends();
            }
            let made: usize = window.batches.iter().map(|batch| batch.sample_count()).sum();
            self.ledger().merged += window.samples.saturating_sub(made as u64);
            let origin = Origin { source: window.cluster, backfill: window.late };
            let parts = Part::of(window.tickets, window.batches.len());
            for (batch, part) in window.batches.into_iter().zip(parts) {
                let (payload, slip) = (Payload::Rows(batch.into()), Slip::Window(part));
                let now = Instant::now();
                self.enqueue(Entry::new(payload, origin.clone(), slip, now, &self.room));
            }
        }
    }

    fn tell_of_early_ends(&self) {
        let why = "min_interval is not kept: what it holds takes more than a quarter of queue_bytes; raise that";
        if self.ledger().failed(why) {
            let limit = self.configured.options.queue_bytes.to_string();
            tracing::warn!(sink = self.configured.name, limit, "{why}");
        }
    }

    /// Adds an entry to the queue; what has to go for it is given up.
    fn enqueue(&mut self, entry: Entry) {
        let gone = self.queue.push(entry);
        if gone.is_empty() {
            return;
        }
        let why = match self.full_policy() {
            FullPolicy::DropOldest => "queue is full: its oldest samples are dropped",
            FullPolicy::GiveBackOldest => "queue is full: its oldest samples are given back",
        };
        if self.ledger().failed(why) {
            let limit = self.configured.options.queue_bytes.to_string();
            tracing::warn!(sink = self.configured.name, limit, "{why}");
        }
        self.give_up_waiting(gone, Loss::QueueFull, why);
    }

    /// Looks again at the windows that are open, once in a while.
    fn look_later(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.intake.looking, true) {
            return;
        }
        context.run_later(LOOK, |actor, context| {
            actor.intake.looking = false;
            let Some(windows) = &mut actor.intake.windows else { return };
            let closed = windows.close_due(tick::unix_ms());
            let more = windows.next_due_ms().is_some();
            actor.enqueue_closed(closed);
            if more {
                actor.look_later(context);
            }
            actor.pump(context);
        });
    }

    /// Before a drain: what senders have still goes back to them, so that they send all of a window
    /// to the next master; what nobody else has is written as it is.
    pub(super) fn end_windows(&mut self) {
        if self.full_policy() == FullPolicy::GiveBackOldest {
            return self.give_up_windows("it stops in the middle of its interval");
        }
        let closed = self.intake.windows.as_mut().map(Windows::close_all).unwrap_or_default();
        self.enqueue_closed(closed);
    }

    /// Lets go of what is held.
    pub(super) fn give_up_windows(&mut self, why: &str) {
        let Some(windows) = &mut self.intake.windows else { return };
        let (samples, tickets) = windows.give_up();
        self.count_given_up(samples, Loss::Stopped);
        for ticket in tickets {
            ticket.settle(Outcome::Retry { reason: self.reason(why) });
        }
    }
}
