//! Tests of the pipeline as a whole.

mod histories;
mod recalled;
mod reference;
mod rows;

use std::sync::Arc;

use heapster_shared::{
    entity::{Labels, Level},
    host::Host,
    row::{Block, Cell},
    schema::{CustomMetric, Field, Kind, Metric, MetricId, ValueType, table},
};
use proptest::prelude::*;

use super::{HostPipeline, Plans};
use crate::source::{Layouts, PlainReading, PodName, Readings, Subject};

const SECOND_NS: i64 = 1_000_000_000;

#[derive(Default)]
struct Bench {
    pipeline: HostPipeline,
    plans: Plans,
}

impl Bench {
    fn advance(&mut self, readings: Vec<PlainReading>) -> Vec<Block> {
        let mut host = Host::named("node-a");
        host.labels = Labels::from_iter([("zone", "b"), ("arch", "amd64")]);
        self.pipeline.advance(
            &mut self.plans,
            &Arc::new(host),
            &Readings::collect(readings, &Layouts::default()),
        )
    }
}

fn pod(uid: &str) -> Arc<PodName> {
    PodName { namespace: "default".into(), name: "web".into(), uid: uid.into() }.into()
}

fn container(name: &str, time_ms: i64, values: &[(MetricId, i64)]) -> PlainReading {
    let subject = Subject::PodContainer {
        pod: pod("p1"),
        name: name.into(),
        uid: "c1".into(),
        labels: Labels::default(),
    };
    reading(subject, time_ms, values)
}

fn system(uid: &str, start_time_ms: i64, time_ms: i64, values: &[(MetricId, i64)]) -> PlainReading {
    let subject = Subject::SysContainer {
        name: "system.slice/sshd.service".into(),
        uid: uid.into(),
        labels: Labels::default(),
    };
    PlainReading { start_time_ms, ..reading(subject, time_ms, values) }
}

fn reading(subject: Subject, time_ms: i64, values: &[(MetricId, i64)]) -> PlainReading {
    let cell = |id: MetricId, value: i64| match id.def().value_type {
        ValueType::Int64 => Cell::int(value),
        #[allow(clippy::cast_precision_loss)]
        ValueType::Double => Cell::real(value as f64),
    };
    let values = values.iter().map(|(id, value)| (Field::plain(id.def()), cell(*id, *value)));
    PlainReading { subject, time_ms, start_time_ms: 0, values: values.collect() }
}

/// The value of a metric in the only row of a level; `None` for no row, `Some(None)` for no value.
fn value(blocks: &[Block], level: Level, id: MetricId) -> Option<Option<f64>> {
    let mut rows = blocks.iter().flat_map(Block::rows).filter(|row| row.head.entity.level == level);
    let row = rows.next()?;
    assert!(rows.next().is_none(), "one row of {level}");
    Some(row.get(id.def()).and_then(|cell| cell.to_real(id.def().value_type)))
}

fn cpu_rate(blocks: &[Block], level: Level) -> Option<Option<f64>> {
    value(blocks, level, table::CPU_USAGE_RATE)
}

#[test]
fn a_rate_follows_from_the_samples_own_times() {
    let mut bench = Bench::default();
    let first = bench.advance(vec![system("", 0, 1_000, &[(table::CPU_USAGE, SECOND_NS)])]);
    assert_eq!(cpu_rate(&first, Level::SysContainer), Some(None));
    // A quarter of a second of CPU within half a second.
    let later = [(table::CPU_USAGE, SECOND_NS + SECOND_NS / 4)];
    let second = bench.advance(vec![system("", 0, 1_500, &later)]);
    assert_eq!(cpu_rate(&second, Level::SysContainer), Some(Some(500.0)));
    assert_eq!(second[0].row(0).head.interval_ms, 500);
}

/// A host that gives the same sample again has given no new one: no row, and so no rate of zero.
/// The next new sample is compared with the one that was used.
#[test]
fn a_repeated_sample_gives_no_row() {
    let mut bench = Bench::default();
    bench.advance(vec![system("", 0, 1_000, &[(table::CPU_USAGE, 0)])]);
    assert!(bench.advance(vec![system("", 0, 1_000, &[(table::CPU_USAGE, 0)])]).is_empty());
    assert!(bench.advance(vec![system("", 0, 900, &[(table::CPU_USAGE, 0)])]).is_empty());
    let third = bench.advance(vec![system("", 0, 3_000, &[(table::CPU_USAGE, SECOND_NS)])]);
    assert_eq!(cpu_rate(&third, Level::SysContainer), Some(Some(500.0)));
}

/// One old sample is a stale one; old samples that move on are a clock that was set back, and
/// the host is not silent until its clock has caught up.
#[test]
fn a_clock_that_was_set_back_starts_anew() {
    let mut bench = Bench::default();
    bench.advance(vec![system("", 0, 9_000_000, &[(table::CPU_USAGE, 0)])]);
    assert!(bench.advance(vec![system("", 0, 1_000, &[(table::CPU_USAGE, 1)])]).is_empty());
    let fresh = bench.advance(vec![system("", 0, 2_000, &[(table::CPU_USAGE, 2)])]);
    assert_eq!(cpu_rate(&fresh, Level::SysContainer), Some(None));
    let next = [(table::CPU_USAGE, 2 + SECOND_NS)];
    let next = bench.advance(vec![system("", 0, 3_000, &next)]);
    assert_eq!(cpu_rate(&next, Level::SysContainer), Some(Some(1000.0)));
}

/// Each kind of restart, though the counter is higher than before: another uid, another start.
/// A start that moves a little is the same one, and keeps the entity as it was.
#[test]
fn a_restart_gives_no_rate_and_jitter_is_none() {
    let higher = [(table::CPU_USAGE, 5 * SECOND_NS)];
    for (uid, start_time_ms, restarted) in
        [("b", 10_000, true), ("a", 20_000, true), ("a", 10_900, false), ("", 0, false)]
    {
        let mut bench = Bench::default();
        let first = bench.advance(vec![system("a", 10_000, 30_000, &[(table::CPU_USAGE, 0)])]);
        let blocks = bench.advance(vec![system(uid, start_time_ms, 45_000, &higher)]);
        let rate = cpu_rate(&blocks, Level::SysContainer).unwrap();
        assert_eq!(rate.is_none(), restarted, "uid {uid:?}, start {start_time_ms}");
        let (before, now) = (&first[0].row(0).head.entity, &blocks[0].row(0).head.entity);
        assert_eq!(Arc::ptr_eq(before, now), !restarted);
        assert_eq!(before.id, now.id);
    }
}

/// What is gone and comes back is new: there is nothing to compare with, and nothing is kept.
#[test]
fn what_is_not_seen_is_forgotten() {
    let mut bench = Bench::default();
    bench.advance(vec![system("", 0, 1_000, &[(table::CPU_USAGE, 0)])]);
    assert_eq!(bench.pipeline.entity_count(), 2);
    bench.advance(Vec::new());
    assert_eq!(bench.pipeline.entity_count(), 1);
    assert!(bench.pipeline.things.things.is_empty());
    let again = bench.advance(vec![system("", 0, 2_000, &[(table::CPU_USAGE, SECOND_NS)])]);
    assert_eq!(cpu_rate(&again, Level::SysContainer), Some(None));
}

#[test]
fn a_pod_is_the_sum_of_its_containers_at_the_levels_of_the_schema() {
    let mut bench = Bench::default();
    for (time_ms, cpu) in [(1_000, 0), (2_000, SECOND_NS / 10)] {
        let values = [(table::CPU_USAGE, cpu), (table::MEMORY_USAGE, 100)];
        let blocks = bench.advance(vec![
            container("a", time_ms, &values),
            container("b", time_ms + 100, &values),
        ]);
        assert_eq!(value(&blocks, Level::Pod, table::MEMORY_USAGE), Some(Some(200.0)));
        assert_eq!(value(&blocks, Level::Pod, table::CPU_USAGE), Some(None));
        let rate = (cpu > 0).then_some(200.0);
        assert_eq!(cpu_rate(&blocks, Level::Pod), Some(rate));
    }
}

/// A container that restarts has no rate; the pod's sum is then absent, not half. A container
/// whose sample is repeated takes part with what it gave.
#[test]
fn a_pods_sum_is_whole_or_absent() {
    let mut bench = Bench::default();
    let values = |cpu: i64| [(table::CPU_USAGE, cpu)];
    let both = |bench: &mut Bench, a: (i64, i64), b: (i64, i64)| {
        let readings = vec![container("a", a.0, &values(a.1)), container("b", b.0, &values(b.1))];
        let blocks = bench.advance(readings);
        cpu_rate(&blocks, Level::Pod)
    };
    both(&mut bench, (1_000, SECOND_NS), (1_000, SECOND_NS));
    let rate = both(&mut bench, (2_000, 2 * SECOND_NS), (2_000, 2 * SECOND_NS));
    assert_eq!(rate, Some(Some(2000.0)));
    let repeated = both(&mut bench, (3_000, 2 * SECOND_NS), (2_000, 2 * SECOND_NS));
    assert_eq!(repeated, Some(Some(1000.0)));
    assert_eq!(both(&mut bench, (4_000, 2 * SECOND_NS), (4_000, 0)), Some(None));
    assert_eq!(both(&mut bench, (4_000, 2 * SECOND_NS), (4_000, 0)), None);
}

/// The network of a pod is measured of the pod itself, over the interval of that sample.
#[test]
fn a_pods_own_counters_keep_their_interval() {
    let mut bench = Bench::default();
    let network = |time_ms, bytes| {
        let subject =
            Subject::Pod { pod: pod("p1"), labels: Labels::from_iter([("labels", "a:b")]) };
        reading(subject, time_ms, &[(table::NETWORK_RX, bytes)])
    };
    let memory = |time_ms| container("a", time_ms, &[(table::MEMORY_USAGE, 7)]);
    bench.advance(vec![network(1_000, 0), memory(1_400)]);
    let blocks = bench.advance(vec![network(3_000, 1_000), memory(3_900)]);
    assert_eq!(value(&blocks, Level::Pod, table::NETWORK_RX_RATE), Some(Some(500.0)));
    assert_eq!(value(&blocks, Level::Pod, table::MEMORY_USAGE), Some(Some(7.0)));
    let row = blocks.iter().flat_map(Block::rows).find(|row| row.head.entity.level == Level::Pod);
    let head = row.unwrap().head;
    assert_eq!(head.time_ms, 3_900);
    assert_eq!(head.entity.label("namespace_name"), Some("default"));
    assert_eq!(head.entity.label("labels"), Some("a:b"));
    // The pod's own sample is repeated: its counter has no new value, and no rate of zero.
    let stale = bench.advance(vec![network(3_000, 1_000), memory(5_000)]);
    assert_eq!(value(&stale, Level::Pod, table::NETWORK_RX_RATE), Some(None));
    let later = bench.advance(vec![network(5_000, 5_000), memory(6_000)]);
    assert_eq!(value(&later, Level::Pod, table::NETWORK_RX_RATE), Some(Some(2000.0)));
}

#[test]
fn a_node_has_its_labels_and_its_utilization() {
    let mut bench = Bench::default();
    let labels = Labels::from_iter([("hostname", "node-a"), ("host_id", "m1")]);
    let node = |time_ms, cpu| {
        let values = [
            (table::CPU_USAGE, cpu),
            (table::MEMORY_USAGE, 250),
            (table::CPU_NODE_CAPACITY, 4_000),
            (table::MEMORY_NODE_CAPACITY, 2_000),
            (table::MEMORY_NODE_ALLOCATABLE, 1_000),
        ];
        reading(Subject::Node { labels: labels.clone() }, time_ms, &values)
    };
    let asks = |time_ms| container("a", time_ms, &[(table::CPU_REQUEST, 1_000)]);
    bench.advance(vec![node(1_000, 0), asks(1_000)]);
    let blocks = bench.advance(vec![node(2_000, SECOND_NS), asks(2_000)]);
    let ratio = |id| value(&blocks, Level::Node, id).unwrap();
    assert_eq!(ratio(table::CPU_NODE_UTILIZATION), Some(0.25));
    assert_eq!(ratio(table::MEMORY_NODE_UTILIZATION), Some(0.25));
    assert_eq!(ratio(table::CPU_NODE_RESERVATION), Some(0.25));
    assert_eq!(ratio(table::CPU_REQUEST), Some(1_000.0));
    assert_eq!(ratio(table::MEMORY_NODE_RESERVATION), None);
    let row = blocks.iter().flat_map(Block::rows).find(|row| row.head.entity.level == Level::Node);
    let entity = &row.unwrap().head.entity;
    assert_eq!(entity.labels.joined(";"), "host_id:m1;labels:arch:amd64,zone:b");
}

/// What the host's discovery says of it counts where the host's reading does not say it; an identity
/// is none of the labels that are joined. An empty `labels` is a word too.
#[test]
fn a_node_says_more_than_its_discovery() {
    let mut host = Host::named("node-a");
    host.labels = Labels::from_iter([("zone", "b"), ("host_id", "uid")]);
    let host = Arc::new(host);
    let node_labels = |own: &[(&str, &str)]| {
        let labels = own.iter().copied().collect();
        let node = reading(Subject::Node { labels }, 1_000, &[(table::MEMORY_USAGE, 1)]);
        let readings = Readings::collect(vec![node], &Layouts::default());
        let blocks = HostPipeline::default().advance(&mut Plans::default(), &host, &readings);
        let row = blocks.iter().flat_map(Block::rows).next();
        row.unwrap().head.entity.labels.joined(";")
    };
    assert_eq!(node_labels(&[]), "host_id:uid;labels:zone:b");
    assert_eq!(node_labels(&[("host_id", "m1"), ("labels", "a:1")]), "host_id:m1;labels:a:1");
    assert_eq!(node_labels(&[("labels", "")]), "host_id:uid");
}

/// Entities of one kind share a layout and a block, so that the wire names fields once.
#[test]
fn rows_of_one_kind_share_a_block() {
    let mut bench = Bench::default();
    let values = [(table::CPU_USAGE, 1), (table::MEMORY_USAGE, 2)];
    let first = bench.advance(vec![container("a", 1, &values), container("b", 1, &values)]);
    let second = bench.advance(vec![container("a", 2, &values), container("b", 2, &values)]);
    assert_eq!(first.iter().map(Block::len).collect::<Vec<_>>(), [2, 1]);
    assert!(Arc::ptr_eq(first[0].layout(), second[0].layout()));
}

#[derive(Clone, Debug)]
enum Step {
    Grow { by: i64, after_ms: i64 },
    GoBack { to: i64, after_ms: i64 },
    Restart { to: i64, after_ms: i64 },
    Repeat,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let after_ms = 1_i64..100_000;
    let grow = (0..10_i64 * SECOND_NS, after_ms.clone());
    let set = || (0..SECOND_NS, after_ms.clone());
    let step = prop_oneof![
        6 => grow.prop_map(|(by, after_ms)| Step::Grow { by, after_ms }),
        1 => set().prop_map(|(to, after_ms)| Step::GoBack { to, after_ms }),
        1 => set().prop_map(|(to, after_ms)| Step::Restart { to, after_ms }),
        1 => Just(Step::Repeat),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever a counter does, rates are never negative, a reset gives none, a repetition gives
    /// no row, and increases add up to the growth between resets, none lost and none made up.
    #[test]
    fn increases_add_up_between_resets(steps in steps()) {
        let custom = Metric::Custom(Arc::new(CustomMetric {
            name: "custom/jobs".into(),
            kind: Kind::Cumulative,
            value_type: ValueType::Int64,
            unit: "".into(),
        }));
        let custom = Field { metric: custom, labels: None };
        let mut bench = Bench::default();
        let (mut uid, mut time_ms, mut total) = (0, 1_000_i64, 0_i64);
        let (mut first, mut expected, mut seen) = (true, 0_i64, 0_i64);
        for step in steps {
            let mut known = None;
            match step {
                Step::Grow { by, after_ms } => {
                    (total, time_ms) = (total + by, time_ms + after_ms);
                    known = Some(by);
                }
                Step::GoBack { to, after_ms } => {
                    known = (to >= total).then_some(to - total);
                    (total, time_ms) = (to, time_ms + after_ms);
                }
                Step::Restart { to, after_ms } => {
                    (total, time_ms, uid) = (to, time_ms + after_ms, uid + 1);
                }
                Step::Repeat if first => continue,
                Step::Repeat => {
                    let mut repeated =
                        system(&uid.to_string(), 0, time_ms, &[(table::CPU_USAGE, total)]);
                    repeated.values.push((custom.clone(), Cell::int(total)));
                    prop_assert!(bench.advance(vec![repeated]).is_empty());
                    continue;
                }
            }
            let known = known.filter(|_| !first);
            first = false;
            expected += known.unwrap_or(0);
            let mut sample = system(&uid.to_string(), 0, time_ms, &[(table::CPU_USAGE, total)]);
            sample.values.push((custom.clone(), Cell::int(total)));
            let blocks = bench.advance(vec![sample]);
            let row = blocks[0].row(0);
            prop_assert_eq!(row.increases[0].as_int(), known);
            prop_assert_eq!(row.increases[0], row.increases[1]);
            seen += row.increases[0].as_int().unwrap_or(0);
            let rate = cpu_rate(&blocks, Level::SysContainer).unwrap();
            prop_assert_eq!(rate.is_some(), known.is_some());
            prop_assert!(rate.is_none_or(|rate| rate >= 0.0));
        }
        prop_assert_eq!(seen, expected);
    }
}

/// Two disks of one name, say: a row has each field once, or the master could not tell them apart.
#[test]
fn a_field_that_comes_twice_counts_once() {
    let mut bench = Bench::default();
    let twice = [(table::CPU_USAGE, 1), (table::MEMORY_USAGE, 5), (table::CPU_USAGE, 9)];
    for time_ms in [1_000, 2_000] {
        let blocks = bench.advance(vec![system("", 0, time_ms, &twice)]);
        let row = blocks[0].row(0);
        assert_eq!(row.layout.measured().len(), 2);
        assert_eq!(row.get(table::CPU_USAGE.def()), Some(Cell::int(1)));
        assert_eq!(row.get(table::MEMORY_USAGE.def()), Some(Cell::int(5)));
    }
}
