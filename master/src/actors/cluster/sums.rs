//! Hands the sums of a round to the sinks, and again to a required one that could not take them.
//! No buddy has the sums in its log, so that nobody else would send them again.

use std::{sync::Arc, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tracing::warn;

use super::Cluster;
use crate::{
    actors::router::RouterSlot,
    delivery::{Outcome, Payload, Ticket},
};

/// Payloads under way or waiting to be offered again.
const MAX_WAITING: usize = 256;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The sums that required sinks do not have yet.
#[derive(Debug)]
pub(super) struct Sums {
    router: Arc<RouterSlot>,
    waiting: usize,
    dropped: u64,
}

impl Sums {
    pub(super) const fn new(router: Arc<RouterSlot>) -> Self {
        Self { router, waiting: 0, dropped: 0 }
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Routes a payload and watches what becomes of it. Past the bound it is routed once, unwatched.
pub(super) fn offer(
    cluster: &mut Cluster,
    payload: Payload,
    attempt: u32,
    ctx: &mut Context<Cluster>,
) {
    let (ticket, outcome) = Ticket::new();
    cluster.sums.router.route(payload.clone(), ticket, attempt > 0);
    if cluster.sums.waiting >= MAX_WAITING {
        cluster.sums.dropped += 1;
        return;
    }
    cluster.sums.waiting += 1;
    ctx.spawn(outcome.into_actor(cluster).map(move |outcome, cluster, ctx| {
        cluster.sums.waiting -= 1;
        match outcome {
            Ok(Outcome::Retry { .. }) => offer_later(cluster, payload, attempt, ctx),
            Ok(Outcome::Rejected { reason }) => {
                warn!(
                    cluster = &*cluster.config.name,
                    reason, "a sink refused the sums of a round"
                );
            }
            Ok(Outcome::Delivered) | Err(_) => {}
        }
    }));
}

fn offer_later(cluster: &mut Cluster, payload: Payload, attempt: u32, ctx: &mut Context<Cluster>) {
    if cluster.sums.waiting >= MAX_WAITING {
        cluster.sums.dropped += 1;
        return;
    }
    cluster.sums.waiting += 1;
    let wait = FIRST_WAIT.saturating_mul(1 << attempt.min(5)).min(LONGEST_WAIT);
    ctx.run_later(wait, move |cluster, ctx| {
        cluster.sums.waiting -= 1;
        offer(cluster, payload, attempt.saturating_add(1), ctx);
    });
}
