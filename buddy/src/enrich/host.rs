//! What is remembered of a host, so that what did not change comes out as it did before.

use std::{collections::BTreeMap, sync::Arc};

use heapster_shared::row::Cell;

use super::{facts::Basis, layouts::Widened, reserved::NodeCells};
use crate::{
    kubernetes::{ContainerSpec, PodInfo},
    source::{Readings, Subject},
};

/// What is remembered of one host.
#[derive(Debug)]
pub struct HostMemory {
    pub(super) basis: Basis,
    pub(super) node_cells: NodeCells,
    pub(super) seen: Seen,
}

/// What its source reads.
#[derive(Default, Debug)]
pub(super) struct Seen {
    /// In the order of the readings in which something last changed.
    pub(super) things: Vec<Thing>,
    /// Places of things, by the address of the subject that the source gave.
    by_address: Vec<u32>,
    pub(super) pods: Vec<UnreadPod>,
}

/// A thing that the source reads, and what it is made.
#[derive(Debug)]
pub(super) struct Thing {
    /// Held, so that its address is not used again.
    pub(super) given: Arc<Subject>,
    pub(super) made: Arc<Subject>,
    pub(super) adds: Adds,
    pub(super) widened: Option<Arc<Widened>>,
    /// Place among [`Seen::pods`]; none has [`NOWHERE`].
    pub(super) unread_pod: u32,
}

/// In no list.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What is added to a thing's cells.
#[derive(Debug)]
pub(super) enum Adds {
    Nothing,
    ToContainer {
        spec: Arc<ContainerSpec>,
        restarts: u32,
    },
    /// [`HostMemory::node_cells`].
    ToNode,
}

/// A pod of which the source reads containers, and nothing as a whole: it gets a reading without
/// any field, for its labels.
#[derive(Debug)]
pub(super) struct UnreadPod {
    pub(super) subject: Arc<Subject>,
    /// The newest of its containers' in this poll; `None` where there was none yet.
    pub(super) time_ms: Option<i64>,
}

impl Default for HostMemory {
    fn default() -> Self {
        Self {
            basis: Basis::default(),
            node_cells: [Cell::ABSENT; super::layouts::OF_NODE.len()],
            seen: Seen::default(),
        }
    }
}

impl Seen {
    /// Forgets all things, and gives them by the address of what they were made from.
    pub(super) fn take_things(&mut self) -> BTreeMap<usize, Thing> {
        self.by_address.clear();
        let things = std::mem::take(&mut self.things);
        things.into_iter().map(|thing| (address(&thing.given), thing)).collect()
    }

    /// Finds the thing of each reading, made where it is new; says whether they are others than in
    /// the poll before.
    pub(super) fn find(
        &mut self,
        readings: &Readings,
        places: &mut Vec<u32>,
        mut make: impl FnMut(&Arc<Subject>) -> Thing,
    ) -> bool {
        let before = self.things.len();
        places.clear();
        let mut expected = 0;
        for (reading, _) in readings.iter() {
            let place = self.known(expected, &reading.subject).unwrap_or_else(|| {
                self.things.push(make(&reading.subject));
                self.things.len() - 1
            });
            places.push(place as u32);
            expected = place + 1;
        }
        self.things.len() > before || places.len() < before
    }

    fn known(&self, expected: usize, subject: &Arc<Subject>) -> Option<usize> {
        if self.things.get(expected).is_some_and(|thing| Arc::ptr_eq(&thing.given, subject)) {
            return Some(expected);
        }
        let of = |place: &u32| address(&self.things[*place as usize].given);
        let found = self.by_address.binary_search_by_key(&address(subject), of).ok()?;
        Some(self.by_address[found] as usize)
    }

    /// Forgets what was not read, and takes over the order of the readings.
    pub(super) fn settle(&mut self, places: &[u32]) {
        let mut turns = vec![NOWHERE; self.things.len()];
        for (turn, place) in places.iter().enumerate().rev() {
            turns[*place as usize] = turn as u32;
        }
        let things = std::mem::take(&mut self.things);
        let mut read: Vec<(u32, Thing)> =
            turns.into_iter().zip(things).filter(|(turn, _)| *turn != NOWHERE).collect();
        read.sort_unstable_by_key(|(turn, _)| *turn);
        let mut things = Vec::with_capacity(read.len());
        things.extend(read.into_iter().map(|(_, thing)| thing));
        self.things = things;
        let mut by_address: Vec<u32> = (0..self.things.len() as u32).collect();
        by_address.sort_unstable_by_key(|place| address(&self.things[*place as usize].given));
        self.by_address = by_address;
    }
}

impl Adds {
    pub(super) fn to_container(pod: &PodInfo, place: Option<usize>) -> Self {
        let container = place.and_then(|place| pod.containers.get(place));
        container.map_or(Self::Nothing, |container| Self::ToContainer {
            spec: Arc::clone(&container.spec),
            restarts: container.restarts,
        })
    }
}

/// One a metric of [`super::layouts::OF_CONTAINER`]. What is not limited has the limit 0, as in the
/// ancestor.
pub(super) fn container_cells(spec: &ContainerSpec, restarts: u32) -> [Cell; 5] {
    let cell = |amount: Option<i64>| Cell::int(amount.unwrap_or(0));
    [
        cell(spec.requests.cpu_millicores),
        cell(spec.limits.cpu_millicores),
        cell(spec.requests.memory_bytes),
        cell(spec.limits.memory_bytes),
        Cell::int(i64::from(restarts)),
    ]
}

fn address(subject: &Arc<Subject>) -> usize {
    Arc::as_ptr(subject).addr()
}
