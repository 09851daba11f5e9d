//! The things on a host, and how readings find theirs.
//!
//! Readings mostly come as in the poll before: the subject is the same `Arc`, and its thing is the
//! one after the thing before. Where they come in another order, a thing is found by the address of
//! its subject, and where the subject is a new value, by its names. Things lie by pod, so that one
//! poll walks over memory in order.

use std::sync::Arc;

use heapster_shared::entity::Entity;

use super::{
    names::{Names, Owner},
    pod::Pod,
    run::Run,
};
use crate::source::{Readings, Subject};

/// In no poll under way.
const UNREAD: u32 = u32::MAX;

/// What is remembered of a thing: a container, or what is measured of a pod as a whole.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) subject: Arc<Subject>,
    /// Of a container; a pod's is with the pod.
    pub(super) entity: Option<Arc<Entity>>,
    pub(super) run: Run,
    /// The first start time given for this run; 0 for none.
    pub(super) start_time_ms: i64,
    pub(super) owner: Owner,
    /// It is what is measured of a pod as a whole.
    pub(super) is_pod: bool,
    /// The subject is another one than when the entity was made.
    pub(super) is_changed: bool,
    /// Index of its reading in this poll.
    reading: u32,
}

/// The things on a host, its own reading apart.
#[derive(Debug, Default)]
pub(super) struct Things {
    /// In the order of their owners.
    pub(super) things: Vec<Thing>,
    pub(super) pods: Vec<Pod>,
    /// Places of things, by the address of the subject, which its thing holds.
    by_address: Vec<u32>,
}

impl Thing {
    fn new(subject: &Arc<Subject>, owner: Owner) -> Self {
        Self {
            subject: Arc::clone(subject),
            entity: None,
            run: Run::default(),
            start_time_ms: 0,
            owner,
            is_pod: matches!(**subject, Subject::Pod { .. }),
            is_changed: true,
            reading: UNREAD,
        }
    }

    /// Index of its reading in this poll.
    pub(super) const fn reading(&self) -> usize {
        self.reading as usize
    }

    /// Index of its reading, which is taken by this.
    pub(super) fn take_reading(&mut self) -> usize {
        std::mem::replace(&mut self.reading, UNREAD) as usize
    }
}

impl Things {
    /// Gives each reading to its thing, and forgets the things that have none. What is named twice
    /// counts once. The host's own reading is returned, by its index.
    pub(super) fn take(&mut self, readings: &Readings) -> Option<usize> {
        let before = self.things.len();
        let (mut node, mut expected, mut read, mut renewed) = (None, 0, 0, false);
        let mut names = None;
        for (index, (reading, _)) in readings.iter().enumerate() {
            let subject = &reading.subject;
            let place = match self.known(expected, subject) {
                Some(place) => place,
                None if matches!(**subject, Subject::Node { .. }) => {
                    node.get_or_insert(index);
                    continue;
                }
                None => {
                    renewed = true;
                    let names = names.get_or_insert_with(|| Names::new(&self.things, &self.pods));
                    self.by_name(names, subject)
                }
            };
            expected = place + 1;
            read += usize::from(self.give(place, index));
        }
        let is_gone = read < self.things.len();
        if is_gone || before < self.things.len() {
            self.settle();
        }
        if is_gone || renewed {
            self.index();
        }
        node
    }

    /// The thing of this very subject; mostly it is the expected one.
    fn known(&self, expected: usize, subject: &Arc<Subject>) -> Option<usize> {
        let is_its = |place: &usize| {
            self.things.get(*place).is_some_and(|thing| Arc::ptr_eq(&thing.subject, subject))
        };
        Some(expected).filter(is_its).or_else(|| {
            let wanted = Arc::as_ptr(subject).addr();
            let found = self.by_address.binary_search_by_key(&wanted, |place| self.address(*place));
            found.ok().map(|found| self.by_address[found] as usize).filter(is_its)
        })
    }

    /// The thing of the same names, which takes over the subject; a new one where there is none.
    fn by_name(&mut self, names: &mut Names, subject: &Arc<Subject>) -> usize {
        if let Some(place) = names.thing(&self.things, subject) {
            let thing = &mut self.things[place];
            // A second reading of this poll is left out, and its subject with it.
            if thing.reading == UNREAD {
                thing.subject = Arc::clone(subject);
                thing.is_changed = true;
                self.pod_changed(place);
            }
            return place;
        }
        let owner = match names.pod(&self.pods, subject) {
            Some(Some(pod)) => Owner::Pod(pod),
            Some(None) => {
                self.pods.push(Pod::new(subject));
                let pod = self.pods.len() - 1;
                names.add_pod(&self.pods, pod);
                Owner::Pod(pod as u32)
            }
            None => Owner::Host,
        };
        let place = self.things.len();
        self.things.push(Thing::new(subject, owner));
        names.add_thing(&self.things, place);
        self.pod_changed(place);
        place
    }

    fn pod_changed(&mut self, place: usize) {
        if let Owner::Pod(pod) = self.things[place].owner {
            self.pods[pod as usize].is_changed = true;
        }
    }

    /// Whether the thing had none before.
    fn give(&mut self, place: usize, reading: usize) -> bool {
        let thing = &mut self.things[place];
        let is_first = thing.reading == UNREAD;
        if is_first {
            thing.reading = reading as u32;
        }
        is_first
    }

    /// Forgets what was not read, and puts what is new to its pod.
    fn settle(&mut self) {
        let pods = &mut self.pods;
        pods.iter_mut().for_each(|pod| pod.things = 0..0);
        self.things.retain(|thing| {
            let is_read = thing.reading != UNREAD;
            if let Owner::Pod(pod) = thing.owner {
                let pod = &mut pods[pod as usize];
                pod.things.end += usize::from(is_read);
                pod.is_changed |= !is_read;
            }
            is_read
        });
        self.drop_empty_pods();
        self.things.sort_by_key(|thing| thing.owner);
        let mut first = 0;
        for pod in &mut self.pods {
            pod.things = first..first + pod.things.len();
            first = pod.things.end;
        }
        self.things.shrink_to_fit();
        self.pods.shrink_to_fit();
    }

    fn drop_empty_pods(&mut self) {
        let mut kept = 0;
        let number = |pod: &Pod| {
            kept += u32::from(!pod.things.is_empty());
            kept
        };
        let numbers: Vec<u32> = self.pods.iter().map(number).collect();
        for thing in &mut self.things {
            if let Owner::Pod(pod) = &mut thing.owner {
                *pod = numbers[*pod as usize] - 1;
            }
        }
        self.pods.retain(|pod| !pod.things.is_empty());
    }

    fn index(&mut self) {
        let mut by_address: Vec<u32> = (0..self.things.len() as u32).collect();
        by_address.sort_unstable_by_key(|place| self.address(*place));
        self.by_address = by_address;
    }

    /// Of the subject of the thing at this place; 0 where there is none.
    fn address(&self, place: u32) -> usize {
        self.things.get(place as usize).map_or(0, |thing| Arc::as_ptr(&thing.subject).addr())
    }
}
