//! The pipeline: what a host measured becomes rows. Pure: no clock, no task, no I/O.
//!
//! One [`HostPipeline`] a host remembers the readings before, so that counters have increases over
//! the samples' own times. A reading as old as the one before gives no row. A counter that went
//! back, or an entity that was started again, gives no increase: never a negative or made-up rate.
//!
//! A pod is the sum of its containers, together with what was measured of the pod itself. A sum is
//! whole or it is absent: where one container that takes part has no value this time, because it
//! was just started or its counter went back, a sum of the others would show a dip that never was.
//! A container whose host repeated its sample takes part with what that sample gave.
//!
//! What did not change costs its numbers only: the same `Arc` of a subject, of a layout or of the
//! host says that what follows from it stands. So each is looked at once, when it is new, and what
//! follows from a layout is kept in [`Plans`] that all hosts share.

mod blocks;
mod container;
mod identity;
mod names;
mod node;
mod plan;
mod pod;
mod pod_plan;
mod run;
#[cfg(test)]
mod tests;
mod things;

use std::sync::Arc;

use heapster_shared::{entity::Level, host::Host, row::Block};

use crate::source::Readings;
use blocks::Blocks;
use container::Whole;
use identity::Ids;
use node::{Node, Requests};
pub use plan::Plans;
use things::Things;

/// Turns one host's readings into rows.
#[derive(Debug, Default)]
pub struct HostPipeline {
    node: Node,
    things: Things,
    ids: Ids,
    blocks: Blocks,
}

/// What one poll is worked out with.
struct Poll<'a> {
    readings: &'a Readings,
    plans: &'a mut Plans,
    ids: &'a mut Ids,
    blocks: &'a mut Blocks,
    requested: Requests,
}

impl HostPipeline {
    /// The rows that follow from what the host measured now, grouped by layout. Entities that the
    /// readings do not name are forgotten.
    ///
    /// What adds to readings (labels to subjects, fields to layouts, see `crate::enrich`) comes before
    /// this, and gives the same `Arc` for as long as neither the host nor it says anything new.
    pub fn advance(
        &mut self,
        plans: &mut Plans,
        host: &Arc<Host>,
        readings: &Readings,
    ) -> Vec<Block> {
        let Self { node, things, ids, blocks } = self;
        let own = things.take(readings).and_then(|index| readings.get(index));
        let mut poll = Poll { readings, plans, ids, blocks, requested: Requests::default() };
        let entity = node.identify(&mut poll, host, own.map(|(reading, _)| reading));
        if let Some((entity, is_new)) = entity {
            let whole = Whole { entity: &entity, is_new };
            let Things { things, pods, .. } = things;
            let mut of_host = 0;
            for pod in pods {
                of_host = pod.things.end;
                pod.advance(&mut poll, whole, &mut things[pod.things.clone()]);
            }
            for thing in &mut things[of_host..] {
                thing.container(&mut poll, whole, Level::SysContainer);
            }
            if let Some((reading, cells)) = own {
                node.advance(&mut poll, whole, reading, cells);
            }
        }
        self.blocks.take()
    }

    /// Number of entities that are remembered.
    #[must_use]
    pub fn entity_count(&self) -> usize {
        let containers = self.things.things.iter().filter(|thing| !thing.is_pod).count();
        usize::from(self.node.is_known()) + self.things.pods.len() + containers
    }
}
