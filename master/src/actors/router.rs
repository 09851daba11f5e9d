//! The router: hands each payload to the sinks that it is for.
//!
//! - owns: a view of the sinks, which come and go while it runs.
//! - receives: [`Route`], from clusters.
//! - sends: `Offer` to each sink, by `try_send`; a required sink gets a ticket of its own.
//! - mailbox bound: [`MAILBOX_BOUND`] messages, and [`MAILBOX_BYTES`] of payloads.
//! - when full: the ticket is settled as to be sent again, so that the buddy keeps the batch. When
//!   a sink's mailbox is full, a required sink's ticket is settled the same way; for any other sink
//!   the payload is dropped and counted.
//! - when it dies: tickets it held ask for their batches again, and its supervisor starts another;
//!   it has no state.

mod slot;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use actix::{Actor, ArbiterHandle, Context, Handler, Message, dev::SendError};
use arc_swap::ArcSwapOption;
use serde_json::json;
use tracing::warn;

use super::{
    Observe,
    exit::ExitGuard,
    lineup::LineupView,
    mailbox::{Mailbox, takes_queued},
};
use crate::{
    core::{
        room::{Place, Room},
        sink_set::SinkSet,
    },
    delivery::{Outcome, Passage, Payload},
    status::ActorStatus,
};
pub use slot::SinkSlot;

/// Payloads that may wait for the router.
pub const MAILBOX_BOUND: usize = 1024;
/// Memory that these may take.
pub const MAILBOX_BYTES: usize = 64 << 20;

/// Asks for a payload to be handed to the sinks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Route {
    /// What to hand out.
    pub payload: Payload,
    /// To whom, and the way back.
    pub passage: Passage,
    /// What it takes of the router's room.
    pub place: Place,
}

/// The router.
pub struct Router {
    sinks: LineupView,
    routed: u64,
    _exit: ExitGuard,
}

impl Router {
    /// Starts a router on an arbiter.
    #[must_use]
    pub fn start_on(arbiter: &ArbiterHandle, sinks: LineupView, exit: ExitGuard) -> Mailbox<Self> {
        Mailbox::new(Self::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX_BOUND);
            Self { sinks, routed: 0, _exit: exit }
        }))
    }

    /// Hands a payload to a sink, if it is one of those that it is for.
    fn hand(slot: &SinkSlot, payload: &Payload, passage: &Passage) {
        if !passage.to.has(slot.whom) {
            return;
        }
        let ticket = slot.is_required().then(|| passage.ticket.of(slot.whom));
        let Err(ungiven) = slot.offer(payload, ticket, &passage.origin) else { return };
        if let Some(ticket) = ungiven.ticket {
            let reason = format!("sink {} {}", slot.name, ungiven.why);
            ticket.settle(Outcome::Retry { reason });
            return;
        }
        let samples = payload.samples();
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
        let Route { payload, passage, place } = route;
        self.sinks.now().sinks.iter().for_each(|slot| Self::hand(slot, &payload, &passage));
        drop(place);
        // Those that are not required have had their turn, whatever they make of it.
        passage.ticket.of(SinkSet::OTHERS).settle(Outcome::Delivered);
        passage.ticket.leave();
    }
}

impl Handler<Observe<Vec<ActorStatus>>> for Router {
    type Result = Vec<ActorStatus>;

    fn handle(&mut self, _: Observe<Vec<ActorStatus>>, _: &mut Self::Context) -> Self::Result {
        let dropped = |slot: &Arc<SinkSlot>| (slot.name.clone(), slot.dropped_samples().into());
        let dropped: serde_json::Map<_, _> = self.sinks.now().all().map(dropped).collect();
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
#[derive(Debug)]
pub struct RouterSlot {
    mailbox: ArcSwapOption<Mailbox<Router>>,
    room: Arc<Room>,
    sinks: LineupView,
}

impl Default for RouterSlot {
    /// A slot without sinks.
    fn default() -> Self {
        Self::new(LineupView::default())
    }
}

impl RouterSlot {
    /// A slot that no router has filled yet, for one that hands to these sinks.
    #[must_use]
    pub fn new(sinks: LineupView) -> Self {
        let room = Arc::new(Room::new(MAILBOX_BYTES));
        Self { mailbox: ArcSwapOption::empty(), room, sinks }
    }

    /// Puts a router that has started here.
    pub fn fill(&self, mailbox: Mailbox<Router>) {
        self.mailbox.store(Some(Arc::new(mailbox)));
    }

    /// The router.
    #[must_use]
    pub fn mailbox(&self) -> Option<Arc<Mailbox<Router>>> {
        self.mailbox.load_full()
    }

    /// Messages that wait for it.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.mailbox.load().as_ref().map_or(0, |mailbox| mailbox.depth())
    }

    /// The sinks that it hands to.
    #[must_use]
    pub const fn sinks(&self) -> &LineupView {
        &self.sinks
    }

    /// Waits until what is handed out goes to the newest sinks only. Whoever stops one that is not
    /// among them any more does so after this, so that nothing is handed to it behind its back.
    pub async fn settled(&self) {
        if let Some(mailbox) = self.mailbox() {
            // One that has died hands out nothing more.
            let _ = mailbox.ask(Observe::<Vec<ActorStatus>>::default()).await;
        }
    }

    /// What waits for it, in bytes.
    #[must_use]
    pub const fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Routes a payload; whether the router has it. Where it has not, the ticket says so.
    pub fn route(&self, payload: Payload, passage: Passage) -> bool {
        let Some(place) = self.room.try_take(payload.size_bytes()) else {
            return refuse(passage);
        };
        let route = Route { payload, passage, place };
        let mailbox = self.mailbox.load();
        let refused = match mailbox.as_ref() {
            Some(mailbox) => mailbox.post(route).err().map(SendError::into_inner),
            None => Some(route),
        };
        refused.is_none_or(|route| refuse(route.passage))
    }
}

fn refuse(passage: Passage) -> bool {
    passage.ticket.settle(Outcome::Retry { reason: "the router is busy".to_owned() });
    false
}
