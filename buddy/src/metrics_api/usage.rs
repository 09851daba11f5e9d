//! What the containers of a node use, worked out from one poll and the poll before. Pure.
//!
//! The CPU rate, by the first rule that applies:
//!
//! 1. the increase between the two newest samples over the time between them: `window` is that time;
//! 2. the rate that the kubelet itself gave with the sample. It does not say over which time;
//!    `window` is then [`GIVEN_WINDOW_MS`], the longest that kubelets use;
//! 3. for what was started a short while ago, the CPU time since then: `window` is that while;
//! 4. otherwise there is no rate yet, and the pod is left out until there is: an autoscaler would take
//!    a pod with a part of its containers for a smaller one.
//!
//! `timestamp` is always the newest sample's own.

use std::{ops::Range, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{
    Map, Set,
    entity::{Entity, EntityId, Level},
    host::Host,
    row::{Block, Row},
    schema::{Layout, table},
};

use crate::source::{Readings, Subject};

/// A kubelet's own rates are over 10 to 30 seconds; metrics-server took them for the latter.
pub(super) const GIVEN_WINDOW_MS: u32 = 30_000;
/// Ages at which the average since the start is as good as a rate.
const YOUNG_MS: Range<i64> = 10_000..60_000;

/// What something used lately.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Usage {
    /// Billionths of a core.
    pub(super) cpu_nanocores: u64,
    /// The working set.
    pub(super) memory_bytes: u64,
    /// When the newest sample was taken.
    pub(super) time_ms: i64,
    /// The time over which the CPU was used; 0 where there is no rate yet.
    pub(super) window_ms: u32,
}

/// A container: 48 bytes beside its names, which belong to the pipeline.
#[derive(Clone, Debug)]
pub(super) struct ContainerUsage {
    pub(super) entity: Arc<Entity>,
    pub(super) usage: Usage,
    /// When its sample came here.
    taken_ms: i64,
}

/// A pod, and where its containers are.
#[derive(Clone, Debug)]
pub(super) struct PodUsage {
    pub(super) entity: Arc<Entity>,
    first: u32,
    count: u32,
}

/// A node and everything on it.
#[derive(Clone, Debug)]
pub(super) struct NodeUsage {
    pub(super) name: CompactString,
    node: Option<(Usage, i64)>,
    /// Sorted by namespace and name.
    pub(super) pods: Arc<[PodUsage]>,
    containers: Box<[ContainerUsage]>,
    /// After this it says nothing any more.
    fresh_until_ms: i64,
}

/// When a poll was answered, and for how long what it said stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) now_ms: i64,
    pub(super) keep_ms: i64,
}

/// Which container of a host: namespace, pod, name.
type Name<'a> = (&'a str, &'a str, &'a str);

impl PodUsage {
    /// Namespace and name.
    pub(super) fn key(&self) -> (&str, &str) {
        (self.entity.namespace().unwrap_or_default(), &self.entity.name)
    }
}

impl NodeUsage {
    /// What is known after a poll. Things whose samples the host repeated stay as they were.
    pub(super) fn after(
        before: Option<&Self>,
        host: &Host,
        (readings, blocks): (&Readings, &[Block]),
        taken: Taken,
    ) -> Self {
        let mut given = Given::new(readings);
        let (mut node, mut containers) = (None, Vec::new());
        for block in blocks {
            let columns = Columns::of(block.layout());
            for row in block.rows() {
                match row.head.entity.level {
                    Level::Node => {
                        node = columns.usage(row, || given.node()).map(|it| (it, taken.now_ms))
                    }
                    Level::PodContainer => {
                        let usage = columns.usage(row, || given.container(&row.head.entity));
                        containers.extend(usage.map(|usage| ContainerUsage {
                            entity: Arc::clone(&row.head.entity),
                            usage,
                            taken_ms: taken.now_ms,
                        }));
                    }
                    _ => {}
                }
            }
        }
        if let Some(before) = before {
            let is_fresh = |at_ms: i64| taken.now_ms - at_ms <= taken.keep_ms;
            node = node.or(before.node.filter(|(_, at_ms)| is_fresh(*at_ms)));
            before.carry_over(readings, is_fresh, &mut containers);
        }
        sort_by_pod(&mut containers);
        Self {
            name: host.name.clone(),
            node,
            pods: pods_of(before, &containers),
            containers: containers.into(),
            fresh_until_ms: taken.now_ms + taken.keep_ms,
        }
    }

    /// Adds what the poll named and gave no new sample of.
    fn carry_over(
        &self,
        readings: &Readings,
        is_fresh: impl Fn(i64) -> bool,
        containers: &mut Vec<ContainerUsage>,
    ) {
        let names = || readings.iter().filter_map(|(reading, _)| name_of(&reading.subject));
        if names().count() <= containers.len() {
            return;
        }
        let named: Set<Name<'_>> = names().collect();
        let renewed: Set<EntityId> = containers.iter().map(|it| it.entity.id).collect();
        let kept = self.containers.iter().filter(|container| {
            !renewed.contains(&container.entity.id)
                && is_fresh(container.taken_ms)
                && named_of(&container.entity).is_some_and(|name| named.contains(&name))
        });
        containers.extend(kept.cloned());
    }

    /// Whether its poll is not too long ago.
    pub(super) const fn is_fresh(&self, now_ms: i64) -> bool {
        now_ms <= self.fresh_until_ms
    }

    /// What the node as a whole uses, where that is known.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.node.map(|(usage, _)| usage).filter(|usage| usage.window_ms > 0)
    }

    /// The containers of a pod, where something is known of each of them.
    pub(super) fn containers(&self, pod: &PodUsage) -> Option<&[ContainerUsage]> {
        let (first, count) = (pod.first as usize, pod.count as usize);
        let containers = self.containers.get(first..first + count)?;
        containers.iter().all(|container| container.usage.window_ms > 0).then_some(containers)
    }

    /// The pod of this namespace and name.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<usize> {
        self.pods.binary_search_by(|pod| pod.key().cmp(&(namespace, name))).ok()
    }

    /// Memory that it takes for each container, names not counted.
    #[cfg(test)]
    fn bytes_per_container(&self) -> usize {
        (size_of::<Self>() + size_of_val(&*self.pods) + size_of_val(&*self.containers))
            / self.containers.len()
    }
}

fn pod_of(container: &ContainerUsage) -> Option<EntityId> {
    container.entity.parent.as_ref().map(|pod| pod.id)
}

/// Puts the containers of a pod together.
fn sort_by_pod(containers: &mut [ContainerUsage]) {
    containers.sort_by_key(|container| (pod_of(container), container.entity.id));
}

/// The pods of these containers, in order: mostly those of the poll before.
fn pods_of(before: Option<&NodeUsage>, containers: &[ContainerUsage]) -> Arc<[PodUsage]> {
    if let Some(before) = before.filter(|before| are_same(&before.containers, containers)) {
        return Arc::clone(&before.pods);
    }
    let (mut pods, mut first) = (Vec::new(), 0_u32);
    for of_pod in containers.chunk_by(|a, b| pod_of(a) == pod_of(b)) {
        let count = of_pod.len() as u32;
        if let Some(pod) = &of_pod[0].entity.parent {
            pods.push(PodUsage { entity: Arc::clone(pod), first, count });
        }
        first += count;
    }
    pods.sort_by(|a, b| a.key().cmp(&b.key()));
    pods.into()
}

/// Whether these are the same containers, with the same labels.
fn are_same(before: &[ContainerUsage], containers: &[ContainerUsage]) -> bool {
    before.len() == containers.len()
        && before.iter().zip(containers).all(|(one, other)| Arc::ptr_eq(&one.entity, &other.entity))
}

/// Where in a row the numbers are.
#[derive(Clone, Copy)]
struct Columns {
    /// Of the CPU time, among the cells and among the increases.
    cpu: Option<(usize, usize)>,
    memory: Option<usize>,
}

impl Columns {
    fn of(layout: &Layout) -> Self {
        let cpu = layout.index_of(table::CPU_USAGE.def()).and_then(|cell| {
            let increase = layout.counters().binary_search(&cell).ok()?;
            Some((cell, increase))
        });
        Self { cpu, memory: layout.index_of(table::MEMORY_WORKING_SET.def()) }
    }

    /// `None` for what gives no CPU or no memory: of that there is nothing to say.
    fn usage(self, row: Row<'_>, given: impl FnOnce() -> Option<u64>) -> Option<Usage> {
        let (cell, increase) = self.cpu?;
        let memory = row.cells[self.memory?].as_int()?;
        let total = row.cells[cell].as_int()?;
        let measured = || rate(row.increases[increase].as_int()?, row.head.interval_ms);
        let young = || {
            let start_ms = row.head.entity.start_time_ms;
            let age_ms = row.head.time_ms - start_ms;
            let is_young = start_ms > 0 && YOUNG_MS.contains(&age_ms);
            is_young.then(|| rate(total, u32::try_from(age_ms).ok()?))?
        };
        let given = || given().map(|nanocores| (nanocores, GIVEN_WINDOW_MS));
        let (cpu_nanocores, window_ms) = measured().or_else(given).or_else(young).unwrap_or((0, 0));
        let memory_bytes = u64::try_from(memory).ok()?;
        Some(Usage { cpu_nanocores, memory_bytes, time_ms: row.head.time_ms, window_ms })
    }
}

/// Nanoseconds of CPU time in so many milliseconds, as billionths of a core, with the time.
fn rate(nanoseconds: i64, window_ms: u32) -> Option<(u64, u32)> {
    let nanoseconds = u128::try_from(nanoseconds).ok().filter(|_| window_ms > 0)?;
    let nanocores = nanoseconds * 1000 / u128::from(window_ms);
    Some((u64::try_from(nanocores).ok()?, window_ms))
}

/// The rates that the host itself gives, found by name when the first one is asked for.
struct Given<'a> {
    readings: &'a Readings,
    containers: Option<Map<Name<'a>, u64>>,
}

impl<'a> Given<'a> {
    const fn new(readings: &'a Readings) -> Self {
        Self { readings, containers: None }
    }

    fn node(&self) -> Option<u64> {
        self.readings.node()?.0.given_cpu_nanocores
    }

    fn container(&mut self, entity: &Entity) -> Option<u64> {
        let readings = self.readings;
        let containers = self.containers.get_or_insert_with(|| {
            let rates = readings.iter().filter_map(|(reading, _)| {
                Some((name_of(&reading.subject)?, reading.given_cpu_nanocores?))
            });
            rates.collect()
        });
        containers.get(&named_of(entity)?).copied()
    }
}

fn name_of(subject: &Subject) -> Option<Name<'_>> {
    match subject {
        Subject::PodContainer { pod, name, .. } => Some((&pod.namespace, &pod.name, name)),
        _ => None,
    }
}

fn named_of(container: &Entity) -> Option<Name<'_>> {
    let pod = container.parent.as_deref()?;
    Some((pod.namespace()?, &pod.name, &container.name))
}

#[cfg(test)]
mod tests;
