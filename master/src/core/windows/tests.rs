//! Tests of windows: what they make of rows, when they close, and what a crash leaves.

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowHead},
    schema::{Field, Layout, table},
    tick::Tick,
};
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const STEP: i64 = 15_000;

/// Makes rows of two entities, each value a known function of entity and tick.
struct World {
    entities: Vec<Arc<Entity>>,
    layout: Arc<Layout>,
}

fn entity(table: &mut EntityTable, name: &str, label: &str) -> Arc<Entity> {
    table.intern(Definition {
        parent: None,
        level: Level::Node,
        name: name.into(),
        uid: "".into(),
        start_time_ms: 1,
        labels: Labels::from_iter([("labels", label)]),
    })
}

impl World {
    fn new() -> Self {
        let mut table = EntityTable::default();
        let entities = ["a", "b"].map(|name| entity(&mut table, name, "app:x")).to_vec();
        let layout = Arc::new(Layout::new(vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::NETWORK_RX_RATE.def()),
            Field::plain(table::MEMORY_PAGE_FAULTS.def()),
        ]));
        Self { entities, layout }
    }

    /// The row of an entity for a tick: its memory is the number of the tick squared, it uses one
    /// core more with each tick, and every third tick nothing is known of page faults.
    fn row(&self, entity: usize, tick: i64) -> RowBatch {
        let mut block = Block::new(Arc::clone(&self.layout));
        let number = tick / STEP;
        let head = RowHead {
            entity: Arc::clone(&self.entities[entity]),
            time_ms: tick + 100,
            interval_ms: 15_000,
        };
        let faults =
            if number % 3 == 0 { Cell::ABSENT } else { Cell::int(30 * i64::from(entity as u32)) };
        #[allow(clippy::cast_precision_loss)]
        let cells = [
            Cell::int(number * 1_000_000),
            Cell::int(number * number + entity as i64),
            Cell::real(number as f64 / 4.0),
            Cell::int(number),
        ];
        block.push(head, &cells, &[Cell::int(number * 15_000_000_000), faults]);
        RowBatch { cluster: "lab".into(), tick: Tick(tick), blocks: vec![block] }
    }
}

fn windows<T>() -> Windows<T> {
    Windows::new(Duration::from_secs(60), Arc::new(Room::new(1 << 20)))
}

/// A row as a test can compare it: entity, time, interval, values by metric.
type Made = (String, i64, u32, Vec<(String, f64)>);

fn made<T>(closed: &[Closed<T>]) -> Vec<Made> {
    let batches = closed.iter().flat_map(|window| &window.batches);
    let blocks = batches.flat_map(|batch| &batch.blocks);
    let mut rows: Vec<Made> = blocks
        .flat_map(Block::rows)
        .map(|row| {
            let values = row.samples().map(|(field, cell)| {
                let value = cell.to_real(field.metric.value_type()).unwrap();
                (field.metric.name().to_owned(), value)
            });
            let (head, values) = (row.head, values.collect());
            (head.entity.name.to_string(), head.time_ms, head.interval_ms, values)
        })
        .collect();
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    rows
}

/// Four ticks of a minute: 1 to 4.
#[test]
fn each_kind_of_metric_becomes_one_by_its_rule() {
    let world = World::new();
    let mut windows = windows::<u8>();
    for tick in (1..=4).map(|number| number * STEP) {
        windows.add(&world.row(1, tick), None, false, 0);
    }
    let made = made(&windows.end_round(&"lab".into(), MINUTE));
    let values = [
        ("cpu/usage", 4_000_000.0),
        ("memory/usage", 9.0), // (2 + 5 + 10 + 17) / 4 = 8.5
        ("network/rx_rate", 0.625),
        ("memory/page_faults", 4.0),
        ("cpu/usage_rate", 2500.0),       // 1, 2, 3 and 4 cores
        ("memory/page_faults_rate", 2.0), // 90 in the 45 s that are known
        ("uptime", 60_099.0),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value)).to_vec();
    assert_eq!(made, [("b".to_owned(), 60_100, 60_000, values)]);
}

/// Layouts that say the same are one, whichever value of them a row has.
#[test]
fn an_equal_layout_is_the_same() {
    let mut windows = windows::<u8>();
    let entities = World::new().entities;
    for tick in [15_000, 30_000] {
        let world = World { entities: entities.clone(), ..World::new() };
        windows.add(&world.row(0, tick), None, false, 0);
    }
    assert_eq!(made(&windows.close_all()).len(), 1);
}

/// A pod that was labelled anew has its new labels.
#[test]
fn labels_are_those_of_the_newest_row() {
    let mut world = World::new();
    let mut windows = windows::<u8>();
    let mut table = EntityTable::default();
    let (old, new) = (entity(&mut table, "a", "app:x"), entity(&mut table, "a", "app:y"));
    for (tick, entity) in [(30_000, &new), (15_000, &old)] {
        world.entities[0] = Arc::clone(entity);
        windows.add(&world.row(0, tick), None, false, 0);
    }
    let closed = windows.close_all();
    assert_eq!(closed[0].batches[0].blocks[0].len(), 1);
    let head = closed[0].batches[0].blocks[0].row(0).head;
    assert_eq!(head.entity.labels.get("labels"), Some("app:y"));
}

#[test]
fn a_window_ends_with_its_last_round_or_some_time_after() {
    let world = World::new();
    let mut windows = windows::<u8>();
    windows.add(&world.row(0, 45_000), None, false, 1_000);
    windows.add(&world.row(0, 60_000), None, false, 16_000);
    windows.add(&world.row(0, 75_000), None, false, 31_000);
    assert!(windows.end_round(&"lab".into(), 45_000).is_empty(), "it is not over");
    assert!(windows.end_round(&"other".into(), 60_000).is_empty(), "another cluster's");
    let closed = windows.end_round(&"lab".into(), 60_000);
    assert_eq!((closed.len(), made(&closed)[0].1, closed[0].late), (1, 60_100, false));
    assert!(windows.close_due(31_000 + 69_999).is_empty());
    assert_eq!(windows.next_due_ms(), Some(31_000 + 70_000));
    assert_eq!(windows.close_due(31_000 + 70_000).len(), 1);
    // What comes late waits for more of the kind, and for no round.
    windows.add(&world.row(0, 15_000), None, false, 200_000);
    assert!(windows.end_round(&"lab".into(), 60_000).is_empty());
    windows.add(&world.row(0, 30_000), None, false, 205_000);
    assert!(windows.close_due(214_999).is_empty());
    let closed = windows.close_due(215_000);
    assert_eq!((made(&closed)[0].1, closed[0].late, windows.samples()), (30_100, true, 0));
}

/// Memory is bounded: the oldest go early, and say so in finer rows, with nothing lost.
#[test]
fn windows_that_take_too_much_close_early() {
    let world = World::new();
    let room = Arc::new(Room::new(64 << 10));
    let mut windows = Windows::new(Duration::from_secs(60), Arc::clone(&room));
    let mut closed = Vec::new();
    for number in 1..=400 {
        windows.add(&world.row(0, number * STEP), Some(number), true, 0);
        closed.extend(windows.close_due(0));
        assert!(room.used() <= room.limit() / 4, "{}", room.used());
    }
    assert!(!closed.is_empty() && closed.iter().all(|window| window.early), "too little to tell");
    closed.extend(windows.close_all());
    assert_eq!(made(&closed).len(), 100);
    assert_eq!(closed.iter().map(|window| window.tickets.len()).sum::<usize>(), 400);
    assert_eq!(room.used(), 0);
}

/// The tickets of a window are given out newest first, those of the same tick as well.
#[test]
fn tickets_come_newest_first() {
    let world = World::new();
    let mut windows = windows();
    for (tick, ticket) in [(30_000, 3), (15_000, 1), (45_000, 4), (15_000, 2)] {
        windows.add(&world.row(0, tick), Some(ticket), false, 0);
    }
    assert_eq!(windows.close_all()[0].tickets, [4, 3, 2, 1]);
}

/// What is given up is all there, and nothing of it is left.
#[test]
fn what_is_given_up_is_gone() {
    let world = World::new();
    let mut windows = windows();
    windows.add(&world.row(0, 15_000), Some(1), false, 0);
    windows.add(&world.row(0, 75_000), Some(2), false, 0);
    let samples = windows.samples();
    assert_eq!(windows.give_up(), (samples, vec![1, 2]));
    assert_eq!((windows.samples(), windows.close_all().len()), (0, 0));
}

/// Many entities come in several batches, each of which a sink can write in time.
#[test]
fn what_is_made_comes_in_batches_of_limited_size() {
    let mut world = World::new();
    let mut table = EntityTable::default();
    let mut windows = windows::<u8>();
    for number in 0..4000 {
        world.entities[0] = entity(&mut table, &number.to_string(), "");
        windows.add(&world.row(0, 15_000), None, false, 0);
    }
    let closed = windows.close_all();
    assert_eq!(made(&closed).len(), 4000);
    let largest = closed[0].batches.iter().map(RowBatch::sample_count).max().unwrap();
    assert!(closed[0].batches.len() >= 2 && largest <= 2 * 10_000, "{largest}");
}

/// All rows of two minutes, as (entity, tick).
fn all() -> Vec<(usize, i64)> {
    (0..2).flat_map(|entity| (1..=8).map(move |number| (entity, number * STEP))).collect()
}

/// What is made of these rows when each minute is whole.
fn whole(world: &World, rows: &[(usize, i64)]) -> Vec<Made> {
    let mut windows = windows::<u8>();
    for (entity, tick) in rows {
        windows.add(&world.row(*entity, *tick), None, false, 0);
    }
    made(&windows.close_all())
}

proptest! {
    /// In whatever order rows come, and however often, the same is made of them.
    #[test]
    fn order_and_repetition_change_nothing(
        order in Just(all()).prop_shuffle(),
        again in proptest::collection::vec(0..16_usize, 0..8),
    ) {
        let world = World::new();
        let mut rows = order.clone();
        rows.extend(again.iter().map(|index| order[*index]));
        prop_assert_eq!(whole(&world, &rows), whole(&world, &all()));
    }

    /// A crash after any number of acknowledgements: what is sent again makes no row that takes the
    /// place of one made of the whole with another value, and what was not acknowledged is made.
    #[test]
    fn a_crash_between_acknowledgements_spoils_nothing(
        order in Just(all()).prop_shuffle(),
        acknowledged in 0..=8_usize,
    ) {
        let world = World::new();
        let mut windows = windows();
        for (entity, tick) in &order {
            windows.add(&world.row(*entity, *tick), Some((*entity, *tick)), false, 0);
        }
        let before = made(&windows.close(|window| window.end_ms == MINUTE));
        let mut windows = self::windows();
        for (entity, tick) in &order {
            windows.add(&world.row(*entity, *tick), Some((*entity, *tick)), false, 0);
        }
        let tickets = windows.close(|window| window.end_ms == MINUTE).remove(0).tickets;
        let again: Vec<(usize, i64)> = tickets[acknowledged..].to_vec();
        let after = whole(&world, &again);
        for row in &after {
            let same_place = before.iter().find(|old| (&old.0, old.1) == (&row.0, row.1));
            prop_assert!(same_place.is_none_or(|old| old == row), "{row:?} in place of {same_place:?}");
            // Each is true: the newest row's time is in it, and all before it of its minute are.
            let ticks: Vec<_> = again.iter().filter(|(entity, _)| world.entities[*entity].name == row.0).collect();
            prop_assert!(ticks.iter().all(|(_, tick)| tick + 100 <= row.1));
        }
        let entities = |rows: &[Made]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
        let mut expected: Vec<String> =
            again.iter().map(|(entity, _)| world.entities[*entity].name.to_string()).collect();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(entities(&after), expected);
    }
}
