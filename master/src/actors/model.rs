//! The model's actor: a sink like any other, and the one that the API asks.
//!
//! - Owns: the recent past of all clusters ([`crate::core::model`]).
//! - Receives: [`Offer`] from the router; the questions in [`messages`] from the API, by way of a
//!   [`ModelHandle`]; `Observe`, [`Drain`].
//! - Sends: nothing.
//! - Mailbox bound: [`MAILBOX`], for `try_send`; the handle lets [`QUESTIONS`] more in at a time.
//! - When full: the router is told so and keeps the payload or drops it, as its policy for sinks
//!   says; a question waits, and is answered with "busy" when it waits too long.
//! - When it dies: the past is gone, and it is started again empty; tickets in its mailbox ask for
//!   their batches again.

mod handle;
pub mod messages;

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, MessageResult};
use heapster_shared::tick;

pub use handle::{AskError, ModelHandle, QUESTIONS};

use super::{
    Drain, Observe, Offer,
    exit::{Exit, ExitGuard},
};
use crate::{
    core::model::{Limits, Model, ModelStats, RowCounts},
    delivery::{Outcome, Payload},
    status::SinkStatus,
};

/// Messages that may wait: as many as the router's, so that what comes in a burst is bounded by its
/// bytes alone.
pub const MAILBOX: usize = 1024;

/// How often what is old is dropped at the latest.
const HOUSEKEEPING: Duration = Duration::from_secs(15);

/// One line a minute says as much as one a batch.
const WARNING_INTERVAL_MS: i64 = 60_000;

/// See the module's header.
#[derive(Debug)]
pub struct ModelActor {
    model: Model,
    accepted: u64,
    expired_unix_ms: i64,
    warned_unix_ms: i64,
    draining: bool,
    guard: Option<ExitGuard>,
}

impl ModelActor {
    /// The actor of an empty model.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            model: Model::new(limits),
            accepted: 0,
            expired_unix_ms: 0,
            warned_unix_ms: 0,
            draining: false,
            guard: None,
        }
    }

    /// Tells a supervisor when and why this actor stops.
    #[must_use]
    pub fn guarded(mut self, guard: ExitGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    fn expire(&mut self, now_ms: i64) {
        self.model.expire(now_ms);
        self.expired_unix_ms = now_ms;
    }

    fn take(&mut self, payload: &Payload) {
        let now_ms = tick::unix_ms();
        if let Payload::Rows(batch) = payload {
            let counts = self.model.take(batch, now_ms);
            let all_taken = counts.taken == batch.row_count() as u64;
            // Looking at each value again is left out where it would give the same number.
            self.accepted += if all_taken { counts.samples } else { batch.sample_count() as u64 };
            if (counts.refused > 0 || counts.ahead > 0)
                && now_ms.saturating_sub(self.warned_unix_ms) >= WARNING_INTERVAL_MS
            {
                self.warned_unix_ms = now_ms;
                warn_of_refused(&batch.cluster, counts);
            }
        }
        // Timers starve while a mailbox is never empty, so the work is not left to them alone.
        let due = i64::try_from(HOUSEKEEPING.as_millis()).unwrap_or(i64::MAX);
        if now_ms.saturating_sub(self.expired_unix_ms) >= due {
            self.expire(now_ms);
        }
    }

    fn sink_status(&self) -> SinkStatus {
        let stats = self.model.stats();
        SinkStatus {
            name: "model".into(),
            kind: "model".into(),
            required: false,
            state: if self.draining { "draining" } else { "ok" }.into(),
            accepted: self.accepted,
            delivered: stats.rows.samples,
            rejected: self.accepted.saturating_sub(stats.rows.samples),
            written_unix_ms: stats.received_unix_ms,
            ..SinkStatus::default()
        }
    }
}

fn warn_of_refused(cluster: &str, counts: RowCounts) {
    if counts.refused > 0 {
        tracing::warn!(
            cluster,
            rows = counts.refused,
            "the model is full: rows of new entities are left out; raise its ceiling of memory"
        );
    }
    if counts.ahead > 0 {
        tracing::warn!(
            cluster,
            rows = counts.ahead,
            "rows from the future are left out of the model; compare the clocks of buddy and master"
        );
    }
}

impl Actor for ModelActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(HOUSEKEEPING, |actor, _| actor.expire(tick::unix_ms()));
    }
}

impl Handler<Offer> for ModelActor {
    type Result = ();

    fn handle(&mut self, offer: Offer, _: &mut Self::Context) {
        self.take(&offer.payload);
        if let Some(ticket) = offer.ticket {
            ticket.settle(Outcome::Delivered);
        }
    }
}

impl Handler<Observe<ModelStats>> for ModelActor {
    type Result = MessageResult<Observe<ModelStats>>;

    fn handle(&mut self, _: Observe<ModelStats>, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.model.stats())
    }
}

impl Handler<Observe<SinkStatus>> for ModelActor {
    type Result = MessageResult<Observe<SinkStatus>>;

    fn handle(&mut self, _: Observe<SinkStatus>, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.sink_status())
    }
}

impl Handler<Observe<serde_json::Value>> for ModelActor {
    type Result = MessageResult<Observe<serde_json::Value>>;

    fn handle(&mut self, _: Observe<serde_json::Value>, _: &mut Self::Context) -> Self::Result {
        MessageResult(serde_json::to_value(self.model.stats()).unwrap_or_default())
    }
}

impl Handler<Drain> for ModelActor {
    type Result = ();

    /// Nothing waits to be written, so that there is nothing to wait for.
    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        self.draining = true;
        if let Some(guard) = &mut self.guard {
            guard.set(Exit::Drained);
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use heapster_shared::{
        entity::{Definition, EntityTable, Labels, Level},
        row::{Block, Cell, RowBatch, RowHead},
        schema::{Field, Layout, table},
        tick::Tick,
    };

    use super::*;
    use crate::{
        core::model::Names,
        delivery::{Origin, Ticket},
    };

    fn rows(time_ms: i64) -> Payload {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: "a".into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        let layout = Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]);
        let mut block = Block::new(Arc::new(layout));
        block.push(RowHead { entity, time_ms, interval_ms: 0 }, &[Cell::int(7)], &[]);
        Payload::Rows(Arc::new(RowBatch {
            cluster: "lab".into(),
            tick: Tick(time_ms),
            blocks: vec![block],
        }))
    }

    /// A batch is acknowledged once its rows can be asked for; a repeated one is acknowledged too,
    /// for it will never be of more use, and shows as rejected.
    #[actix::test]
    async fn what_is_acknowledged_can_be_asked_for() {
        let model = ModelHandle::new(ModelActor::new(Limits::default()).start());
        let payload = rows(tick::unix_ms());
        for _ in 0..2 {
            let (ticket, outcome) = Ticket::new();
            let offer = Offer::new(payload.clone(), Origin::fresh("".into()), Some(ticket));
            model.addr().unwrap().send(offer).await.unwrap();
            assert_eq!(outcome.await.unwrap(), Outcome::Delivered);
        }
        let question = messages::ListNames { cluster: None, names: Names::Nodes };
        assert_eq!(model.ask(question).await.unwrap().unwrap(), ["a"]);
        let status = model.ask(Observe::<SinkStatus>::default()).await.unwrap();
        assert_eq!((status.accepted, status.delivered, status.rejected), (2, 1, 1));
    }

    /// A drained actor is gone: who asks is told so, and does not wait.
    #[actix::test]
    async fn a_drained_model_says_that_it_is_gone() {
        let model = ModelHandle::new(ModelActor::new(Limits::default()).start());
        model.ask(Drain { deadline: Instant::now() }).await.unwrap();
        let answer = model.ask(messages::ListClusters).await;
        assert_eq!(answer.unwrap_err(), AskError::Gone);
        model.replace(ModelActor::new(Limits::default()).start());
        assert!(model.ask(messages::ListClusters).await.unwrap().is_empty());
    }
}
