//! A pod: its entity, its containers, and its row.

use std::{ops::Range, sync::Arc};

use heapster_shared::{
    entity::{Definition, Entity, Labels, Level},
    row::RowHead,
    tag,
};

use super::{
    Poll,
    container::Whole,
    identity::{Identity, is_same_start},
    names::pod_of,
    pod_plan::{PodKey, PodPlan},
    recall::Known,
    run::{Clock, Order, Run, Seen, interval},
    things::Thing,
};
use crate::source::Subject;

/// What is remembered of a pod.
#[derive(Debug)]
pub(super) struct Pod {
    /// One that names it.
    subject: Arc<Subject>,
    entity: Option<Arc<Entity>>,
    start_time_ms: i64,
    plan: Option<Arc<PodPlan>>,
    row_time_ms: Option<i64>,
    clock: Clock,
    /// Where its things lie: its containers, and what is measured of it as a whole.
    pub(super) things: Range<usize>,
    /// Its things are others, or have other subjects, than when the entity was made.
    pub(super) is_changed: bool,
}

impl Pod {
    pub(super) fn new(subject: &Arc<Subject>) -> Self {
        Self {
            subject: Arc::clone(subject),
            entity: None,
            start_time_ms: 0,
            plan: None,
            row_time_ms: None,
            clock: Clock::default(),
            things: 0..0,
            is_changed: true,
        }
    }

    pub(super) const fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    pub(super) fn uid(&self) -> &str {
        self.entity.as_ref().map_or("", |entity| entity.uid.as_str())
    }

    pub(super) const fn start_time_ms(&self) -> i64 {
        self.start_time_ms
    }

    pub(super) const fn row_time_ms(&self) -> Option<i64> {
        self.row_time_ms
    }

    /// Takes in what was read of the pod: its containers first, then their sum with what is
    /// measured of the pod itself.
    pub(super) fn advance(&mut self, poll: &mut Poll<'_>, node: Whole<'_>, things: &mut [Thing]) {
        let is_new = self.identify(poll, node, things);
        let Some(entity) = self.entity.clone() else { return };
        let mut newest_ms = i64::MIN;
        let mut own_is_new = false;
        for thing in &mut *things {
            if thing.is_pod {
                let Some((reading, cells)) = poll.readings.get(thing.take_reading()) else {
                    continue;
                };
                let seen = thing.run.observe(poll.plans, Level::Pod, reading, cells);
                own_is_new = seen == Seen::New;
                newest_ms = newest_ms.max(reading.time_ms);
            } else {
                thing.container(poll, Whole { entity: &entity, is_new }, Level::PodContainer);
                let Some(sample) = thing.run.newest() else { continue };
                newest_ms = newest_ms.max(sample.time_ms);
                poll.requested.add(sample);
            }
        }
        self.row(poll, entity, newest_ms, things, own_is_new);
    }

    /// Makes the entity what the host says of the pod now; says whether it is another value.
    fn identify(&mut self, poll: &mut Poll<'_>, node: Whole<'_>, things: &mut [Thing]) -> bool {
        let own = things.iter().find(|thing| thing.is_pod);
        let reading = own.as_ref().and_then(|own| poll.readings.get(own.reading()));
        let start_ms = reading.map_or(0, |(reading, _)| reading.start_time_ms);
        if !self.is_changed && !node.is_new && is_same_start(self.start_time_ms, start_ms) {
            return false;
        }
        let labels = labels(&self.subject, own.as_ref().map(|own| &*own.subject));
        let uid_of = |thing: &Thing| pod_of(&thing.subject).map(|pod| pod.uid.clone());
        let uid = things.iter().filter_map(uid_of).find(|uid| !uid.is_empty()).unwrap_or_default();
        let recalled = poll.recalled.filter(|_| self.entity.is_none());
        let known = recalled.and_then(|all| all.thing(Level::Pod, Some(&*self.subject)));
        let known_uid = known.as_ref().map_or_else(|| self.uid(), Known::uid);
        let known_start_ms = known.as_ref().map_or(self.start_time_ms, Known::start_time_ms);
        let now = Identity::new((known_uid, known_start_ms), (&uid, start_ms));
        if let Some(known) = &known {
            self.row_time_ms = known.row_time_ms();
            let own = things.iter_mut().find(|thing| thing.is_pod);
            if let (Some(own), Some((reading, _))) = (own, reading) {
                own.run = known.run(poll.plans, reading.time_ms);
            }
        }
        if now.is_restarted {
            (self.row_time_ms, self.clock) = (None, Clock::default());
            let own = things.iter_mut().filter(|thing| thing.is_pod);
            own.for_each(|own| own.run = Run::default());
        }
        self.start_time_ms = now.start_time_ms;
        self.is_changed = false;
        let definition = Definition {
            parent: Some(Arc::clone(node.entity)),
            level: Level::Pod,
            name: pod_of(&self.subject).map(|pod| pod.name.clone()).unwrap_or_default(),
            uid: now.uid,
            start_time_ms: now.start_time_ms,
            labels: poll.plans.labels.share(labels),
        };
        poll.ids.renew(&mut self.entity, definition)
    }

    fn row(
        &mut self,
        poll: &mut Poll<'_>,
        entity: Arc<Entity>,
        time_ms: i64,
        things: &[Thing],
        own_is_new: bool,
    ) {
        let Some(since_before_ms) = self.step(time_ms) else { return };
        let own = things.iter().find(|thing| thing.is_pod).and_then(|own| own.run.newest());
        let containers = || things.iter().filter(|thing| !thing.is_pod).map(|thing| &thing.run);
        let plan = match self.plan.take() {
            Some(plan) if plan.is_for(own, containers()) => plan,
            _ => poll.plans.pod(PodKey::new(own, containers())),
        };
        let plan = self.plan.insert(plan);
        if plan.layout.measured().is_empty() {
            return;
        }
        let row = &mut poll.plans.row;
        plan.fill(row, own.map(|own| (own, own_is_new)), containers());
        let own_interval_ms = own.filter(|_| own_is_new).map(|own| own.interval_ms);
        let interval_ms = own_interval_ms.unwrap_or(since_before_ms);
        let head = RowHead { entity, time_ms, interval_ms };
        poll.blocks.push(&plan.layout, head, &row.cells, &row.increases);
    }

    /// The time from the row before to this one (0 for none); `None` where it is no later.
    fn step(&mut self, time_ms: i64) -> Option<u32> {
        let since = match self.row_time_ms {
            None => 0,
            Some(before_ms) => match self.clock.compare(time_ms, before_ms) {
                Order::Later => interval(before_ms, time_ms),
                Order::NotLater => return None,
                Order::SetBack => 0,
            },
        };
        self.row_time_ms = Some(time_ms);
        Some(since)
    }
}

/// The namespace, and what is known of the pod as a whole.
fn labels(named: &Subject, own: Option<&Subject>) -> Labels {
    let known = match own {
        Some(Subject::Pod { labels, .. }) => Some(labels),
        _ => None,
    };
    let namespace = pod_of(named).map(|pod| (tag::NAMESPACE_NAME, pod.namespace.as_str()));
    known.into_iter().flat_map(Labels::iter).chain(namespace).collect()
}
