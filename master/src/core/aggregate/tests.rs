//! Tests of the sums.

use heapster_shared::{entity::EntityId, row::Row, schema::table, tag};

use super::*;

const TICK: Tick = Tick(1_800_000_000_000);

struct Bench {
    entities: Entities,
    aggregator: Aggregator,
    polling: BTreeSet<String>,
}

impl Bench {
    fn new(polling: &[&str]) -> Self {
        Self {
            entities: Entities::starting_after(EntityId(0)),
            aggregator: Aggregator::new("lab".into(), Resolution::DEFAULT),
            polling: polling.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn row(
        &mut self,
        level: Level,
        namespace: &str,
        name: &str,
        rate: i64,
        memory: Option<i64>,
    ) -> Block {
        let layout = self.entities.layout(&[
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::CPU_USAGE_RATE.def()),
        ]);
        let labels = match level {
            Level::Pod => {
                Labels::from_iter([(tag::NAMESPACE_NAME, namespace), (tag::NAMESPACE_ID, "u-1")])
            }
            _ => Labels::default(),
        };
        let definition = Definition { labels, ..sum_definition(level, name, "") };
        let entity = self.entities.intern(definition);
        let mut block = Block::new(layout);
        let memory = memory.map_or(Cell::ABSENT, Cell::int);
        block.push(
            RowHead { entity, time_ms: TICK.0, interval_ms: 0 },
            &[memory, Cell::int(rate)],
            &[],
        );
        block
    }

    fn add(&mut self, tick: Tick, blocks: &[Block]) {
        self.add_of("x", tick, blocks);
    }

    fn add_of(&mut self, buddy: &str, tick: Tick, blocks: &[Block]) {
        self.aggregator.add(tick, buddy, blocks, TICK.0 + 1000);
    }

    fn close(&mut self, now_ms: i64) -> Vec<ClosedRound> {
        self.aggregator.close(&self.polling, |_, _| false, &mut self.entities, now_ms)
    }
}

/// `level/name: rate, memory` of each row.
fn show(round: &ClosedRound) -> Vec<String> {
    let blocks = round.sums.iter().flat_map(|sums| &sums.blocks);
    let show = |row: Row<'_>| {
        let value = |id: heapster_shared::schema::MetricId| {
            row.get(id.def())
                .and_then(Cell::as_int)
                .map_or("-".to_owned(), |value| value.to_string())
        };
        let entity = &row.head.entity;
        assert_eq!(row.head.time_ms, round.tick.0);
        format!(
            "{}/{}: {}, {}",
            entity.level,
            entity.name,
            value(table::CPU_USAGE_RATE),
            value(table::MEMORY_USAGE)
        )
    };
    blocks.flat_map(Block::rows).map(show).collect()
}

/// The ancestor's rule: nodes do not count where there are pods.
#[test]
fn namespaces_sum_pods_and_the_cluster_sums_namespaces() {
    let mut bench = Bench::new(&["x"]);
    let blocks = [
        bench.row(Level::Pod, "a", "web", 100, Some(10)),
        bench.row(Level::Pod, "a", "db", 50, None),
        bench.row(Level::Pod, "b", "web", 7, Some(3)),
        bench.row(Level::Node, "", "n", 1000, Some(1000)),
        bench.row(Level::SysContainer, "", "kubelet", 1000, Some(1000)),
    ];
    bench.add(TICK, &blocks);
    bench.aggregator.end(TICK, "x", TICK.0);
    let closed = bench.close(TICK.0 + 1000);
    assert_eq!(show(&closed[0]), ["ns/a: 150, 10", "ns/b: 7, 3", "cluster/lab: 157, 13"]);
    let sums = closed[0].sums.as_ref().unwrap();
    assert_eq!(sums.blocks[0].row(0).head.entity.uid, "u-1");
}

#[test]
fn a_cluster_without_pods_sums_its_nodes() {
    let mut bench = Bench::new(&["x"]);
    let blocks = [
        bench.row(Level::Node, "", "m", 100, Some(10)),
        bench.row(Level::Node, "", "n", 200, Some(20)),
    ];
    bench.add(TICK, &blocks);
    bench.aggregator.end(TICK, "x", TICK.0);
    assert_eq!(show(&bench.close(TICK.0)[0]), ["cluster/lab: 300, 30"]);
}

/// Where the master was started again within a round, the one before had some of its rows.
#[test]
fn a_round_that_misses_rows_has_no_sums() {
    let mut bench = Bench::new(&["x"]);
    for (index, misses) in [(0, true), (1, false)] {
        let tick = Tick(TICK.0 + index * 15_000);
        let pod = bench.row(Level::Pod, "shop", "web", 1, None);
        bench.add(tick, &[pod]);
        if misses {
            bench.aggregator.miss(tick, TICK.0 + 1000);
        }
        bench.aggregator.end(tick, "x", TICK.0 + 1000);
        let closed = bench.close(TICK.0 + 1000);
        assert_eq!((closed.len(), closed[0].sums.is_none()), (1, misses));
    }
}

/// A buddy whose rows of a round did not all come in time, be it slow or gone, leaves no dip in the
/// sums; one that sent none for it, or has ended it, does not stand in their way.
#[test]
fn a_round_that_a_sender_did_not_end_has_no_sums() {
    let mut bench = Bench::new(&["x", "y"]);
    for (index, senders, ended, is_whole) in [
        (0, &["x", "y"][..], &["x"][..], false),
        (1, &["x", "y"], &[], false),
        (2, &["x"], &["x"], true),
        (3, &["x", "gone"], &["x", "y"], false),
        (4, &["x", "y"], &["x", "y"], true),
    ] {
        let tick = Tick(TICK.0 + index * 15_000);
        for sender in senders {
            let pod = bench.row(Level::Pod, "shop", sender, 1, None);
            bench.add_of(sender, tick, &[pod]);
        }
        for buddy in ended {
            bench.aggregator.end(tick, buddy, TICK.0 + 1000);
        }
        let closed = bench.close(TICK.0 + 1_000_000);
        assert_eq!(closed.len(), 1, "the round of {senders:?} is over all the same");
        assert_eq!(closed[0].sums.is_some(), is_whole, "{senders:?} sent, {ended:?} ended");
    }
}

/// A batch that is sent again after a cut must not be counted twice.
#[test]
fn a_row_counts_once_and_the_newest_wins() {
    let mut bench = Bench::new(&["x"]);
    let first = bench.row(Level::Pod, "a", "web", 100, Some(10));
    let newer = bench.row(Level::Pod, "a", "web", 90, Some(11));
    bench.add(TICK, std::slice::from_ref(&first));
    bench.add(TICK, &[first, newer]);
    bench.aggregator.end(TICK, "x", TICK.0);
    assert_eq!(show(&bench.close(TICK.0)[0]), ["ns/a: 90, 11", "cluster/lab: 90, 11"]);
}

#[test]
fn a_round_waits_for_every_polling_buddy_or_its_deadline() {
    let mut bench = Bench::new(&["x", "y"]);
    let block = bench.row(Level::Pod, "a", "web", 100, Some(10));
    bench.add(TICK, std::slice::from_ref(&block));
    bench.aggregator.end(TICK, "x", TICK.0);
    assert!(bench.close(TICK.0 + 17_999).is_empty());
    assert_eq!(bench.close(TICK.0 + 18_000).len(), 1);
    // What comes late changes nothing that was said, and is not said again.
    bench.add(TICK, &[block]);
    bench.aggregator.end(TICK, "y", TICK.0);
    assert!(bench.close(TICK.0 + 60_000).is_empty());
}

/// Old rows that are replayed get their time too, counted from when they come.
#[test]
fn a_replayed_round_is_not_cut_short() {
    let mut bench = Bench::new(&["x", "y"]);
    let block = bench.row(Level::Pod, "a", "web", 100, Some(10));
    bench.add(Tick(TICK.0 - 3_600_000), &[block]);
    assert!(bench.close(TICK.0 + 1000).is_empty());
    assert_eq!(bench.close(TICK.0 + 1000 + 18_000).len(), 1);
}

#[test]
fn open_rounds_are_bounded() {
    let mut bench = Bench::new(&["x", "y"]);
    let block = bench.row(Level::Pod, "a", "web", 1, None);
    for round in 0..=MAX_OPEN as i64 {
        bench.add(Tick(TICK.0 - round * 15_000), std::slice::from_ref(&block));
    }
    let closed = bench.close(TICK.0 + 1000);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].tick, Tick(TICK.0 - MAX_OPEN as i64 * 15_000));
}

/// The hosts of a buddy that was lost had none at this tick: what the others sent is no sum.
#[test]
fn a_round_without_the_rows_of_a_lost_buddy_has_no_sums() {
    let mut bench = Bench::new(&["x"]);
    for lost in [true, false] {
        let tick = Tick(TICK.0 + i64::from(lost) * 15_000);
        let pod = bench.row(Level::Pod, "shop", "web", 1, None);
        bench.add(tick, &[pod]);
        bench.aggregator.end(tick, "x", TICK.0);
        let misses = |asked: Tick, ended: &BTreeSet<String>| {
            assert!(asked == tick && ended.contains("x"));
            lost
        };
        let closed = bench.aggregator.close(&bench.polling, misses, &mut bench.entities, TICK.0);
        assert_eq!(closed[0].sums.is_none(), lost);
    }
}
