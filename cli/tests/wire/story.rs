//! What may happen to a buddy and its connection, made up at random and played.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use heapster_buddy::{
    poller::{Polled, RoundEnd},
    uplink::{Journal, WriteLimits},
};
use heapster_master::grpc::decode::Content;
use heapster_proto::v1::{Delivery, Frame, delivery::Outcome, frame::Kind, open::Purpose};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, Row, RowBatch, RowHead},
    schema::{CustomMetric, Field, Kind as MetricKind, Layout, Metric, ValueType, table},
    tick::Tick,
};
use proptest::prelude::*;
use prost::Message;

use crate::{TICK, master::Master};

/// Nodes, pods and containers of the story.
const ENTITIES: usize = 12;
const FIELDS: usize = 7;
const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Rows of one host.
    Rows { rows: Vec<RowOf>, step_ms: i64 },
    /// The end of a round.
    RoundEnd,
    /// The buddy no longer knows these.
    Forget { mask: u16 },
    /// Frames go over the streams, and are answered or not.
    Send { purpose: Purpose, answers: Vec<Answer> },
    /// The connection is cut, and another made; maybe to a master that knows nothing.
    Cut { small: bool, anew: bool },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    None,
    Delivered,
    Retry,
}

#[derive(Clone, Debug)]
pub(crate) struct RowOf {
    entity: usize,
    layout: usize,
    uid: u8,
    start: i64,
    interval_ms: u32,
    is_far: bool,
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Grew(i64),
    Set(i64),
    /// A sum, whose parts are not those of before.
    Odd {
        value: i64,
        increase: i64,
    },
    Absent,
}

fn value() -> impl Strategy<Value = Value> {
    let any = || any::<i64>().prop_map(|value| value.max(-i64::MAX));
    prop_oneof![
        6 => (0..1_000_000_i64).prop_map(Value::Grew),
        1 => Just(Value::Grew(i64::MAX)),
        1 => any().prop_map(Value::Set),
        1 => (any(), 0..=i64::MAX).prop_map(|(value, increase)| Value::Odd { value, increase }),
        1 => Just(Value::Absent),
    ]
}

prop_compose! {
    fn row()(
        entity in 0..ENTITIES, layout in 0..5_usize, uid in prop_oneof![9 => Just(0_u8), 1 => 1..3_u8],
        start in prop_oneof![9 => Just(0_i64), 1 => Just(TICK)],
        interval_ms in prop_oneof![6 => Just(15_000_u32), 1 => Just(0), 1 => any::<u32>()],
        is_far in prop::bool::weighted(0.05),
        values in prop::collection::vec(value(), FIELDS),
    ) -> RowOf {
        RowOf { entity, layout, uid, start, interval_ms, is_far, values }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        6 => Just(Answer::Delivered),
        1 => Just(Answer::Retry),
        1 => Just(Answer::None),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let step = prop_oneof![3 => Just(15_000_i64), 1 => Just(0), 1 => -60_000..60_000_i64];
    let purpose = prop_oneof![2 => Just(Purpose::Live), 1 => Just(Purpose::Backfill)];
    prop_oneof![
        8 => (prop::collection::vec(row(), 0..7), step)
            .prop_map(|(rows, step_ms)| Event::Rows { rows, step_ms }),
        3 => Just(Event::RoundEnd),
        2 => any::<u16>().prop_map(|mask| Event::Forget { mask }),
        6 => (purpose, prop::collection::vec(answer(), 0..20))
            .prop_map(|(purpose, answers)| Event::Send { purpose, answers }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(small, anew)| Event::Cut { small, anew }),
    ]
}

/// A story of some events.
pub(crate) fn story() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..60)
}

/// A row as it is to arrive, told by names alone.
#[derive(Clone, PartialEq, Debug)]
struct Image {
    lineage: Vec<String>,
    tick: Tick,
    interval_ms: u32,
    fields: Vec<Field>,
    cells: Vec<Cell>,
    increases: Vec<Cell>,
}

impl Image {
    fn of(tick: Tick, row: &Row<'_>) -> Self {
        let name = |entity: &Entity| {
            let Entity { level, name, uid, start_time_ms, labels, .. } = entity;
            format!("{level} {name} {uid} {start_time_ms} {labels:?}")
        };
        Self {
            lineage: row.head.entity.lineage().map(name).collect(),
            tick,
            interval_ms: row.head.interval_ms,
            fields: row.layout.fields().to_vec(),
            cells: row.cells.to_vec(),
            increases: row.increases.to_vec(),
        }
    }
}

/// The buddy: its journal and what it knows.
struct World {
    journal: Journal,
    table: EntityTable,
    uids: [(u8, i64); ENTITIES],
    layouts: Vec<Arc<Layout>>,
    /// Of each entity and field: the newest value of a counter.
    totals: [[Option<i64>; FIELDS]; ENTITIES],
    tick: i64,
    rows: i64,
    /// By the time of the row, which no two have in common.
    sent: BTreeMap<i64, Image>,
    arrived: BTreeMap<i64, u64>,
    live: Option<Master>,
    backfill: Option<Master>,
    delivered_through: [u64; 2],
}

/// Plays the story, and then lets all be delivered.
pub(crate) async fn tell(story: Vec<Event>) {
    let mut world = World::new();
    world.cut(false, true);
    for event in story {
        match event {
            Event::Rows { rows, step_ms } => world.write(rows, step_ms),
            Event::RoundEnd => {
                let tick = Tick(world.tick);
                let end = RoundEnd { tick, ok: 1, failed: 0, late: 0 };
                world.journal.write(&Polled::RoundEnd(end));
            }
            Event::Forget { mask } => {
                world.table.retain(|entity| mask >> (entity.id.0 % 16) & 1 == 0)
            }
            Event::Send { purpose, answers } => world.send(purpose, answers),
            Event::Cut { small, anew } => world.cut(small, anew),
        }
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    for _ in 0..3 {
        world.cut(false, true);
        tokio::time::advance(Duration::from_secs(120)).await;
        for purpose in [Purpose::Live, Purpose::Backfill] {
            world.send(purpose, vec![Answer::Delivered; 100_000]);
        }
    }
    let state = world.journal.spool_state();
    assert_eq!((state.frames, state.dropped_frames), (0, 0));
    assert!(world.sent.keys().eq(world.arrived.keys()), "a row is missing");
}

impl World {
    fn new() -> Self {
        Self {
            journal: Journal::new("i1".into(), 1 << 24),
            table: EntityTable::default(),
            uids: [(0, 0); ENTITIES],
            layouts: layouts(),
            totals: [[None; FIELDS]; ENTITIES],
            tick: TICK,
            rows: 0,
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
            live: None,
            backfill: None,
            delivered_through: [0; 2],
        }
    }

    fn cut(&mut self, small: bool, anew: bool) {
        self.journal.end_session();
        // Old segments stay as they were written, so a master never takes less than before.
        let large = WriteLimits { entities: 2_000, ..WriteLimits::default() };
        let written =
            if small { WriteLimits { frame_bytes: 700, entities: 30, ..large } } else { large };
        let old = |master: Option<Master>| match master {
            Some(master) if !anew => master.reopened(large),
            _ => Master::new(large),
        };
        self.live = Some(if small { Master::new(written) } else { old(self.live.take()) });
        self.backfill = Some(old(self.backfill.take()));
        self.journal.start_session("lab/1".into(), written);
    }

    fn entity(&mut self, index: usize) -> Arc<Entity> {
        let (parent, level, labels) = match index {
            0..2 => (None, Level::Node, Labels::from_iter([("hostname", "h")])),
            2..6 => {
                let labels = Labels::from_iter([("namespace_name", "default")]);
                (Some(self.entity(index % 2)), Level::Pod, labels)
            }
            _ => (Some(self.entity(2 + index % 4)), Level::PodContainer, Labels::default()),
        };
        let (uid, start_time_ms) = self.uids[index];
        self.table.intern(Definition {
            parent,
            level,
            name: format!("e{index}").into(),
            uid: uid.to_string().into(),
            start_time_ms,
            labels,
        })
    }

    fn write(&mut self, rows: Vec<RowOf>, step_ms: i64) {
        self.tick += step_ms;
        let mut blocks: Vec<Block> = Vec::new();
        for row in rows {
            self.uids[row.entity] = (row.uid, row.start);
            let entity = self.entity(row.entity);
            self.rows += 1;
            let far_ms = if row.is_far { 3 * DAY_MS } else { 0 };
            // Ticks come again and go back: the number of the row keeps its time its own.
            let time_ms = TICK + self.rows + far_ms;
            let layout = Arc::clone(&self.layouts[row.layout]);
            let (cells, increases) = self.cells(&row, &layout);
            let head = RowHead { entity, time_ms, interval_ms: row.interval_ms };
            let place = blocks.iter().position(|block| Arc::ptr_eq(block.layout(), &layout));
            let place = place.unwrap_or_else(|| {
                blocks.push(Block::new(layout));
                blocks.len() - 1
            });
            blocks[place].push(head, &cells, &increases);
        }
        let tick = Tick(self.tick);
        for row in blocks.iter().flat_map(Block::rows) {
            if row.head.time_ms - self.tick < DAY_MS {
                self.sent.insert(row.head.time_ms, Image::of(tick, &row));
            }
        }
        self.journal.write(&Polled::Rows(RowBatch { cluster: "lab".into(), tick, blocks }));
    }

    fn cells(&mut self, row: &RowOf, layout: &Layout) -> (Vec<Cell>, Vec<Cell>) {
        let (mut cells, mut increases) = (Vec::new(), Vec::new());
        for (index, field) in layout.measured().iter().enumerate() {
            let total = &mut self.totals[row.entity][index];
            let before = *total;
            let (now, increase) = match row.values[index] {
                Value::Grew(by) => {
                    let grown = before.and_then(|before| before.checked_add(by));
                    (Some(grown.unwrap_or(by)), grown.map(|_| by))
                }
                Value::Set(value) => (Some(value), None),
                Value::Odd { value, increase } => (Some(value), Some(increase)),
                Value::Absent => (None, None),
            };
            *total = now;
            let is_real = field.metric.value_type() == ValueType::Double;
            #[allow(clippy::cast_precision_loss)]
            let cell = |value: i64| {
                if is_real { Cell::real(value as f64 / 3.0) } else { Cell::int(value) }
            };
            cells.push(now.map_or(Cell::ABSENT, cell));
            if field.metric.kind() == MetricKind::Cumulative {
                let known = increase.filter(|_| !is_real && row.interval_ms > 0);
                increases.push(known.map_or(Cell::ABSENT, Cell::int));
            }
        }
        (cells, increases)
    }

    fn send(&mut self, purpose: Purpose, answers: Vec<Answer>) {
        for answer in answers {
            let Ok(bytes) = self.journal.next(purpose) else { return };
            let frame = Frame::decode(bytes).unwrap();
            let sequence = frame.sequence;
            let through = &mut self.delivered_through[usize::from(purpose == Purpose::Backfill)];
            if let Some(Kind::Open(open)) = &frame.kind {
                *through = open.delivered_through;
            }
            let is_delivered = sequence <= *through;
            let master = match purpose {
                Purpose::Live => &mut self.live,
                _ => &mut self.backfill,
            };
            let content = master.as_mut().unwrap().frame(frame);
            // A master reads what was delivered, and does nothing else with it: it may be a
            // checkpoint, whose rows nobody measured.
            if let Content::Rows(rows) = content
                && !is_delivered
            {
                for row in rows.blocks.iter().flat_map(Block::rows) {
                    let time_ms = row.head.time_ms;
                    assert_eq!(Some(&Image::of(rows.tick, &row)), self.sent.get(&time_ms));
                    let first = *self.arrived.entry(time_ms).or_insert(sequence);
                    assert_eq!(first, sequence, "a row comes again under another sequence");
                }
            }
            if sequence > 0 && !is_delivered {
                self.answer(purpose, sequence, answer);
            }
        }
    }

    fn answer(&self, purpose: Purpose, sequence: u64, answer: Answer) {
        let outcome = match answer {
            Answer::None => return,
            Answer::Delivered => Outcome::Delivered,
            Answer::Retry => Outcome::Retry,
        };
        let delivery = Delivery {
            first_sequence: sequence,
            last_sequence: sequence,
            outcome: outcome.into(),
            ..Delivery::default()
        };
        self.journal.settle(purpose, &delivery);
    }
}

/// Layouts that share fields, in different places.
fn layouts() -> Vec<Arc<Layout>> {
    let custom = |name: &str, kind, value_type| {
        let (name, unit) = (format!("custom/{name}").into(), "things".into());
        let metric = Metric::Custom(Arc::new(CustomMetric { name, kind, value_type, unit }));
        let labels = Some(Arc::new(Labels::from_iter([("queue", "a")])));
        Field { metric, labels }
    };
    let all = vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        Field::plain(table::CPU_NODE_UTILIZATION.def()),
        Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
        custom("jobs", MetricKind::Cumulative, ValueType::Int64),
        custom("seconds", MetricKind::Cumulative, ValueType::Double),
        custom("length", MetricKind::Gauge, ValueType::Double),
    ];
    let layout = |fields: &[Field]| Arc::new(Layout::new(fields.to_vec()));
    let mut reversed = all.clone();
    reversed.reverse();
    vec![layout(&all), layout(&all[..2]), layout(&all[1..2]), layout(&reversed), layout(&[])]
}
