//! Sinks that come and go while the master runs.

use std::sync::Arc;

use actix::{Context, Handler, Message};

use super::{Supervisor, children};
use crate::{
    actors::{SinkChild, lineup::Lineup, router::SinkSlot},
    core::sink_set::{MOST_SINKS, SinkSet},
};

/// Starts one more sink; nothing is handed to it before it is in the lineup. `None` when the master
/// is stopping.
#[derive(Message)]
#[rtype(result = "Option<Arc<SinkSlot>>")]
pub struct StartSink {
    /// How to start it.
    pub child: SinkChild,
    /// What payloads for it are marked with.
    pub whom: SinkSet,
}

/// Says that a sink is about to stop for good: it is not started again, whyever it stops, and
/// another one may be started under its name.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LetGo {
    /// Its name.
    pub name: String,
}

/// There are more required sinks than there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more sinks are required than the {MOST_SINKS} that there may be")]
pub struct NoPlace;

/// Where a sink will be that has not started yet.
pub(super) fn slot_of(sink: &SinkChild, lineup: &mut Lineup) -> Result<Arc<SinkSlot>, NoPlace> {
    let whom = lineup.place(sink.required).ok_or(NoPlace)?;
    Ok(Arc::new(SinkSlot::new(sink.name.clone(), whom)))
}

fn path_of(name: &str) -> String {
    format!("sink/{name}")
}

impl Handler<StartSink> for Supervisor {
    type Result = Option<Arc<SinkSlot>>;

    fn handle(&mut self, start: StartSink, ctx: &mut Context<Self>) -> Self::Result {
        if self.stopping {
            return None;
        }
        let slot = Arc::new(SinkSlot::new(start.child.name.clone(), start.whom));
        self.children.push(children::sink(start.child, &slot));
        self.start_child(self.children.len() - 1, ctx);
        Some(slot)
    }
}

impl Handler<LetGo> for Supervisor {
    type Result = ();

    fn handle(&mut self, gone: LetGo, _: &mut Context<Self>) {
        let path = path_of(&gone.name);
        if let Some(child) = self.children.iter_mut().find(|child| child.path == path) {
            child.leaving = true;
            child.path.push_str(" (leaving)");
        }
    }
}
