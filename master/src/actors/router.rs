//! The router: hands each payload to every sink.
//!
//! - owns: the sinks in the order of the configuration.
//! - receives: [`Route`], from clusters.
//! - sends: `Offer` to each sink, by `try_send`; a required sink gets a clone of the ticket.
//! - mailbox bound: [`MAILBOX_BOUND`].
//! - when full: the cluster settles the ticket as to be sent again, so that the buddy keeps the
//!   batch. When a sink's mailbox is full, a required sink's ticket is settled the same way; for
//!   any other sink the payload is dropped and counted.
//! - when it dies: tickets it held ask for their batches again, and its supervisor starts another;
//!   it has no state but the list of sinks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use actix::{Actor, ArbiterHandle, Context, Handler, Message, dev::SendError};
use arc_swap::ArcSwapOption;
use serde_json::json;
use tracing::warn;

use super::{
    Observe, Offer, SinkHandle,
    exit::ExitGuard,
    mailbox::{Mailbox, takes_queued},
};
use crate::{
    delivery::{Outcome, Payload, Ticket},
    status::ActorStatus,
};

/// Payloads that may wait for the router.
pub const MAILBOX_BOUND: usize = 1024;

/// Asks for a payload to be handed to the sinks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Route {
    /// What to hand out.
    pub payload: Payload,
    /// The way back to the sender.
    pub ticket: Ticket,
    /// Whether the others have it already.
    pub required_only: bool,
}

/// Where a sink is now; whoever restarts it puts its new handle here.
#[derive(Debug)]
pub struct SinkSlot {
    /// [`SinkHandle::name`].
    pub name: String,
    /// [`SinkHandle::required`].
    pub required: bool,
    handle: ArcSwapOption<SinkHandle>,
    dropped_samples: AtomicU64,
}

impl SinkSlot {
    /// A slot that no sink has filled yet.
    #[must_use]
    pub fn new(name: String, required: bool) -> Self {
        Self { name, required, handle: ArcSwapOption::empty(), dropped_samples: AtomicU64::new(0) }
    }

    /// Puts a sink that has started here.
    pub fn fill(&self, handle: SinkHandle) {
        self.handle.store(Some(Arc::new(handle)));
    }

    /// The sink.
    #[must_use]
    pub fn handle(&self) -> Option<Arc<SinkHandle>> {
        self.handle.load_full()
    }

    /// Samples that were dropped in front of the sink, because its mailbox was full or it was gone.
    #[must_use]
    pub fn dropped_samples(&self) -> u64 {
        self.dropped_samples.load(Relaxed)
    }

    fn offer(&self, payload: &Payload, ticket: Option<Ticket>) -> Result<(), Ungiven> {
        let Some(handle) = self.handle.load_full() else { return Err(Ungiven::gone(ticket)) };
        let offer = Offer { payload: payload.clone(), ticket };
        handle.offer(offer).map_err(|error| match error {
            SendError::Full(offer) => Ungiven { ticket: offer.ticket, why: "has a full mailbox" },
            SendError::Closed(offer) => Ungiven::gone(offer.ticket),
        })
    }
}

struct Ungiven {
    ticket: Option<Ticket>,
    why: &'static str,
}

impl Ungiven {
    const fn gone(ticket: Option<Ticket>) -> Self {
        Self { ticket, why: "is being started again" }
    }
}

/// The router.
pub struct Router {
    sinks: Vec<Arc<SinkSlot>>,
    routed: u64,
    _exit: ExitGuard,
}

impl Router {
    /// Starts a router on an arbiter.
    #[must_use]
    pub fn start_on(
        arbiter: &ArbiterHandle,
        sinks: Vec<Arc<SinkSlot>>,
        exit: ExitGuard,
    ) -> Mailbox<Self> {
        Mailbox::new(Self::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX_BOUND);
            Self { sinks, routed: 0, _exit: exit }
        }))
    }

    fn hand(&self, slot: &SinkSlot, route: &Route) {
        let ticket = slot.required.then(|| route.ticket.clone());
        let Err(ungiven) = slot.offer(&route.payload, ticket) else { return };
        if let Some(ticket) = ungiven.ticket {
            let reason = format!("sink {} {}", slot.name, ungiven.why);
            ticket.settle(Outcome::Retry { reason });
            return;
        }
        let samples = samples(&route.payload);
        if slot.dropped_samples.fetch_add(samples, Relaxed) == 0 && samples > 0 {
            warn!(sink = slot.name, why = ungiven.why, "samples for a sink are being dropped");
        }
    }
}

impl Actor for Router {
    type Context = Context<Self>;
}

takes_queued!(Router: Route, Observe<Vec<ActorStatus>>);

impl Handler<Route> for Router {
    type Result = ();

    fn handle(&mut self, route: Route, _: &mut Self::Context) {
        self.routed += 1;
        for slot in self.sinks.iter().filter(|slot| slot.required || !route.required_only) {
            self.hand(slot, &route);
        }
        route.ticket.settle(Outcome::Delivered);
    }
}

impl Handler<Observe<Vec<ActorStatus>>> for Router {
    type Result = Vec<ActorStatus>;

    fn handle(&mut self, _: Observe<Vec<ActorStatus>>, _: &mut Self::Context) -> Self::Result {
        let dropped = |slot: &Arc<SinkSlot>| (slot.name.clone(), slot.dropped_samples().into());
        let dropped: serde_json::Map<_, _> = self.sinks.iter().map(dropped).collect();
        vec![ActorStatus {
            path: "router".to_owned(),
            mailbox_bound: MAILBOX_BOUND,
            mailbox_depth: 0,
            restarts: 0,
            last_exit: String::new(),
            state: json!({ "routed_payloads": self.routed, "dropped_samples": dropped }),
        }]
    }
}

/// The way to the router that runs now.
#[derive(Debug, Default)]
pub struct RouterSlot(ArcSwapOption<Mailbox<Router>>);

impl RouterSlot {
    /// Puts a router that has started here.
    pub fn fill(&self, mailbox: Mailbox<Router>) {
        self.0.store(Some(Arc::new(mailbox)));
    }

    /// The router.
    #[must_use]
    pub fn mailbox(&self) -> Option<Arc<Mailbox<Router>>> {
        self.0.load_full()
    }

    /// Messages that wait for it.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.load().as_ref().map_or(0, |mailbox| mailbox.depth())
    }

    /// Routes a payload; whether the router has it. Where it has not, the ticket says so.
    pub fn route(&self, payload: Payload, ticket: Ticket, required_only: bool) -> bool {
        let route = Route { payload, ticket, required_only };
        let mailbox = self.0.load();
        let refused = match mailbox.as_ref() {
            Some(mailbox) => mailbox.post(route).err().map(SendError::into_inner),
            None => Some(route),
        };
        let Some(route) = refused else { return true };
        route.ticket.settle(Outcome::Retry { reason: "the router is busy".to_owned() });
        false
    }
}

fn samples(payload: &Payload) -> u64 {
    let count = match payload {
        Payload::Rows(rows) => rows.sample_count(),
        Payload::Events(events) => events.events.len(),
        Payload::RoundEnd { .. } => 0,
    };
    u64::try_from(count).unwrap_or(u64::MAX)
}
