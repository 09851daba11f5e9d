//! What a restart of the program leaves of rates and increases.

use super::*;
use crate::pipeline::RecalledHost;

const HOUR_MS: i64 = 3_600_000;

/// What is left of a bench when the program is started again, as bytes and back.
fn restarted(bench: &Bench) -> Bench {
    let samples = bench.pipeline.samples(&"lab".into()).unwrap();
    let recalled = RecalledHost::decode(&samples.encode()).unwrap();
    assert_eq!((recalled.cluster(), recalled.host()), ("lab", samples.host().as_str()));
    let mut next = Bench::default();
    next.pipeline.recall(recalled, HOUR_MS);
    next
}

fn app(time_ms: i64, cpu_ns: i64) -> Vec<PlainReading> {
    vec![container("app", time_ms, &[(table::CPU_USAGE, cpu_ns), (table::MEMORY_USAGE, 5)])]
}

fn increase(blocks: &[Block], level: Level) -> Option<i64> {
    let mut rows = blocks.iter().flat_map(Block::rows).filter(|row| row.head.entity.level == level);
    rows.next().and_then(|row| row.increases[0].as_int())
}

/// The first row after a restart has the increase since the last row before it, over the true time:
/// a long stop makes no spike, and all increases together are what the counter grew by.
#[test]
fn increases_add_up_over_restarts() {
    let mut bench = Bench::default();
    bench.advance(app(10_000, 7 * SECOND_NS));
    let mut sum = 0;
    let mut last = 7 * SECOND_NS;
    for (step, time_ms) in [20_000_i64, 30_000, 330_000, 340_000].into_iter().enumerate() {
        if step > 0 {
            bench = restarted(&bench);
        }
        last += if time_ms == 330_000 { 150 * SECOND_NS } else { 5 * SECOND_NS };
        let blocks = bench.advance(app(time_ms, last));
        sum += increase(&blocks, Level::PodContainer).unwrap();
        for level in [Level::PodContainer, Level::Pod] {
            assert_eq!(value(&blocks, level, table::CPU_USAGE_RATE), Some(Some(500.0)), "{level}");
        }
    }
    assert_eq!(sum, last - 7 * SECOND_NS);
}

/// A host that repeats the sample that there was a row of gives none again, so that nothing counts
/// twice; who asks for the newest sample has it, with its rate.
#[test]
fn a_sample_that_was_sent_before_the_restart_is_not_sent_again() {
    let mut bench = Bench::default();
    bench.advance(app(10_000, 7 * SECOND_NS));
    bench.advance(app(20_000, 12 * SECOND_NS));
    let mut bench = restarted(&bench);
    assert!(bench.advance(app(20_000, 12 * SECOND_NS)).is_empty());
    let known = bench.pipeline.take_recalled();
    let rate = value(&known, Level::PodContainer, table::CPU_USAGE_RATE);
    assert_eq!(rate, Some(Some(500.0)));
    assert_eq!(value(&known, Level::PodContainer, table::MEMORY_USAGE), Some(Some(5.0)));
    assert!(bench.pipeline.take_recalled().is_empty());
    let blocks = bench.advance(app(30_000, 13 * SECOND_NS));
    assert_eq!(increase(&blocks, Level::PodContainer), Some(SECOND_NS));
}

/// Repeated before and after the restart, with a container that is new in between: the pod's sum is
/// whole.
#[test]
fn a_repeated_sample_takes_part_in_its_pod() {
    let both = |times: [i64; 2], cpu: [i64; 2]| {
        let [mut app, sidecar] = [("app", 0), ("sidecar", 1)].map(|(name, at)| {
            let values = [(table::CPU_USAGE, cpu[at] * SECOND_NS), (table::MEMORY_USAGE, 5)];
            vec![container(name, times[at], &values)]
        });
        app.extend(sidecar);
        app
    };
    let mut bench = Bench::default();
    bench.advance(both([10_000, 10_000], [1, 1]));
    bench.advance(both([20_000, 20_000], [6, 2]));
    let mut bench = restarted(&bench);
    let blocks = bench.advance(both([20_000, 30_000], [6, 3]));
    assert_eq!(value(&blocks, Level::Pod, table::CPU_USAGE_RATE), Some(Some(600.0)));
    assert_eq!(value(&blocks, Level::Pod, table::MEMORY_USAGE), Some(Some(10.0)));
}

/// What was started again, under another uid or with a later start, has no increase, and neither has
/// a counter that went back: as it is without a restart of the program.
#[test]
fn other_runs_have_no_increase() {
    let first = || vec![system("s1", 5_000, 10_000, &[(table::CPU_USAGE, SECOND_NS)])];
    let grown = |uid: &str, start_ms: i64, cpu: i64| {
        let mut bench = Bench::default();
        bench.advance(first());
        let mut bench = restarted(&bench);
        let blocks = bench.advance(vec![system(uid, start_ms, 20_000, &[(table::CPU_USAGE, cpu)])]);
        let row = blocks[0].row(0);
        (row.increases[0].as_int(), row.head.interval_ms)
    };
    assert_eq!(grown("s1", 5_000, 3 * SECOND_NS), (Some(2 * SECOND_NS), 10_000));
    assert_eq!(grown("s1", 6_000, 3 * SECOND_NS), (Some(2 * SECOND_NS), 10_000), "jitter");
    assert_eq!(grown("s1", 15_000, 3 * SECOND_NS), (None, 0), "a later start");
    assert_eq!(grown("s2", 5_000, 3 * SECOND_NS), (None, 0), "another uid");
    assert_eq!(grown("s1", 5_000, SECOND_NS / 2), (None, 10_000), "a counter that went back");
}

/// Too long a stop, or a clock that was set back meanwhile, makes the first sample a first one.
#[test]
fn what_is_too_old_or_from_the_future_is_not_compared_with() {
    // As ever, a pod's row waits for one more sample where time goes back.
    for (time_ms, expected, rows) in
        [(10_000 + HOUR_MS, Some(SECOND_NS), 2), (10_001 + HOUR_MS, None, 2), (9_999, None, 1)]
    {
        let mut bench = Bench::default();
        bench.advance(app(10_000, SECOND_NS));
        let blocks = restarted(&bench).advance(app(time_ms, 2 * SECOND_NS));
        assert_eq!(increase(&blocks, Level::PodContainer), expected, "{time_ms}");
        assert_eq!(blocks.iter().map(Block::len).sum::<usize>(), rows, "{time_ms}");
    }
}

/// Counters are found by what they are, wherever the source puts them now; a new one has no increase.
#[test]
fn counters_are_found_in_another_layout() {
    let disk = |name: &str| Field::resource(table::DISK_IO_READ_BYTES.def(), name);
    let custom = CustomMetric {
        name: "custom/jobs".into(),
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: "jobs".into(),
    };
    let jobs = Field { metric: Metric::Custom(Arc::new(custom)), labels: None };
    let reading = |time_ms: i64, values: Vec<(Field, i64)>| PlainReading {
        values: values.into_iter().map(|(field, value)| (field, Cell::int(value))).collect(),
        ..system("s1", 0, time_ms, &[])
    };
    let mut bench = Bench::default();
    let before = vec![(disk("sda"), 100), (disk("sdb"), 200), (jobs.clone(), 7)];
    bench.advance(vec![reading(10_000, before)]);
    let after = vec![(jobs, 9), (disk("sdb"), 201), (disk("nvme"), 300), (disk("sda"), 104)];
    let blocks = restarted(&bench).advance(vec![reading(20_000, after)]);
    let increases: Vec<_> = blocks[0].row(0).increases.iter().map(|cell| cell.as_int()).collect();
    assert_eq!(increases, [Some(2), Some(1), None, Some(4)]);
}

proptest! {
    /// Whatever bytes there are: no panic, here or in the poll that uses them.
    #[test]
    fn bytes_of_another_kind_do_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        changed in proptest::collection::vec((0..500_usize, any::<u8>()), 0..4),
    ) {
        let mut bench = Bench::default();
        bench.advance(app(10_000, SECOND_NS));
        let mut kept = bench.pipeline.samples(&"lab".into()).unwrap().encode();
        for (at, byte) in changed {
            let at = at % kept.len();
            kept[at] = byte;
        }
        for bytes in [bytes, kept] {
            if let Ok(recalled) = RecalledHost::decode(&bytes) {
                let mut next = Bench::default();
                next.pipeline.recall(recalled, HOUR_MS);
                next.advance(app(20_000, 2 * SECOND_NS));
            }
        }
    }
}

/// What is measured of a pod itself goes on too, over its own times.
#[test]
fn a_pods_own_counters_go_on() {
    let both = |own_ms: i64, bytes: i64, app_ms: i64| {
        let subject = Subject::Pod { pod: pod("p1"), labels: Labels::default() };
        let mut all = app(app_ms, SECOND_NS);
        all.push(reading(subject, own_ms, &[(table::NETWORK_RX, bytes)]));
        all
    };
    let mut bench = Bench::default();
    bench.advance(both(7_000, 1_000, 10_000));
    let blocks = restarted(&bench).advance(both(17_000, 4_000, 19_000));
    assert_eq!(value(&blocks, Level::Pod, table::NETWORK_RX_RATE), Some(Some(300.0)));
}
