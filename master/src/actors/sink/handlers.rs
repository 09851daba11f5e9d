//! What the actor of a sink does with each message. No handler waits for the sink.

use actix::{AsyncContext, Handler, MessageResult, ResponseFuture};
use tokio::{sync::oneshot, time::Instant};

use super::{SinkActor, ledger::Loss, slip::Slip};
use crate::{
    actors::{Drain, Observe, Offer},
    delivery::Outcome,
    status::SinkStatus,
};

impl Handler<Offer> for SinkActor {
    type Result = ();

    fn handle(&mut self, offer: Offer, context: &mut Self::Context) {
        let Offer { payload, origin, ticket, .. } = offer;
        let Some(payload) = self.choose(payload) else {
            if let Some(ticket) = ticket {
                ticket.settle(Outcome::Delivered);
            }
            return;
        };
        if self.draining.is_some() {
            let samples = payload.samples();
            self.ledger().accepted += samples;
            self.count_given_up(samples, Loss::Stopped);
            let reason = self.reason("it is stopping");
            Slip::Payload(ticket).settle(&Outcome::Retry { reason });
            return;
        }
        self.take_in(payload, origin, ticket, context);
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
        self.end_windows();
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
