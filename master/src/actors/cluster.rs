//! A cluster: one actor for each, spread over the arbiters by the hash of its name.
//!
//! - owns: the cluster's inventory of hosts, its entities, its open rounds, and who its buddies are.
//! - receives: [`Join`], [`FindSession`], [`UpdateHosts`], [`UpdateHealth`] from Control streams;
//!   [`AnswerOrder`] too; [`AskPollNeed`] from whoever can start a buddy that polls;
//!   [`ResolveDefinitions`], [`SubmitRows`], [`SubmitEvents`], [`EndRound`] from Ingest streams,
//!   one message a frame; `Observe`; `Drain`.
//! - sends: payloads to the router; orders, which hosts to poll, to Control streams, of which each
//!   has the newest waiting at the most; it starts the sessions and hears of their end.
//! - mailbox bound: [`MAILBOX_BOUND`]. Each stream waits for the answer before it reads on, so that
//!   there is one message of each under way.
//! - when full: the streams wait, and with them the buddies.
//! - when it dies: its sessions end and the buddies connect anew, to the actor that its supervisor
//!   starts in its place; they go on polling what they polled. Rounds that were open lose their sums. Numbers of entities are not used
//!   again, since sinks still have rows of the entities before.

mod assignment;
mod members;
mod messages;
mod report;
mod sums;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler,
    ResponseFuture, WrapFuture,
};
use futures::future::join_all;
use heapster_shared::{
    entity::EntityId,
    row::RowBatch,
    tick::{Resolution, Tick, unix_ms},
};
use members::{Member, Members};
pub use messages::*;
use sums::Sums;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::{
    Drain, Observe,
    buddy::BuddyRecord,
    exit::{Exit, ExitGuard},
    mailbox::{Mailbox, takes_queued},
    router::RouterSlot,
    session::{Session, SessionParts},
};
use crate::{
    core::{
        aggregate::{Aggregator, ClosedRound},
        assign::Assigner,
        entities::Entities,
        inventory::Inventory,
        sink_set::SinkSet,
    },
    delivery::{EventBatch, Outcome, Payload},
    status::ActorStatus,
};

/// Messages that may wait for a cluster.
pub const MAILBOX_BOUND: usize = 1024;
/// How often deadlines of rounds are looked at, and whether buddies are still there.
const ROUND_CHECK: Duration = Duration::from_millis(500);
/// How often what is gone is forgotten.
const FORGET_CHECK: Duration = Duration::from_secs(30);

/// What a cluster actor is made of; the same for each start.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Its name.
    pub name: Arc<str>,
    /// The distance between ticks.
    pub resolution: Resolution,
    /// How long the gone are remembered.
    pub retention: Duration,
    /// How long a buddy may be silent.
    pub silence: Duration,
    /// Hosts that one buddy may list.
    pub max_hosts: usize,
    /// Entities that may be remembered.
    pub max_entities: usize,
    /// Where its payloads go.
    pub router: Arc<RouterSlot>,
    /// The largest number that any entity of this cluster was given, over restarts of the actor.
    pub last_entity: Arc<AtomicU32>,
}

/// The cluster actor.
pub struct Cluster {
    config: ClusterConfig,
    members: Members,
    inventory: Inventory,
    assigner: Assigner,
    /// A look at the assignment is due soon.
    plans_soon: bool,
    entities: Entities,
    aggregator: Aggregator,
    sums: Sums,
    counts: Counts,
    exit: ExitGuard,
}

#[derive(Debug, Default)]
struct Counts {
    manager: String,
    tick: Option<Tick>,
    received_ms: i64,
    used_ms: i64,
    rows: u64,
    samples: u64,
    rejected_rows: u64,
    events: u64,
}

impl Cluster {
    /// Starts a cluster's actor on an arbiter.
    #[must_use]
    pub fn start_on(
        arbiter: &ArbiterHandle,
        config: ClusterConfig,
        exit: ExitGuard,
    ) -> Mailbox<Self> {
        Mailbox::new(Self::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX_BOUND);
            let last = EntityId(config.last_entity.load(Relaxed));
            Self {
                members: Members::new(config.router.sinks().clone()),
                inventory: Inventory::new(config.max_hosts),
                assigner: Assigner::new(config.resolution, unix_ms()),
                plans_soon: false,
                entities: Entities::starting_after(last),
                aggregator: Aggregator::new(Arc::clone(&config.name), config.resolution),
                sums: Sums::new(&config.name, &config.router),
                counts: Counts { used_ms: unix_ms(), ..Counts::default() },
                exit,
                config,
            }
        }))
    }

    fn launch(&mut self, join: Join, ctx: &mut Context<Self>) -> Joined {
        let now_ms = unix_ms();
        let buddy_id = join.identity.buddy_id.clone();
        self.inventory.connect(&buddy_id, join.identity.discovers());
        self.assigner.connect(&buddy_id, join.identity.arrival(), now_ms);
        self.plan_soon(ctx);
        if join.identity.discovers() {
            self.counts.manager.clone_from(&join.identity.manager);
        }
        let (exit, ended) = ExitGuard::new();
        let record = Arc::new(BuddyRecord::new(join.identity, join.rate, now_ms));
        let closed = CancellationToken::new();
        let session = Session::launch(SessionParts {
            record: Arc::clone(&record),
            downlink: join.downlink,
            closed: closed.clone(),
            silence: self.config.silence,
            exit,
        });
        let (orders, told) = watch::channel(None);
        let session_id = format!("{}/{}", self.config.name, Uuid::new_v4());
        let member = Member {
            session_id: session_id.clone(),
            session: session.clone(),
            record: Arc::clone(&record),
            closed: closed.clone(),
            orders,
        };
        self.members.insert(member);
        let id = session_id.clone();
        ctx.spawn(ended.into_actor(self).map(move |exit, cluster, ctx| {
            cluster.session_ended(&id, &exit.unwrap_or(Exit::Killed), ctx);
        }));
        info!(
            cluster = &*self.config.name,
            buddy = buddy_id,
            peer = record.identity.peer,
            "a buddy has connected"
        );
        Joined { session_id, session, record, closed, orders: told }
    }

    fn session_ended(&mut self, session_id: &str, exit: &Exit, ctx: &mut Context<Self>) {
        let Some(buddy) = self.members.ended(session_id) else { return };
        let for_good = *exit == Exit::Drained;
        self.assigner.disconnect(&buddy, for_good, unix_ms());
        self.plan_soon(ctx);
        if !for_good {
            self.plan_later(ctx);
        }
        info!(cluster = &*self.config.name, buddy, %exit, "a buddy has gone");
        self.finish_rounds(ctx);
    }

    /// The sums of the rounds that are over.
    fn close_rounds(&mut self) -> Vec<Payload> {
        let polling = self.members.polling();
        let assigner = &self.assigner;
        let misses = |tick: Tick, ended: &BTreeSet<String>| {
            assigner.misses(tick.0, |buddy| ended.contains(buddy))
        };
        let rounds = self.aggregator.close(&polling, misses, &mut self.entities, unix_ms());
        self.remember_numbers();
        rounds.into_iter().flat_map(|round| self.payloads(round)).collect()
    }

    fn payloads(&mut self, round: ClosedRound) -> Vec<Payload> {
        self.counts.tick = self.counts.tick.max(Some(round.tick));
        let mut payloads = Vec::with_capacity(2);
        if let Some(sums) = round.sums {
            self.count(&sums);
            payloads.push(Payload::Rows(Arc::new(sums)));
        }
        let cluster = Arc::clone(&self.config.name);
        payloads.push(Payload::RoundEnd { cluster, tick: round.tick });
        payloads
    }

    fn count(&mut self, rows: &RowBatch) {
        let samples = u64::try_from(rows.sample_count()).unwrap_or(u64::MAX);
        self.counts.samples = self.counts.samples.saturating_add(samples);
    }

    fn remember_numbers(&self) {
        self.config.last_entity.store(self.entities.last_id().0, Relaxed);
    }

    fn finish_rounds(&mut self, ctx: &mut Context<Self>) {
        let payloads = self.close_rounds();
        payloads.into_iter().for_each(|payload| sums::offer(self, payload, ctx));
    }

    fn forget(&mut self, ctx: &mut Context<Self>) {
        let now_ms = unix_ms();
        let retention_ms = i64::try_from(self.config.retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now_ms.saturating_sub(retention_ms);
        for buddy in self.members.forget(before_ms) {
            self.inventory.forget(&buddy);
            self.assigner.forget(&buddy);
            self.plan_soon(ctx);
        }
        self.entities.forget(now_ms, before_ms);
        let unused = self.counts.used_ms < before_ms && self.entities.is_empty();
        if unused && self.members.is_empty() {
            info!(cluster = &*self.config.name, "a cluster without buddies is forgotten");
            self.exit.set(Exit::Done);
            ctx.stop();
        }
    }
}

impl Actor for Cluster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(ROUND_CHECK, Self::finish_rounds);
        ctx.run_interval(FORGET_CHECK, Self::forget);
        ctx.run_interval(ROUND_CHECK, Self::plan_when_due);
    }
}

takes_queued!(
    Cluster: Join, FindSession, ResolveDefinitions, SubmitRows, SubmitEvents, EndRound,
    UpdateHosts, UpdateHealth, AnswerOrder, AskPollNeed, Observe<ClusterReport>, Observe<Vec<ActorStatus>>, Drain,
);

impl Handler<Join> for Cluster {
    type Result = Result<Joined, JoinError>;

    fn handle(&mut self, join: Join, ctx: &mut Self::Context) -> Self::Result {
        self.counts.used_ms = unix_ms();
        let admitted = self.members.admit(&join.identity, self.config.silence, unix_ms());
        if let (Err(JoinError::Duplicate { .. }), Some(member)) =
            (&admitted, self.members.get(&join.identity.buddy_id))
        {
            member.record.turned_away(&join.identity.peer, unix_ms());
        }
        admitted.map(|()| self.launch(join, ctx))
    }
}

impl Handler<FindSession> for Cluster {
    type Result = Option<Found>;

    fn handle(&mut self, find: FindSession, _: &mut Self::Context) -> Self::Result {
        let member = self.members.find(&find.session_id)?;
        let (session, record) = (member.session.clone(), Arc::clone(&member.record));
        let buddy = &record.identity.buddy_id;
        let ledger = self.members.ledger(buddy, &find.instance_id, unix_ms());
        Some(Found { session, record, ledger })
    }
}

impl Handler<ResolveDefinitions> for Cluster {
    type Result = Result<Resolved, TooManyEntities>;

    fn handle(&mut self, ask: ResolveDefinitions, _: &mut Self::Context) -> Self::Result {
        let known = self.entities.len();
        if known.saturating_add(ask.entities.len()) > self.config.max_entities {
            return Err(TooManyEntities(known));
        }
        let entities = self.entities.resolve(ask.entities);
        let layouts = ask.layouts.iter().map(|fields| self.entities.layout(fields)).collect();
        self.remember_numbers();
        Ok(Resolved { entities, layouts })
    }
}

impl Handler<SubmitRows> for Cluster {
    type Result = bool;

    fn handle(&mut self, submit: SubmitRows, _: &mut Self::Context) -> bool {
        let now_ms = unix_ms();
        let rows = RowBatch {
            cluster: Arc::clone(&self.config.name),
            tick: submit.tick,
            blocks: submit.blocks,
        };
        self.counts.received_ms = now_ms;
        self.counts.used_ms = now_ms;
        if !submit.passage.to.has(SinkSet::OTHERS) {
            // They came before: all but the sinks that lack them has had its turn.
            return self.config.router.route(Payload::Rows(Arc::new(rows)), submit.passage);
        }
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        self.counts.rows = self.counts.rows.saturating_add(count(rows.row_count()));
        self.counts.rejected_rows = self.counts.rejected_rows.saturating_add(count(submit.refused));
        if rows.blocks.is_empty() {
            submit.passage.ticket.settle(Outcome::Delivered);
            return true;
        }
        self.count(&rows);
        self.aggregator.add(rows.tick, &submit.buddy_id, &rows.blocks, now_ms);
        if !submit.follows {
            self.aggregator.miss(rows.tick, now_ms);
        }
        self.config.router.route(Payload::Rows(Arc::new(rows)), submit.passage)
    }
}

impl Handler<SubmitEvents> for Cluster {
    type Result = bool;

    fn handle(&mut self, submit: SubmitEvents, _: &mut Self::Context) -> bool {
        if submit.passage.to.has(SinkSet::OTHERS) {
            let count = u64::try_from(submit.events.len()).unwrap_or(u64::MAX);
            self.counts.events = self.counts.events.saturating_add(count);
        }
        self.counts.used_ms = unix_ms();
        let cluster = Arc::clone(&self.config.name);
        let events = Arc::new(EventBatch { cluster, events: submit.events });
        self.config.router.route(Payload::Events(events), submit.passage)
    }
}

impl Handler<EndRound> for Cluster {
    type Result = ();

    fn handle(&mut self, end: EndRound, ctx: &mut Self::Context) {
        self.aggregator.end(end.tick, &end.buddy_id, unix_ms());
        self.finish_rounds(ctx);
    }
}

impl Handler<Drain> for Cluster {
    type Result = ResponseFuture<()>;

    /// Tells the buddies; the streams end when the server does. It is done when each session has
    /// passed it on, so that the end does not overtake it.
    fn handle(&mut self, drain: Drain, _: &mut Self::Context) -> Self::Result {
        let sessions: Vec<Mailbox<Session>> =
            self.members.connected().map(|member| member.session.clone()).collect();
        Box::pin(async move {
            let deadline = drain.deadline;
            // Those that are gone need not be told.
            join_all(sessions.iter().map(|session| session.ask(Drain { deadline }))).await;
        })
    }
}
