//! The root of the tree of actors: starts the children, and starts them again when they fail.
//!
//! - owns: the children with the factory of each, and the clusters by name.
//! - receives: [`FindCluster`], [`ListClusters`], [`StartSink`], [`LetGo`], `Observe`, `Drain`; and
//!   the exit of each child, through its guard.
//! - sends: `Observe` and `Drain` to the children.
//! - mailbox bound: [`MAILBOX_BOUND`].
//! - when full: whoever asks waits; it is asked once a connection, never on the way of a sample.
//! - when it dies: the program ends. So it does when a child fails more often than the
//!   [`Intensity`] allows: a person has to look, and the buddies keep what they have.

mod children;
mod sinks;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    MessageResult, ResponseFuture, WrapFuture,
};
use arc_swap::ArcSwapOption;
use children::Child;
use futures::future::join_all;
use heapster_shared::tick::Resolution;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::{
    Drain, Observe, SinkChild,
    cluster::{Cluster, ClusterConfig},
    exit::{Exit, ExitGuard, Intensity},
    lineup::{Lineup, Lineups},
    mailbox::Mailbox,
    router::RouterSlot,
};
use crate::status::ActorStatus;
pub use sinks::{LetGo, StartSink};

/// Messages that may wait for the supervisor.
pub const MAILBOX_BOUND: usize = 256;

/// What the supervisor makes its children of.
#[derive(Debug)]
pub struct SupervisorConfig {
    /// At least one: the first is the supervisor's and the router's, the others the clusters'.
    pub arbiters: Vec<ArbiterHandle>,
    /// The distance between ticks.
    pub resolution: Resolution,
    /// How long clusters remember what is gone.
    pub retention: Duration,
    /// How long a buddy may be silent.
    pub silence: Duration,
    /// Hosts that one buddy may list.
    pub max_hosts: usize,
    /// Clusters that may be known.
    pub max_clusters: usize,
    /// How often a child may fail.
    pub intensity: Intensity,
    /// Where a sentence goes when the supervisor gives up.
    pub failure: mpsc::Sender<String>,
}

/// Asks for the actor of a cluster, which is started if it is new.
#[derive(Debug, Message)]
#[rtype(result = "Result<Mailbox<Cluster>, FindError>")]
pub struct FindCluster {
    /// Its name.
    pub name: String,
    /// Whether to start it.
    pub create: bool,
}

/// Why there is no actor of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FindError {
    /// It is not known.
    #[error("no such cluster")]
    Unknown,
    /// There are too many.
    #[error("the master has as many clusters as --max-clusters allows")]
    TooMany,
    /// The master is going away, or starting it again.
    #[error("the master is not ready for this cluster now")]
    Unavailable,
}

/// Asks for all clusters, by name.
#[derive(Debug, Message)]
#[rtype(result = "Vec<ListedCluster>")]
pub struct ListClusters;

/// A cluster that is known.
#[derive(Clone, Debug)]
pub struct ListedCluster {
    /// Its name.
    pub name: Arc<str>,
    /// Its actor; none while that is being started again.
    pub actor: Option<Mailbox<Cluster>>,
}

type ClusterSlot = Arc<ArcSwapOption<Mailbox<Cluster>>>;

/// A supervisor that has started.
#[derive(Debug)]
pub struct Launched {
    /// Itself.
    pub supervisor: Addr<Supervisor>,
    /// The sinks.
    pub lineups: Arc<Lineups>,
    /// What hands payloads to them.
    pub router: Arc<RouterSlot>,
}

/// The supervisor actor.
pub struct Supervisor {
    config: SupervisorConfig,
    router: Arc<RouterSlot>,
    children: Vec<Child>,
    /// Numbers given to children.
    last_child: u64,
    clusters: BTreeMap<Arc<str>, ClusterSlot>,
    stopping: bool,
}

impl Supervisor {
    /// Starts the supervisor with its router and these sinks.
    ///
    /// # Errors
    /// When there are more required sinks than there are places.
    pub fn launch(
        config: SupervisorConfig,
        sinks: Vec<SinkChild>,
    ) -> Result<Launched, sinks::NoPlace> {
        let mut lineup = Lineup::default();
        let mut children = Vec::new();
        for sink in sinks {
            let slot = sinks::slot_of(&sink, &mut lineup)?;
            children.push(children::sink(sink, &slot));
            lineup.sinks.push(slot);
        }
        let lineups = Arc::new(Lineups::new(lineup));
        let router = Arc::new(RouterSlot::new(lineups.view()));
        children.insert(0, children::router(&config, &router));
        let arbiter = config.arbiters[0].clone();
        let own = Arc::clone(&router);
        let supervisor = Self::start_in_arbiter(&arbiter, move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX_BOUND);
            let clusters = BTreeMap::new();
            Self { config, router: own, children, last_child: 0, clusters, stopping: false }
        });
        Ok(Launched { supervisor, lineups, router })
    }

    fn start_child(&mut self, index: usize, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(index) else { return };
        if child.number == 0 {
            self.last_child += 1;
            child.number = self.last_child;
        }
        let (guard, ended) = ExitGuard::new();
        child.start(guard);
        let number = child.number;
        ctx.spawn(ended.into_actor(self).map(move |exit, supervisor, ctx| {
            supervisor.child_ended(number, &exit.unwrap_or(Exit::Killed), ctx);
        }));
    }

    fn child_ended(&mut self, number: u64, exit: &Exit, ctx: &mut Context<Self>) {
        let mut children = self.children.iter();
        let Some(index) = children.position(|child| child.number == number) else { return };
        let child = &mut self.children[index];
        if self.stopping || exit.is_final() || child.leaving {
            info!(actor = child.path, %exit, "an actor has stopped");
            if !self.stopping {
                self.remove(index);
            }
            return;
        }
        child.last_exit = exit.to_string();
        if child.restarts.allow(self.config.intensity, Instant::now()) {
            warn!(actor = child.path, %exit, "an actor is started again");
            self.start_child(index, ctx);
        } else {
            let path = child.path.clone();
            self.give_up(&path, exit);
        }
    }

    /// A cluster that is done may come again under its name, and then starts from nothing.
    fn remove(&mut self, index: usize) {
        let child = self.children.remove(index);
        if let Some(name) = child.path.strip_prefix("cluster/") {
            self.clusters.remove(name);
        }
    }

    fn give_up(&mut self, path: &str, exit: &Exit) {
        let Intensity { restarts, within } = self.config.intensity;
        let why = format!(
            "the actor {path} failed more than {restarts} times in {} s, last: {exit}; see the log before it",
            within.as_secs()
        );
        error!(actor = path, %exit, "an actor fails too often: the program ends");
        self.stopping = true;
        // One reason is enough to end.
        let _ = self.config.failure.try_send(why);
    }

    fn find(
        &mut self,
        find: &FindCluster,
        ctx: &mut Context<Self>,
    ) -> Result<Mailbox<Cluster>, FindError> {
        if let Some(slot) = self.clusters.get(find.name.as_str()) {
            let mailbox = slot.load_full().filter(|mailbox| mailbox.is_open());
            return mailbox.map(|mailbox| (*mailbox).clone()).ok_or(FindError::Unavailable);
        }
        if !find.create {
            return Err(FindError::Unknown);
        }
        if self.stopping {
            return Err(FindError::Unavailable);
        }
        if self.clusters.len() >= self.config.max_clusters {
            return Err(FindError::TooMany);
        }
        let slot = self.add_cluster(find.name.as_str().into(), ctx);
        slot.load_full().map(|mailbox| (*mailbox).clone()).ok_or(FindError::Unavailable)
    }

    fn add_cluster(&mut self, name: Arc<str>, ctx: &mut Context<Self>) -> ClusterSlot {
        let config = ClusterConfig {
            name: Arc::clone(&name),
            resolution: self.config.resolution,
            retention: self.config.retention,
            silence: self.config.silence,
            max_hosts: self.config.max_hosts,
            max_entities: self.config.max_hosts.saturating_mul(4),
            router: Arc::clone(&self.router),
            last_entity: Arc::new(AtomicU32::new(0)),
        };
        let slot = ClusterSlot::default();
        let arbiter = children::arbiter_of(&name, &self.config.arbiters);
        self.children.push(children::cluster(config, arbiter, Arc::clone(&slot)));
        self.clusters.insert(name, Arc::clone(&slot));
        self.start_child(self.children.len() - 1, ctx);
        slot
    }

    fn own_status(&self) -> ActorStatus {
        ActorStatus {
            path: "supervisor".to_owned(),
            mailbox_bound: MAILBOX_BOUND,
            mailbox_depth: 0,
            restarts: 0,
            last_exit: String::new(),
            state: serde_json::json!({ "children": self.children.len(), "stopping": self.stopping }),
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        (0..self.children.len()).for_each(|index| self.start_child(index, ctx));
    }
}

impl Handler<FindCluster> for Supervisor {
    type Result = Result<Mailbox<Cluster>, FindError>;

    fn handle(&mut self, find: FindCluster, ctx: &mut Self::Context) -> Self::Result {
        self.find(&find, ctx)
    }
}

impl Handler<ListClusters> for Supervisor {
    type Result = MessageResult<ListClusters>;

    fn handle(&mut self, _: ListClusters, _: &mut Self::Context) -> Self::Result {
        let listed = |(name, slot): (&Arc<str>, &ClusterSlot)| ListedCluster {
            name: Arc::clone(name),
            actor: slot.load_full().map(|found| (*found).clone()),
        };
        MessageResult(self.clusters.iter().map(listed).collect())
    }
}

impl Handler<Observe<Vec<ActorStatus>>> for Supervisor {
    type Result = ResponseFuture<Vec<ActorStatus>>;

    fn handle(&mut self, _: Observe<Vec<ActorStatus>>, _: &mut Self::Context) -> Self::Result {
        let own = self.own_status();
        let children = join_all(self.children.iter().map(Child::observe));
        Box::pin(async move {
            let children = children.await.into_iter().flatten();
            std::iter::once(own).chain(children).collect()
        })
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ResponseFuture<()>;

    /// Children that stop from here on stay stopped; the clusters tell their buddies.
    fn handle(&mut self, drain: Drain, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        let clusters: Vec<Mailbox<Cluster>> = self
            .clusters
            .values()
            .filter_map(|slot| slot.load_full())
            .map(|c| (*c).clone())
            .collect();
        let deadline = drain.deadline;
        Box::pin(async move {
            let told = clusters.iter().map(|cluster| cluster.ask(Drain { deadline }));
            let all = join_all(told);
            // Past the deadline the streams are closed anyway.
            let _ = tokio::time::timeout_at(deadline.into(), all).await;
        })
    }
}
