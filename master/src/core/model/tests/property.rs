//! What is written is what is read, wherever the fold stands.

use heapster_shared::schema::{CustomMetric, Kind, Metric, ValueType};
use proptest::prelude::*;

use super::*;

/// One step of the property test: a row of one entity.
#[derive(Clone, Debug)]
struct Step {
    entity: usize,
    layout: usize,
    /// Time since the step before.
    advance_ms: i64,
    /// Distance to the newest row's time; not above zero is late or repeated.
    ahead_ms: i64,
    interval_ms: Option<u32>,
    restarted: bool,
    cells: Vec<Option<i64>>,
    /// In place of the difference.
    increases: Option<Vec<Option<i64>>>,
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -200..200_i64, 2 => 0..10_000_000_000_i64, 1 => any::<i64>()]
}

fn step() -> impl Strategy<Value = Step> {
    (
        (0..4_usize, 0..3_usize, 0..40_000_i64, -2..20_000_i64),
        (prop::option::weighted(0.2, 0..70_000_u32), prop::bool::weighted(0.1)),
        prop::collection::vec(prop::option::weighted(0.9, number()), 5),
        prop::option::weighted(
            0.3,
            prop::collection::vec(prop::option::weighted(0.8, number()), 5),
        ),
    )
        .prop_map(|((entity, layout, advance_ms, ahead_ms), span, cells, increases)| Step {
            entity,
            layout,
            advance_ms,
            ahead_ms,
            interval_ms: span.0,
            restarted: span.1,
            cells,
            increases,
        })
}

/// Integer and real fields, counters of both types among them.
fn layouts() -> Vec<Arc<Layout>> {
    let custom = |name: &str, kind| Field {
        metric: Metric::Custom(Arc::new(CustomMetric {
            name: name.into(),
            kind,
            value_type: ValueType::Double,
            unit: "".into(),
        })),
        labels: None,
    };
    let counters = vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        custom("custom/total", Kind::Cumulative),
        Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
        custom("custom/level", Kind::Gauge),
    ];
    let pod = vec![
        Field::plain(table::CPU_USAGE_RATE.def()),
        Field::plain(table::MEMORY_PAGE_FAULTS_RATE.def()),
    ];
    let few = vec![Field::plain(table::MEMORY_PAGE_FAULTS.def())];
    [counters, pod, few].map(|fields| Arc::new(Layout::new(fields))).into()
}

fn cell(field: &Field, number: Option<i64>) -> Cell {
    match (number, field.metric.value_type()) {
        (None, _) => Cell::ABSENT,
        (Some(number), ValueType::Int64) => Cell::int(number),
        // Any bits, so that odd doubles occur, and round ones too.
        (Some(number), ValueType::Double) if number.abs() < 200 => Cell::real(number as f64 / 4.0),
        (Some(number), ValueType::Double) => Cell::real(f64::from_bits(number.cast_unsigned())),
    }
}

/// What is known without the model: the rows of one entity, every cell of them.
#[derive(Clone, Default)]
struct Expected {
    rows: Vec<(i64, i64, Arc<Layout>, Vec<Cell>)>,
    start_time_ms: i64,
    cells: Vec<Cell>,
}

struct World {
    model: Model,
    table: EntityTable,
    expected: Vec<Expected>,
    now_ms: i64,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            model: Model::new(limits),
            table: EntityTable::default(),
            expected: vec![Expected::default(); 4],
            now_ms: EPOCH_MS,
        }
    }

    fn entity(&mut self, index: usize) -> Arc<Entity> {
        let start = self.expected[index].start_time_ms;
        let on = define(&mut self.table, None, Level::Node, ["a", "b"][index % 2], 0, &[]);
        define(&mut self.table, Some(&on), Level::SysContainer, &format!("c{index}"), start, &[])
    }

    fn apply(&mut self, step: &Step, layout: &Arc<Layout>) {
        self.now_ms += step.advance_ms;
        let expected = &mut self.expected[step.entity];
        if step.restarted {
            expected.start_time_ms = self.now_ms - 5;
        }
        let entity = self.entity(step.entity);
        let expected = &mut self.expected[step.entity];
        let newest = expected.rows.last().map_or(EPOCH_MS, |row| row.1);
        let time_ms = newest + step.ahead_ms;
        let fields = layout.measured();
        let cells: Vec<_> =
            fields.iter().zip(&step.cells).map(|(field, number)| cell(field, *number)).collect();
        let increase = |(position, counter): (usize, &usize)| match &step.increases {
            Some(increases) => increases[position].map_or(Cell::ABSENT, Cell::int),
            None => match (expected.cells.get(*counter), cells[*counter].as_int()) {
                (Some(before), Some(now)) if before.as_int().is_some() => {
                    Cell::int(now.wrapping_sub(before.as_int().unwrap()))
                }
                _ => Cell::ABSENT,
            },
        };
        let increases: Vec<_> = layout.counters().iter().enumerate().map(increase).collect();
        let elapsed = u32::try_from(time_ms - newest).unwrap_or(0);
        let head = RowHead { entity, time_ms, interval_ms: step.interval_ms.unwrap_or(elapsed) };
        let mut block = Block::new(Arc::clone(layout));
        block.push(head, &cells, &increases);
        let row = block.row(0).cells.to_vec();
        let tick_ms = self.now_ms - self.now_ms.rem_euclid(TICK_MS);
        let first = expected.rows.is_empty();
        let counts = self.model.take(&batch(tick_ms, vec![block]), self.now_ms);
        if first || step.ahead_ms > 0 {
            let samples = row.iter().filter(|cell| !cell.is_absent()).count() as u64;
            assert_eq!(counts, RowCounts { taken: 1, samples, ..RowCounts::default() });
            expected.rows.push((tick_ms, time_ms, Arc::clone(layout), row));
            expected.cells = cells;
        } else if step.ahead_ms == 0 {
            assert_eq!(counts, RowCounts { repeated: 1, ..RowCounts::default() });
        } else {
            assert_eq!(counts, RowCounts { late: 1, ..RowCounts::default() });
        }
    }

    fn expire(&mut self) {
        self.model.expire(self.now_ms);
        let horizon = self.now_ms - self.model.retention_ms();
        for expected in &mut self.expected {
            if expected.rows.last().is_some_and(|row| row.0 < horizon) {
                *expected =
                    Expected { start_time_ms: expected.start_time_ms, ..Expected::default() };
            }
            expected.rows.retain(|row| row.0 >= horizon);
        }
    }

    /// Every cell of every row in the window, derived ones included, and nothing else.
    fn check(&self) {
        let Ok(cluster) = self.model.cluster(Some("lab")) else {
            return assert!(self.expected.iter().all(|expected| expected.rows.is_empty()));
        };
        for (index, expected) in self.expected.iter().enumerate() {
            let subject = Subject::FreeContainer {
                node: ["a", "b"][index % 2].into(),
                container: format!("c{index}"),
            };
            let mut rows = Vec::new();
            for place in cluster.places(&subject) {
                cluster.node(place.ring).unwrap().ring.history(place.slot, |row| {
                    let fields = 0..row.layout.fields().len();
                    let cells: Vec<_> = fields.map(|field| row.value(field)).collect();
                    rows.push((row.time_ms, cells));
                });
            }
            rows.reverse();
            let wanted: Vec<_> = expected
                .rows
                .iter()
                .map(|(_, time_ms, _, cells)| (*time_ms, cells.clone()))
                .collect();
            assert_eq!(rows, wanted, "entity {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Rows of several entities on two nodes, whose fields, starts and values change at will: what
    /// is in the window reads as it was written, to the bit, wherever the fold stands.
    #[test]
    fn what_is_written_is_what_is_read(steps in prop::collection::vec(step(), 1..80)) {
        let layouts = layouts();
        let retention = Duration::from_secs(120);
        let mut world = World::new(Limits { retention, ..Limits::default() });
        for (number, step) in steps.iter().enumerate() {
            // Of three steps two keep the layout, so that differences are what is tested most.
            let layout = if number % 3 == 0 { step.layout } else { 0 };
            world.apply(step, &layouts[layout]);
            world.expire();
            world.check();
        }
        world.now_ms += 200_000;
        world.expire();
        world.check();
        prop_assert_eq!(world.model.stats().entities, 0);
        prop_assert_eq!(world.model.bytes(), 0);
    }
}
