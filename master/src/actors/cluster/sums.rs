//! Hands the sums of a round to the sinks, and again to those required ones that could not take
//! them. No buddy has the sums in its log, so that nobody else would send them again: they wait
//! here, within a bound of bytes.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tracing::warn;

use super::Cluster;
use crate::{
    actors::router::RouterSlot,
    core::{
        room::{Place, Room},
        sink_set::SinkSet,
    },
    delivery::{Origin, Outcome, Passage, Payload, Ticket, Watch},
};

/// Memory that the sums of all clusters may take while a required sink lacks them. Past it they are
/// offered once.
pub(crate) const SUMS_BYTES: usize = 64 << 20;
/// Sums of one cluster that may wait, whatever they take.
const MAX_WAITING: usize = 1024;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

static ROOM: LazyLock<Arc<Room>> = LazyLock::new(|| Arc::new(Room::new(SUMS_BYTES)));

/// The sums that required sinks do not have yet.
#[derive(Debug)]
pub(super) struct Sums {
    router: Arc<RouterSlot>,
    source: Arc<str>,
    waiting: usize,
    dropped: u64,
}

impl Sums {
    pub(super) fn new(cluster: &str, router: &Arc<RouterSlot>) -> Self {
        let source = format!("{cluster}/sums").into();
        Self { router: Arc::clone(router), source, waiting: 0, dropped: 0 }
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// A payload, and who has it.
#[derive(Debug)]
struct Sum {
    payload: Payload,
    takers: Arc<Takers>,
    attempt: u32,
    _place: Place,
}

/// The sinks that have a payload for good.
#[derive(Debug, Default)]
struct Takers(Mutex<SinkSet>);

impl Takers {
    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, SinkSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Takers {
    fn settled(&self, sinks: SinkSet, outcome: &Outcome) {
        if outcome.is_for_good() {
            let mut takers = self.lock();
            *takers = takers.with(sinks);
        }
    }

    fn ended(&self) {}
}

/// Routes a payload and watches what becomes of it. Where there is no room to keep it, it is routed
/// once, unwatched.
pub(super) fn offer(cluster: &mut Cluster, payload: Payload, ctx: &mut Context<Cluster>) {
    let wanted = cluster.sums.waiting < MAX_WAITING;
    let place = wanted.then(|| ROOM.try_take(payload.size_bytes())).flatten();
    let Some(place) = place else {
        cluster.sums.dropped += 1;
        let (ticket, _) = Ticket::new();
        let origin = Origin::fresh(Arc::clone(&cluster.sums.source));
        cluster
            .sums
            .router
            .route(payload, Passage { to: SinkSet::ALL, origin, ticket, turn: None });
        return;
    };
    cluster.sums.waiting += 1;
    let sum = Sum { payload, takers: Arc::default(), attempt: 0, _place: place };
    route(cluster, sum, ctx);
}

/// Routes a payload to those that lack it.
fn route(cluster: &mut Cluster, sum: Sum, ctx: &mut Context<Cluster>) {
    let watch: Arc<dyn Watch> = Arc::clone(&sum.takers) as _;
    let (ticket, outcome) = Ticket::watched(watch);
    let to = SinkSet::ALL.without(*sum.takers.lock());
    let origin = Origin::fresh(Arc::clone(&cluster.sums.source));
    cluster.sums.router.route(sum.payload.clone(), Passage { to, origin, ticket, turn: None });
    ctx.spawn(outcome.into_actor(cluster).map(move |outcome, cluster, ctx| match outcome {
        Ok(Outcome::Retry { .. }) => route_later(sum, ctx),
        Ok(Outcome::Rejected { reason }) => {
            cluster.sums.waiting -= 1;
            warn!(cluster = &*cluster.config.name, reason, "a sink refused the sums of a round");
        }
        Ok(Outcome::Delivered) | Err(_) => cluster.sums.waiting -= 1,
    }));
}

fn route_later(sum: Sum, ctx: &mut Context<Cluster>) {
    let wait = FIRST_WAIT.saturating_mul(1 << sum.attempt.min(5)).min(LONGEST_WAIT);
    let sum = Sum { attempt: sum.attempt.saturating_add(1), ..sum };
    ctx.run_later(wait, move |cluster, ctx| route(cluster, sum, ctx));
}
