//! Enrichment: joins what a host measured with what its cluster manager knows of the node and the
//! pods on it. Pure: no clock, no task, no I/O.
//!
//! | thing | labels | values |
//! |---|---|---|
//! | node | `host_id`, `hostname`, `labels` | capacity, allocatable, and what is requested of it |
//! | pod | `namespace_id`, `labels`, `owner_kind`, `owner_name` | none of its own: it is a sum |
//! | container of a pod | `container_base_image` | requests, limits, restarts |
//!
//! What the host names and the cluster manager does not know yet goes out as it is; a name that by
//! now is another pod's (its uid tells) is not known. Nothing is made up: a pod or container that
//! the host does not name has no row. A container that the host knows by its id alone, from its
//! control group, becomes the pod's that the cluster manager says it is.
//!
//! Readings that follow from the same `Arc`s and the same state of the node and its pods have the
//! same `Arc`s as before, so that behind this, too, what did not change costs its numbers only.

mod facts;
mod host;
mod label_rules;
mod layouts;
mod reserved;
mod subjects;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use heapster_shared::{Map, Set, entity::Labels, host::Host, row::Cell, schema::Layout};

use self::{
    facts::{Basis, Facts, PodIndex},
    host::{Adds, NOWHERE, Seen, Thing, UnreadPod, container_cells},
    layouts::{Added, Widened, WidenedLayouts},
    reserved::node_cells,
    subjects::{GivenContainer, Subjects},
};
use crate::{
    kubernetes::{ClusterMetadata, PodInfo},
    source::{PodName, Readings, Subject},
};
pub use host::HostMemory;
pub use label_rules::LabelRules;

/// What is known of the cluster, once there is a way to ask.
pub type KnownCluster = Arc<OnceLock<Arc<ClusterMetadata>>>;

/// Enriches the readings of many hosts, one after the other.
#[derive(Debug)]
pub struct Enricher {
    cluster: KnownCluster,
    subjects: Subjects,
    layouts: WidenedLayouts,
    /// Places of things in the order of the readings; here, so that the memory is used again.
    places: Vec<u32>,
    row: Vec<Cell>,
}

/// What new things are made from.
struct Making<'m, 'p> {
    subjects: &'m mut Subjects,
    facts: &'m Facts<'m>,
    basis: &'m Basis,
    index: &'m PodIndex<'p>,
    /// What things were made before, by the address of what they were made from.
    before: BTreeMap<usize, Thing>,
}

impl Enricher {
    /// An enricher that knows of the cluster whatever is in there at each call.
    #[must_use]
    pub fn new(cluster: KnownCluster, rules: LabelRules) -> Self {
        Self {
            cluster,
            subjects: Subjects::new(rules),
            layouts: WidenedLayouts::default(),
            places: Vec::new(),
            row: Vec::new(),
        }
    }

    /// The readings of a host with all that is known, in the same order, and after them one without
    /// fields for each pod that had none.
    pub fn enrich(
        &mut self,
        memory: &mut HostMemory,
        host: &Arc<Host>,
        readings: &Readings,
    ) -> Readings {
        let cluster = Arc::clone(&self.cluster);
        let facts = Facts::now(cluster.get().map(|cluster| &**cluster), host);
        let mut before = BTreeMap::new();
        if !facts.are(&memory.basis) {
            before = memory.seen.take_things();
            memory.basis = facts.basis();
            memory.node_cells = node_cells(facts.node.as_deref(), facts.pods());
        }
        let is_changed = self.find(memory, &facts, before, readings);
        let enriched = self.emit(memory, readings);
        if is_changed {
            memory.seen.settle(&self.places);
        }
        enriched
    }

    /// Finds the thing of each reading; says whether they are others than in the poll before.
    fn find(
        &mut self,
        memory: &mut HostMemory,
        facts: &Facts<'_>,
        before: BTreeMap<usize, Thing>,
        readings: &Readings,
    ) -> bool {
        let HostMemory { basis, seen, .. } = memory;
        let index = PodIndex::new(facts);
        let mut making =
            Making { subjects: &mut self.subjects, facts, basis, index: &index, before };
        let is_changed = seen.find(readings, &mut self.places, |given| making.thing(given));
        if is_changed {
            making.unread_pods(seen, &self.places);
        }
        is_changed
    }

    /// Forgets what no host uses any more.
    pub fn prune(&mut self) {
        self.layouts.prune();
        self.subjects.prune();
    }

    /// Number of layouts and labels that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layouts.len() + self.subjects.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn emit(&mut self, memory: &mut HostMemory, readings: &Readings) -> Readings {
        let HostMemory { seen: Seen { things, pods, .. }, node_cells, .. } = memory;
        let mut enriched = readings.with_room_beyond(pods.len(), 5 * things.len() + 8);
        for ((reading, cells), place) in readings.iter().zip(&self.places) {
            let Some(thing) = things.get_mut(*place as usize) else { continue };
            if let Some(pod) = pods.get_mut(thing.unread_pod as usize) {
                pod.time_ms = pod.time_ms.max(Some(reading.time_ms));
            }
            let times = (reading.time_ms, reading.start_time_ms);
            let subject = Arc::clone(&thing.made);
            let (layout, row) = (&reading.layout, &mut self.row);
            match &thing.adds {
                Adds::Nothing => enriched.push(subject, Arc::clone(layout), times, cells),
                Adds::ToContainer { spec, restarts } => {
                    let added = Added::ToContainer;
                    let widened = widened(&mut thing.widened, &mut self.layouts, layout, added);
                    widened.fill(row, cells, container_cells(spec, *restarts).into_iter());
                    enriched.push(subject, Arc::clone(&widened.layout), times, row);
                }
                Adds::ToNode => {
                    let added = Added::to_node(node_cells);
                    let widened = widened(&mut thing.widened, &mut self.layouts, layout, added);
                    let known = node_cells.iter().filter(|cell| !cell.is_absent());
                    widened.fill(row, cells, known.copied());
                    enriched.push(subject, Arc::clone(&widened.layout), times, row);
                }
            }
            enriched.give_cpu_nanocores(reading.given_cpu_nanocores);
        }
        for pod in pods {
            let Some(time_ms) = pod.time_ms.take() else { continue };
            enriched.push(Arc::clone(&pod.subject), self.layouts.empty(), (time_ms, 0), &[]);
        }
        enriched
    }
}

/// The widened layout of the poll before, where it still fits.
fn widened<'t>(
    known: &'t mut Option<Arc<Widened>>,
    layouts: &mut WidenedLayouts,
    given: &Arc<Layout>,
    added: Added,
) -> &'t Widened {
    if known.as_ref().is_some_and(|known| !known.is_for(given, added)) {
        *known = None;
    }
    known.get_or_insert_with(|| layouts.widen(given, added))
}

impl Making<'_, '_> {
    fn thing(&mut self, given: &Arc<Subject>) -> Thing {
        let (made, adds) = match &**given {
            Subject::Node { labels } => {
                (Some(self.subjects.node(labels, self.facts)), Adds::ToNode)
            }
            Subject::Pod { pod, labels } => {
                let known = self.index.pod(pod);
                (known.map(|known| self.pod((pod, labels), known)), Adds::Nothing)
            }
            Subject::PodContainer { pod, name, uid, labels } => {
                let known = self.index.pod(pod).map(|pod| {
                    let place = pod.containers.iter().position(|known| known.spec.name == name);
                    (pod, place)
                });
                self.container(known, &GivenContainer { pod: Some(pod), name, uid, labels })
            }
            Subject::SysContainer { uid, labels, .. } => {
                let known = self.index.container(uid);
                let name = known.map_or("", |(pod, place)| &pod.containers[place].spec.name);
                let known = known.map(|(pod, place)| (pod, Some(place)));
                self.container(known, &GivenContainer { pod: None, name, uid, labels })
            }
        };
        let made = made.map_or_else(|| Arc::clone(given), |made| self.same(given, made));
        Thing { given: Arc::clone(given), made, adds, widened: None, unread_pod: NOWHERE }
    }

    fn pod(&mut self, given: (&Arc<PodName>, &Labels), pod: &PodInfo) -> Subject {
        self.subjects.pod(given, pod, self.basis.namespace_uid(&pod.namespace))
    }

    fn container(
        &mut self,
        known: Option<(&Arc<PodInfo>, Option<usize>)>,
        given: &GivenContainer<'_>,
    ) -> (Option<Subject>, Adds) {
        let Some((pod, place)) = known else { return (None, Adds::Nothing) };
        let spec = place.and_then(|place| pod.containers.get(place)).map(|known| &*known.spec);
        (Some(self.subjects.container(given, pod, spec)), Adds::to_container(pod, place))
    }

    /// The subject; what is equal to the one before, or to the one given, is that very one.
    fn same(&self, given: &Arc<Subject>, made: Subject) -> Arc<Subject> {
        if made == **given {
            return Arc::clone(given);
        }
        let before = self.before.get(&Arc::as_ptr(given).addr()).map(|thing| &thing.made);
        before.filter(|before| ***before == made).cloned().unwrap_or_else(|| Arc::new(made))
    }

    /// Finds the pods that are known and have containers among the things read, and no reading of
    /// their own.
    fn unread_pods(&mut self, seen: &mut Seen, places: &[u32]) {
        let pod_of = |thing: &Thing| match &*thing.made {
            Subject::Pod { pod, .. } => Some((self.index.pod(pod)?, Arc::clone(pod), true)),
            Subject::PodContainer { pod, .. } => {
                Some((self.index.pod(pod)?, Arc::clone(pod), false))
            }
            _ => None,
        };
        let pods: Vec<_> =
            places.iter().map(|place| pod_of(&seen.things[*place as usize])).collect();
        let read = pods.iter().flatten().filter(|(_, _, is_whole)| *is_whole);
        let read: Set<*const PodInfo> = read.map(|(pod, ..)| Arc::as_ptr(pod)).collect();
        let before = std::mem::take(&mut seen.pods);
        let mut numbers: Map<*const PodInfo, u32> = Map::default();
        for (place, pod) in places.iter().zip(pods) {
            let unread = pod.filter(|(pod, ..)| !read.contains(&Arc::as_ptr(pod)));
            let number = unread.map(|(pod, name, _)| {
                *numbers.entry(Arc::as_ptr(pod)).or_insert_with(|| {
                    let made = self.pod((&name, &Labels::default()), pod);
                    let known = before.iter().find(|known| *known.subject == made);
                    let subject =
                        known.map_or_else(|| Arc::new(made), |known| Arc::clone(&known.subject));
                    seen.pods.push(UnreadPod { subject, time_ms: None });
                    seen.pods.len() as u32 - 1
                })
            });
            seen.things[*place as usize].unread_pod = number.unwrap_or(NOWHERE);
        }
    }
}
