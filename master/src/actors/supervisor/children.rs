//! The kinds of children: how each is started and asked for its state.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use actix::ArbiterHandle;
use futures::{FutureExt, future::BoxFuture};
use serde_json::json;

use super::{ClusterSlot, SupervisorConfig};
use crate::{
    actors::{
        Observe, SinkChild,
        cluster::{self, Cluster, ClusterConfig},
        exit::{ExitGuard, Restarts},
        router::{self, Router, RouterSlot, SinkSlot},
    },
    status::ActorStatus,
};

/// An actor that does not answer within this time is shown as such.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(1);

type Observation = BoxFuture<'static, Option<Vec<ActorStatus>>>;
type Start = Box<dyn FnMut(ExitGuard) + Send>;
type Ask = Box<dyn Fn() -> Observation + Send>;

/// A child of the supervisor.
pub(super) struct Child {
    pub(super) path: String,
    /// Which one it is, from its first start on; 0 before.
    pub(super) number: u64,
    /// It is not to be started again.
    pub(super) leaving: bool,
    pub(super) restarts: Restarts,
    pub(super) last_exit: String,
    mailbox_bound: usize,
    start: Start,
    /// Asks for the states of the child and of its own children, its own first.
    ask: Ask,
}

impl Child {
    fn new(path: String, mailbox_bound: usize, start: Start, ask: Ask) -> Self {
        let restarts = Restarts::default();
        let (number, leaving, last_exit) = (0, false, String::new());
        Self { path, number, leaving, restarts, last_exit, mailbox_bound, start, ask }
    }

    /// Starts it, the first time or again.
    pub(super) fn start(&mut self, guard: ExitGuard) {
        (self.start)(guard);
    }

    /// Its state and its children's, at the latest when the time is up.
    pub(super) fn observe(&self) -> impl Future<Output = Vec<ActorStatus>> + use<> {
        let answer = tokio::time::timeout(OBSERVE_TIMEOUT, (self.ask)());
        let silent = ActorStatus {
            path: self.path.clone(),
            mailbox_bound: self.mailbox_bound,
            mailbox_depth: 0,
            restarts: self.restarts.total(),
            last_exit: self.last_exit.clone(),
            state: json!({ "error": "it did not answer" }),
        };
        async move {
            let answered = answer.await.ok().flatten().unwrap_or_default();
            let mut statuses = answered.into_iter();
            let own = match statuses.next() {
                Some(own) => {
                    ActorStatus { mailbox_depth: own.mailbox_depth, state: own.state, ..silent }
                }
                None => silent,
            };
            std::iter::once(own).chain(statuses).collect()
        }
    }
}

pub(super) fn router(config: &SupervisorConfig, slot: &Arc<RouterSlot>) -> Child {
    let arbiter = config.arbiters[0].clone();
    let (filled, sinks) = (Arc::clone(slot), slot.sinks().clone());
    let start = move |guard| filled.fill(Router::start_on(&arbiter, sinks.clone(), guard));
    let slot = Arc::clone(slot);
    let ask = move || {
        let slot = Arc::clone(&slot);
        let answer = async move {
            let depth = slot.depth();
            let mailbox = slot.mailbox()?;
            let asked = mailbox.ask(Observe::<Vec<ActorStatus>>::default());
            let mut statuses = asked.await.ok()?;
            with_depth(&mut statuses, depth);
            if let Some(own) = statuses.first_mut() {
                own.state["mailbox_bytes"] = slot.room().used().into();
            }
            Some(statuses)
        };
        answer.boxed()
    };
    Child::new("router".to_owned(), router::MAILBOX_BOUND, Box::new(start), Box::new(ask))
}

pub(super) fn sink(sink: SinkChild, slot: &Arc<SinkSlot>) -> Child {
    let path = format!("sink/{}", sink.name);
    let mut start_sink = sink.start;
    let filled = Arc::clone(slot);
    let start = move |guard| filled.fill(start_sink(guard));
    let slot = Arc::clone(slot);
    let ask = move || {
        let slot = Arc::clone(&slot);
        let answer = async move {
            let handle = slot.handle()?;
            let mailbox_depth = handle.depth();
            let status = handle.observe.send(Observe::default()).await.ok()?;
            let mut state = serde_json::to_value(status).ok()?;
            state["mailbox_bytes"] = handle.mailbox_bytes().into();
            Some(vec![ActorStatus {
                path: String::new(),
                mailbox_bound: 0,
                mailbox_depth,
                restarts: 0,
                last_exit: String::new(),
                state,
            }])
        };
        answer.boxed()
    };
    Child::new(path, sink.mailbox_bound, Box::new(start), Box::new(ask))
}

pub(super) fn cluster(config: ClusterConfig, arbiter: ArbiterHandle, slot: ClusterSlot) -> Child {
    let path = format!("cluster/{}", config.name);
    let filled = Arc::clone(&slot);
    let start = move |guard| {
        let mailbox = Cluster::start_on(&arbiter, config.clone(), guard);
        filled.store(Some(Arc::new(mailbox)));
    };
    let ask = move || {
        let slot = Arc::clone(&slot);
        let answer = async move {
            let mailbox = slot.load_full()?;
            let depth = mailbox.depth();
            let asked = mailbox.ask(Observe::<Vec<ActorStatus>>::default());
            let mut statuses = asked.await.ok()?;
            with_depth(&mut statuses, depth);
            Some(statuses)
        };
        answer.boxed()
    };
    Child::new(path, cluster::MAILBOX_BOUND, Box::new(start), Box::new(ask))
}

/// An actor cannot see how many messages wait behind the one that it handles.
fn with_depth(statuses: &mut [ActorStatus], depth: usize) {
    if let Some(own) = statuses.first_mut() {
        own.mailbox_depth = depth;
    }
}

/// The arbiter of a cluster: the same for the same name, and where there are several not the
/// router's, which all clusters wait for.
pub(super) fn arbiter_of(name: &str, arbiters: &[ArbiterHandle]) -> ArbiterHandle {
    let own = if arbiters.len() > 1 { &arbiters[1..] } else { arbiters };
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
    let count = u64::try_from(own.len()).unwrap_or(1).max(1);
    let index = usize::try_from(hash % count).unwrap_or(0);
    own[index].clone()
}
