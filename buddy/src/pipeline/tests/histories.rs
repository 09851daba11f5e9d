//! Random histories of a host, and the rows that the reference gives for them.

use std::{collections::BTreeMap, sync::Arc};

use heapster_shared::{
    entity::{EntityId, Labels},
    host::Host,
    row::{Block, Cell},
    schema::{CustomMetric, Field, Kind, Metric, ValueType, table},
};
use proptest::prelude::*;

use super::{
    reference::Reference,
    rows::{PlainRow, plain_rows},
};
use crate::{
    pipeline::{HostPipeline, Plans, RecalledHost},
    source::{Layouts, PlainReading, PodName, Readings, Subject},
};

/// The node, two pods, two containers of each, two containers of the host.
const THINGS: usize = 9;

/// What becomes of one thing from one poll to the next.
#[derive(Clone, Debug)]
struct Change {
    is_there: bool,
    /// To its own clock: a new sample, the same, one from the past, or a clock that was set back.
    time: Time,
    uid: usize,
    pod_uid: bool,
    start_ms: i64,
    labels: usize,
    fields: usize,
    grows_by: i64,
    absent: usize,
    is_named_twice: bool,
}

#[derive(Clone, Copy, Debug)]
enum Time {
    Later,
    Same,
    Past,
    SetBack,
}

#[derive(Clone, Debug)]
struct Step {
    changes: Vec<Change>,
    pod_uids: Vec<usize>,
    first: usize,
    is_reversed: bool,
    /// Every `Arc` is a new one, as from a source that remembers nothing.
    is_fresh: bool,
    relabels_host: bool,
}

/// Mostly the first of so many.
fn mostly(count: usize) -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(0), 1 => 0..count]
}

fn change() -> impl Strategy<Value = Change> {
    let time = prop_oneof![
        14 => Just(Time::Later),
        2 => Just(Time::Same),
        2 => Just(Time::Past),
        1 => Just(Time::SetBack),
    ];
    let start_ms =
        prop_oneof![8 => Just(50_000_i64), 1 => Just(51_000), 1 => Just(0), 1 => Just(90_000)];
    let grows_by = prop_oneof![9 => 0..5_000_000_000_i64, 1 => -3_000_000_000_i64..0];
    let who = (mostly(3), prop::bool::weighted(0.9), start_ms, mostly(3));
    let what = (mostly(FIELD_SETS), grows_by, prop_oneof![12 => Just(99_usize), 1 => 0..9_usize]);
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.05));
    (time, who, what, flags).prop_map(|(time, who, what, (is_there, is_named_twice))| {
        let (uid, pod_uid, start_ms, labels) = who;
        let (fields, grows_by, absent) = what;
        Change {
            is_there,
            time,
            uid,
            pod_uid,
            start_ms,
            labels,
            fields,
            grows_by,
            absent,
            is_named_twice,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let changes = proptest::collection::vec(change(), THINGS);
    let pod_uids = proptest::collection::vec(mostly(3), 2);
    let order = (0..THINGS, any::<bool>());
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.05));
    (changes, pod_uids, order, flags).prop_map(
        |(changes, pod_uids, (first, is_reversed), (is_fresh, relabels_host))| Step {
            changes,
            pod_uids,
            first,
            is_reversed,
            is_fresh,
            relabels_host,
        },
    )
}

const UIDS: [&str; 3] = ["u0", "u1", ""];
const FIELD_SETS: usize = 5;

fn custom(kind: Kind, value_type: ValueType) -> Field {
    let name = format!("custom/{kind:?}-{value_type:?}").into();
    let metric = CustomMetric { name, kind, value_type, unit: "".into() };
    Field { metric: Metric::Custom(Arc::new(metric)), labels: None }
}

/// Fields in several choices and orders, some of which the level does not have or come twice.
fn fields(set: usize) -> Vec<Field> {
    let plain = |id: heapster_shared::schema::MetricId| Field::plain(id.def());
    let mut all = vec![
        plain(table::CPU_USAGE),
        plain(table::MEMORY_USAGE),
        Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
        custom(Kind::Cumulative, ValueType::Int64),
        plain(table::NETWORK_RX),
        plain(table::CPU_REQUEST),
        plain(table::CPU_NODE_CAPACITY),
        plain(table::MEMORY_PAGE_FAULTS),
        custom(Kind::Gauge, ValueType::Double),
    ];
    match set {
        0 => {}
        1 => all.truncate(3),
        2 => all.reverse(),
        3 => all.extend([
            plain(table::CPU_USAGE),
            Field::resource(table::DISK_IO_READ_BYTES.def(), "sdb"),
            custom(Kind::Cumulative, ValueType::Double),
            plain(table::MEMORY_NODE_CAPACITY),
        ]),
        _ => all.clear(),
    }
    all
}

/// The host as it is: the clocks and counters of its things.
#[derive(Default)]
struct World {
    clocks: [i64; THINGS],
    totals: [i64; THINGS],
}

impl World {
    fn readings(&mut self, step: &Step) -> Vec<PlainReading> {
        let mut order: Vec<usize> = (0..THINGS).map(|it| (it + step.first) % THINGS).collect();
        if step.is_reversed {
            order.reverse();
        }
        let mut readings = Vec::new();
        for thing in order {
            let change = &step.changes[thing];
            let reading = self.reading(thing, change, &step.pod_uids);
            if change.is_there {
                let time_ms = reading.time_ms + 1;
                let again = || PlainReading { time_ms, ..reading.clone() };
                readings.extend(change.is_named_twice.then(again));
                readings.insert(0, reading);
            }
        }
        readings
    }

    fn reading(&mut self, thing: usize, change: &Change, pod_uids: &[usize]) -> PlainReading {
        let clock = &mut self.clocks[thing];
        let time_ms = 100_000_000
            + match change.time {
                Time::Later => {
                    *clock += 7_000 + thing as i64;
                    *clock
                }
                Time::Same => *clock,
                Time::Past => *clock - 5_000,
                Time::SetBack => {
                    *clock -= 1_000_000;
                    *clock
                }
            };
        let total = &mut self.totals[thing];
        *total = (*total + change.grows_by).max(-5);
        let cell = |(at, field): (usize, Field)| {
            let value = *total + at as i64;
            let cell = match field.metric.value_type() {
                _ if at == change.absent => Cell::ABSENT,
                ValueType::Int64 => Cell::int(value),
                ValueType::Double => Cell::real((value % 1_000) as f64),
            };
            (field, cell)
        };
        PlainReading {
            subject: subject(thing, change, pod_uids),
            time_ms,
            start_time_ms: change.start_ms,
            values: fields(change.fields).into_iter().enumerate().map(cell).collect(),
        }
    }
}

fn subject(thing: usize, change: &Change, pod_uids: &[usize]) -> Subject {
    let labels = match change.labels {
        0 => Labels::default(),
        labels => Labels::from_iter([("image", labels.to_string())]),
    };
    let uid = UIDS[change.uid].into();
    let place = (thing.max(1) - 1) % 3;
    let pod = (thing.max(1) - 1) / 3;
    let name = PodName {
        namespace: "ns".into(),
        name: format!("pod{pod}").into(),
        uid: if change.pod_uid && pod < 2 { UIDS[pod_uids[pod]].into() } else { "".into() },
    };
    match (thing, place) {
        (0, _) => Subject::Node { labels },
        (1..=6, 0) => Subject::Pod { pod: name.into(), labels },
        (1..=6, _) => Subject::PodContainer {
            pod: name.into(),
            name: format!("c{place}").into(),
            uid,
            labels,
        },
        _ => Subject::SysContainer { name: format!("sys{place}").into(), uid, labels },
    }
}

/// A source that remembers subjects and layouts, as the recorder does.
#[derive(Default)]
struct Remembering {
    subjects: Vec<Arc<Subject>>,
    layouts: Layouts,
}

impl Remembering {
    fn collect(&mut self, plain: &[PlainReading]) -> Readings {
        let mut readings = Readings::default();
        for PlainReading { subject, time_ms, start_time_ms, values } in plain {
            let known = self.subjects.iter().find(|known| ***known == *subject);
            let known = known.cloned().unwrap_or_else(|| {
                self.subjects.push(Arc::new(subject.clone()));
                Arc::clone(self.subjects.last().unwrap())
            });
            let (fields, cells): (Vec<Field>, Vec<Cell>) = values.iter().cloned().unzip();
            readings.push(known, self.layouts.layout(&fields), (*time_ms, *start_time_ms), &cells);
        }
        readings
    }
}

/// An entity keeps its number for as long as it is there, and no two have one number. All that one
/// poll gives refers to the same value of it, its parts too.
fn check_entities(known: &mut BTreeMap<EntityId, String>, blocks: &[Block]) {
    let mut values = BTreeMap::new();
    for row in blocks.iter().flat_map(Block::rows) {
        let name = PlainRow::of(row).name;
        let id = row.head.entity.id;
        assert_eq!(known.entry(id).or_insert_with(|| name.clone()), &name, "{id:?}");
        for entity in row.head.entity.lineage() {
            let value = *values.entry(entity.id).or_insert(entity);
            assert!(std::ptr::eq(value, entity), "{name} refers to an earlier {}", entity.name);
        }
    }
}

/// Leaves out what is not kept over a restart: that a sample from the past came once, which fields the
/// sample before the newest had, and what a host said of its node some polls ago. A sample that is
/// repeated has the values that it had.
fn settle(step: &mut Step, sets: &[usize], absent: &mut [usize; THINGS]) {
    step.relabels_host = false;
    for ((change, fields), absent) in step.changes.iter_mut().zip(sets).zip(absent) {
        change.fields = *fields;
        if matches!(change.time, Time::Later) {
            *absent = change.absent;
        } else {
            (change.time, change.grows_by, change.absent) = (Time::Same, 0, *absent);
        }
    }
    step.changes[0].is_there = true;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever comes, goes, restarts, repeats itself, changes its fields, labels or uid, in any
    /// order, and whether the source remembers or not: the rows are those of the reference.
    #[test]
    fn the_rows_are_those_of_the_reference(steps in proptest::collection::vec(step(), 1..25)) {
        let (mut pipeline, mut plans) = (HostPipeline::default(), Plans::default());
        let (mut reference, mut world) = (Reference::default(), World::default());
        let (mut source, mut ids) = (Remembering::default(), BTreeMap::new());
        let mut host = Arc::new(Host::named("node"));
        for step in steps {
            if step.relabels_host {
                let mut changed = Host::clone(&host);
                let zone = if host.labels.is_empty() { "b" } else { "c" };
                changed.labels = Labels::from_iter([("zone", zone)]);
                host = Arc::new(changed);
            }
            let plain = world.readings(&step);
            let expected = reference.advance(&host, &plain);
            let readings = if step.is_fresh {
                Readings::collect(plain, &Layouts::default())
            } else {
                source.collect(&plain)
            };
            let blocks = pipeline.advance(&mut plans, &host, &readings);
            prop_assert_eq!(plain_rows(&blocks), expected);
            prop_assert_eq!(pipeline.entity_count(), reference.entity_count());
            check_entities(&mut ids, &blocks);
            plans.prune();
        }
        let gone = pipeline.advance(&mut plans, &host, &Readings::default());
        prop_assert!(gone.is_empty());
        drop((gone, pipeline));
        plans.prune();
        prop_assert!(plans.is_empty(), "plans go with the hosts that use them");
    }

    /// Whenever the program is started again, and however often: with what was kept the rows are those
    /// of a program that was never stopped.
    #[test]
    fn a_restart_changes_no_row(
        steps in proptest::collection::vec((step(), prop::bool::weighted(0.4)), 1..25),
        sets in proptest::collection::vec(mostly(FIELD_SETS), THINGS),
    ) {
        let cluster: Arc<str> = "lab".into();
        let (mut pipeline, mut plans) = (HostPipeline::default(), Plans::default());
        let (mut reference, mut world) = (Reference::default(), World::default());
        let (host, mut absent) = (Arc::new(Host::named("node")), [99; THINGS]);
        for (mut step, restarts) in steps {
            settle(&mut step, &sets, &mut absent);
            if restarts && let Some(samples) = pipeline.samples(&cluster) {
                (pipeline, plans) = (HostPipeline::default(), Plans::default());
                pipeline.recall(RecalledHost::decode(&samples.encode()).unwrap(), 3_600_000);
            }
            let plain = world.readings(&step);
            let expected = reference.advance(&host, &plain);
            let readings = Readings::collect(plain, &Layouts::default());
            let blocks = pipeline.advance(&mut plans, &host, &readings);
            prop_assert_eq!(plain_rows(&blocks), expected);
            prop_assert_eq!(pipeline.entity_count(), reference.entity_count());
        }
    }
}
