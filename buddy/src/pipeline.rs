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

mod answer;
mod blocks;
mod node;
mod run;
mod sums;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{
    Map, Set,
    entity::{Definition, Entity, EntityId, EntityTable, Labels, Level},
    host::Host,
    row::{Block, Cell, RowHead},
    schema::{Field, Kind, LayoutCache},
    tag,
};

use crate::source::{PodName, Readings};
use answer::{Answer, Part, PodPart};
use blocks::Blocks;
use run::{Run, Sample};
use sums::Sums;

/// Turns one host's readings into rows.
#[derive(Debug, Default)]
pub struct HostPipeline {
    entities: EntityTable,
    runs: Map<Key, Run>,
    node_labels: Labels,
    round: u64,
    seen: Set<EntityId>,
}

/// A thing on the host, by its names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Node,
    /// The rows of a pod.
    Pod(CompactString, CompactString),
    /// What is measured of a pod as a whole, which has a time of its own.
    PodItself(CompactString, CompactString),
    PodContainer(CompactString, CompactString, CompactString),
    SysContainer(CompactString),
}

impl HostPipeline {
    /// The rows that follow from what the host measured now, grouped by layout. Entities that the
    /// readings do not name are forgotten.
    pub fn advance(
        &mut self,
        layouts: &mut LayoutCache,
        host: &Host,
        readings: &Readings,
    ) -> Vec<Block> {
        self.round += 1;
        self.seen.clear();
        let answer = Answer::sort(readings);
        let mut blocks = Blocks::new(layouts);
        let node = self.node_entity(host, answer.node.as_ref());
        let mut requested = Sums::default();
        for pod in answer.pods {
            self.pod(&mut blocks, &node, pod, &mut requested);
        }
        for part in answer.system {
            let key = Key::SysContainer(part.name.clone());
            self.container(&mut blocks, key, &node, Level::SysContainer, part);
        }
        if let Some(part) = answer.node {
            self.node(&mut blocks, node, part, &requested);
        }
        self.forget();
        blocks.into_blocks()
    }

    /// Number of entities that are remembered.
    #[must_use]
    pub fn entity_count(&self) -> usize {
        self.entities.len()
    }

    fn forget(&mut self) {
        let round = self.round;
        self.runs.retain(|_, run| run.round == round);
        self.entities.retain(|entity| self.seen.contains(&entity.id));
    }

    /// The run of a thing, as what the host says of it now leaves it.
    fn run(&mut self, key: Key, uid: &str, start_time_ms: i64) -> &mut Run {
        let run = self.runs.entry(key).or_default();
        run.round = self.round;
        run.identify(uid, start_time_ms);
        run
    }

    fn intern(&mut self, definition: Definition) -> Arc<Entity> {
        let entity = self.entities.intern(definition);
        self.seen.insert(entity.id);
        entity
    }

    /// One pod: its containers first, then their sum with what is measured of the pod itself.
    fn pod(
        &mut self,
        blocks: &mut Blocks<'_>,
        node: &Arc<Entity>,
        pod: PodPart,
        requested: &mut Sums,
    ) {
        let PodPart { name, itself, containers } = pod;
        let entity = self.pod_entity(node, &name, itself.as_ref());
        let mut sums = Sums::default();
        let mut newest_ms = i64::MIN;
        for part in containers {
            let key =
                Key::PodContainer(name.namespace.clone(), name.name.clone(), part.name.clone());
            let sample = self.container(blocks, key, &entity, Level::PodContainer, part);
            if let Some(sample) = sample {
                newest_ms = newest_ms.max(sample.time_ms);
                sums.add(sample);
                requested.add_requests(sample);
            }
        }
        let mut row = PodRow::default();
        if let Some(part) = itself {
            newest_ms = newest_ms.max(part.time_ms);
            self.measure_pod(&mut row, blocks, &name, part);
        }
        row.add_sums(sums);
        self.push_pod(blocks, name, entity, newest_ms, row);
    }

    fn pod_entity(
        &mut self,
        node: &Arc<Entity>,
        name: &PodName,
        itself: Option<&Part>,
    ) -> Arc<Entity> {
        let key = Key::Pod(name.namespace.clone(), name.name.clone());
        let run = self.run(key, &name.uid, itself.map_or(0, |part| part.start_time_ms));
        let (uid, start_time_ms) = (run.uid.clone(), run.start_time_ms);
        let known = itself.into_iter().flat_map(|part| part.labels.iter());
        let labels = known.chain([(tag::NAMESPACE_NAME, name.namespace.as_str())]).collect();
        self.intern(Definition {
            parent: Some(Arc::clone(node)),
            level: Level::Pod,
            name: name.name.clone(),
            uid,
            start_time_ms,
            labels,
        })
    }

    /// The fields that are measured of the pod itself. Where its sample is repeated, gauges stand
    /// and counters have no value.
    fn measure_pod(
        &mut self,
        row: &mut PodRow,
        blocks: &mut Blocks<'_>,
        name: &PodName,
        part: Part,
    ) {
        let key = Key::PodItself(name.namespace.clone(), name.name.clone());
        let run = self.run(key, &name.uid, part.start_time_ms);
        let is_new = run.observe(blocks.layouts(), Level::Pod, part.time_ms, part.values);
        let Some(sample) = run.newest() else { return };
        if is_new {
            row.interval_ms = Some(sample.interval_ms);
        }
        for (index, field) in sample.layout.measured().iter().enumerate() {
            let is_counter = field.metric.kind() == Kind::Cumulative;
            let cell = if is_new || !is_counter { sample.cells[index] } else { Cell::ABSENT };
            row.fields.push(field.clone());
            row.cells.push(cell);
            if is_counter {
                row.increases.push(if is_new { sample.increase(index) } else { Cell::ABSENT });
            }
        }
    }

    fn push_pod(
        &mut self,
        blocks: &mut Blocks<'_>,
        name: PodName,
        entity: Arc<Entity>,
        time_ms: i64,
        row: PodRow,
    ) {
        let Some(run) = self.runs.get_mut(&Key::Pod(name.namespace, name.name)) else { return };
        let Some(since_before_ms) = run.step(time_ms) else { return };
        if row.fields.is_empty() {
            return;
        }
        let layout = blocks.layout(run.row_layout.as_ref(), &row.fields);
        run.row_layout = Some(Arc::clone(&layout));
        let interval_ms = row.interval_ms.unwrap_or(since_before_ms);
        let head = RowHead { entity, time_ms, interval_ms };
        blocks.push(layout, head, &row.cells, &row.increases);
    }

    /// A container's row, where its sample is new; and its newest sample, new or repeated.
    fn container(
        &mut self,
        blocks: &mut Blocks<'_>,
        key: Key,
        parent: &Arc<Entity>,
        level: Level,
        part: Part,
    ) -> Option<&Sample> {
        if self.runs.get(&key).is_some_and(|run| run.round == self.round) {
            return None; // named twice in one answer
        }
        let run = self.run(key.clone(), &part.uid, part.start_time_ms);
        let (uid, start_time_ms) = (run.uid.clone(), run.start_time_ms);
        let entity = self.intern(Definition {
            parent: Some(Arc::clone(parent)),
            level,
            name: part.name,
            uid,
            start_time_ms,
            labels: part.labels,
        });
        let run = self.runs.get_mut(&key)?;
        let is_new = run.observe(blocks.layouts(), level, part.time_ms, part.values);
        let sample = run.newest()?;
        if is_new {
            let layout = Arc::clone(&sample.layout);
            blocks.push(layout, sample.head(entity), &sample.cells, &sample.increases);
        }
        Some(sample)
    }
}

/// A pod's row in the making.
#[derive(Default)]
struct PodRow {
    fields: Vec<Field>,
    cells: Vec<Cell>,
    increases: Vec<Cell>,
    /// Of the sample that was taken of the pod itself.
    interval_ms: Option<u32>,
}

impl PodRow {
    /// Adds the sums, less those of what was measured of the pod itself.
    fn add_sums(&mut self, sums: Sums) {
        let measured = self.fields.len();
        for sum in sums.into_iter() {
            if self.fields[..measured].contains(&sum.field) {
                continue;
            }
            if sum.field.metric.kind() == Kind::Cumulative {
                self.increases.push(sum.increase());
            }
            self.cells.push(sum.value());
            self.fields.push(sum.field);
        }
    }
}
