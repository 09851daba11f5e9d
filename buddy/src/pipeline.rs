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
//! The newest samples of a host can be kept ([`HostSamples`]), and the next start of the program goes
//! on from there as if nothing had been.
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
mod recall;
mod run;
mod samples;
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
use recall::Recalled;
pub use samples::{HostSamples, RecalledHost};
use things::Things;

/// Turns one host's readings into rows.
#[derive(Debug, Default)]
pub struct HostPipeline {
    node: Node,
    things: Things,
    ids: Ids,
    blocks: Blocks,
    /// For the first poll.
    recalled: Option<Box<Recalled>>,
    recalled_blocks: Blocks,
}

/// What one poll is worked out with.
struct Poll<'a> {
    readings: &'a Readings,
    plans: &'a mut Plans,
    ids: &'a mut Ids,
    blocks: &'a mut Blocks,
    /// Rows that an earlier start of the program gave already.
    recalled_blocks: &'a mut Blocks,
    recalled: Option<&'a Recalled>,
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
        let mut recalled = self.recalled.take();
        if let Some(recalled) = &mut recalled {
            recalled.prepare(plans);
        }
        let Self { node, things, ids, blocks, recalled_blocks, .. } = self;
        let own = things.take(readings).and_then(|index| readings.get(index));
        let mut poll = Poll {
            readings,
            plans,
            ids,
            blocks,
            recalled_blocks,
            recalled: recalled.as_deref(),
            requested: Requests::default(),
        };
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

    /// Has the first poll go on where an earlier start of the program ended, where that was not
    /// longer ago than this.
    pub fn recall(&mut self, host: RecalledHost, longest_ms: i64) {
        self.recalled = Some(Box::new(Recalled::new(host, longest_ms)));
    }

    /// After the first poll: rows of samples that an earlier start of the program gave rows of
    /// already. They are for who has to know the newest sample of everything, and not to be sent.
    pub fn take_recalled(&mut self) -> Vec<Block> {
        self.recalled_blocks.take()
    }

    /// What the next start of the program needs to go on from here; `None` before the first poll.
    #[must_use]
    pub fn samples(&self, cluster: &Arc<str>) -> Option<HostSamples> {
        let mut samples = self.node.samples(cluster)?;
        samples.add_things(&self.things);
        Some(samples)
    }

    /// Number of entities that are remembered.
    #[must_use]
    pub fn entity_count(&self) -> usize {
        let containers = self.things.things.iter().filter(|thing| !thing.is_pod).count();
        usize::from(self.node.is_known()) + self.things.pods.len() + containers
    }
}
