//! What the actor of a sink does with each message. No handler waits for the sink.

use actix::{AsyncContext, Handler, MessageResult, ResponseFuture};
use tokio::{sync::oneshot, time::Instant};

use super::{FullPolicy, SinkActor, queue::Entry};
use crate::{
    actors::{Drain, Observe, Offer},
    delivery::{Outcome, Payload},
    status::SinkStatus,
};

impl Handler<Offer> for SinkActor {
    type Result = ();

    fn handle(&mut self, offer: Offer, context: &mut Self::Context) {
        let events = matches!(offer.payload, Payload::Events(_));
        if events && !self.configured.sink.takes_events() {
            if let Some(ticket) = offer.ticket {
                ticket.settle(Outcome::Delivered);
            }
            return;
        }
        let Offer { payload, origin, ticket, .. } = offer;
        let entry = Entry::new(payload, origin, ticket, Instant::now(), &self.room);
        self.ledger().accepted += entry.samples;
        if self.draining.is_some() {
            self.give_up_waiting(vec![entry], "it is stopping");
            return;
        }
        let gone = self.queue.push(entry);
        if !gone.is_empty() {
            let why = match self.full_policy() {
                FullPolicy::DropOldest => "queue is full: its oldest samples are dropped",
                FullPolicy::GiveBackOldest => "queue is full: its oldest samples are given back",
            };
            if self.ledger().failed(why) {
                let limit = self.configured.options.queue_bytes.to_string();
                tracing::warn!(sink = self.configured.name, limit, "{why}");
            }
            self.give_up_waiting(gone, why);
        }
        self.pump(context);
    }
}

impl Handler<Observe<SinkStatus>> for SinkActor {
    type Result = MessageResult<Observe<SinkStatus>>;

    fn handle(&mut self, _: Observe<SinkStatus>, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.status())
    }
}

impl Handler<Drain> for SinkActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, context: &mut Self::Context) -> Self::Result {
        let (sender, ended) = oneshot::channel();
        self.draining.get_or_insert_default().push(sender);
        let left = drain.deadline.saturating_duration_since(std::time::Instant::now());
        context.run_later(left, Self::finish);
        // A peer that was resting gets one more chance at once.
        self.not_before = Instant::now();
        self.pump(context);
        Box::pin(async move {
            // When the actor ends in any other way, that is an end too.
            let _ = ended.await;
        })
    }
}
