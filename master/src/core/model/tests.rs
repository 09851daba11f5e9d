//! What is written is what is read; what is old or too much goes, and is counted.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{CustomMetric, Field, Kind, Layout, Metric, ValueType, table},
    tag,
    tick::Tick,
};
use proptest::prelude::*;

use super::*;

const TICK_MS: i64 = 15_000;
/// A tick to start from.
const EPOCH_MS: i64 = 1_795_345_200_000;

fn define(
    table: &mut EntityTable,
    parent: Option<&Arc<Entity>>,
    level: Level,
    name: &str,
    start_time_ms: i64,
    labels: &[(&str, &str)],
) -> Arc<Entity> {
    table.intern(Definition {
        parent: parent.cloned(),
        level,
        name: name.into(),
        uid: "".into(),
        start_time_ms,
        labels: labels.iter().copied().collect::<Labels>(),
    })
}

fn pod(table: &mut EntityTable, node: &str, name: &str) -> Arc<Entity> {
    let node = define(table, None, Level::Node, node, 0, &[]);
    define(table, Some(&node), Level::Pod, name, 0, &[(tag::NAMESPACE_NAME, "default")])
}

fn batch(tick_ms: i64, blocks: Vec<Block>) -> RowBatch {
    RowBatch { cluster: "lab".into(), tick: Tick(tick_ms), blocks }
}

fn memory_layout() -> Arc<Layout> {
    Arc::new(Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]))
}

/// A batch of one row of one gauge.
fn memory(entity: &Arc<Entity>, layout: &Arc<Layout>, time_ms: i64, value: i64) -> RowBatch {
    let mut block = Block::new(Arc::clone(layout));
    let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms: 0 };
    block.push(head, &[Cell::int(value)], &[]);
    batch(time_ms - time_ms.rem_euclid(TICK_MS), vec![block])
}

fn values(model: &Model, subject: &Subject, metric: &str) -> Vec<(i64, i64)> {
    let cluster = model.cluster(Some("lab")).unwrap();
    let series = cluster.series(subject, metric, &[], Range::default()).unwrap();
    series.points.iter().map(|point| (point.time_ms, point.value.as_int().unwrap())).collect()
}

fn node(name: &str) -> Subject {
    Subject::Node { node: name.into() }
}

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
                cluster.node(place.ring).unwrap().ring.history(place.slot, |row, increases| {
                    let fields = 0..row.layout.fields().len();
                    let cells: Vec<_> = fields.map(|field| row.value(field, increases)).collect();
                    rows.push((row.time_ms, cells));
                });
            }
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

/// A pod that moved keeps one history; the rows of both nodes are merged by time.
#[test]
fn a_pod_that_moved_has_one_history() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    for (step, on) in ["a", "a", "b", "b"].into_iter().enumerate() {
        let step = step as i64;
        let entity = pod(&mut table, on, "web");
        let time_ms = EPOCH_MS + step * TICK_MS;
        model.take(&memory(&entity, &layout, time_ms, step), time_ms);
    }
    let web = Subject::Pod { namespace: "default".into(), pod: "web".into() };
    let steps: Vec<_> =
        values(&model, &web, "memory/usage").into_iter().map(|(_, value)| value).collect();
    assert_eq!(steps, [0, 1, 2, 3]);
    let cluster = model.cluster(None).unwrap();
    assert_eq!(cluster.names(&Names::Pods { namespace: "default".into() }).unwrap(), ["web"]);
    assert_eq!(cluster.names(&Names::Nodes).unwrap(), ["a", "b"]);
}

/// A cluster actor that starts again numbers its entities anew; their histories go on, and none
/// gets another's.
#[test]
fn another_table_of_entities_changes_nothing() {
    let layout = memory_layout();
    let mut model = Model::new(Limits::default());
    let mut tables = [EntityTable::default(), EntityTable::default()];
    for (table, names) in tables.iter_mut().zip([["a", "b"], ["b", "a"]]) {
        let time_ms = model.received_unix_ms.max(EPOCH_MS) + TICK_MS;
        for name in names {
            let entity = define(table, None, Level::Node, name, 0, &[]);
            model.take(&memory(&entity, &layout, time_ms, i64::from(name.as_bytes()[0])), time_ms);
        }
    }
    for (name, value) in [("a", 97), ("b", 98)] {
        let read: Vec<_> = values(&model, &node(name), "memory/usage");
        assert_eq!(read.len(), 2);
        assert!(read.iter().all(|(_, read)| *read == value), "{name}: {read:?}");
    }
    model.expire(EPOCH_MS + 3 * TICK_MS);
    assert_eq!(model.stats().entities, 2);
}

/// The rows of a host with 60 containers in 30 pods, as they might be: counters that grow, gauges
/// that mostly stay.
struct Host {
    layouts: [Arc<Layout>; 2],
    entities: Vec<(usize, Arc<Entity>)>,
    cells: Vec<Vec<i64>>,
    times_ms: Vec<i64>,
    random: u64,
}

impl Host {
    fn new(name: &str) -> Self {
        let mut table = EntityTable::default();
        let measured: Vec<Field> = [
            table::CPU_USAGE,
            table::MEMORY_PAGE_FAULTS,
            table::MEMORY_MAJOR_PAGE_FAULTS,
            table::MEMORY_USAGE,
            table::MEMORY_WORKING_SET,
            table::MEMORY_RSS,
            table::MEMORY_CACHE,
            table::CPU_REQUEST,
            table::CPU_LIMIT,
            table::MEMORY_REQUEST,
            table::MEMORY_LIMIT,
            table::RESTART_COUNT,
        ]
        .into_iter()
        .map(|id| Field::plain(id.def()))
        .collect();
        let disks = [table::DISK_IO_READ_BYTES, table::DISK_IO_WRITE_BYTES];
        let disks = disks.map(|id| Field::resource(id.def(), "sda"));
        let sizes = [table::FILESYSTEM_USAGE, table::FILESYSTEM_LIMIT, table::FILESYSTEM_AVAILABLE];
        let sizes = sizes.map(|id| Field::resource(id.def(), "/"));
        let container: Vec<Field> = measured.into_iter().chain(disks).chain(sizes).collect();
        let network = [table::NETWORK_RX, table::NETWORK_TX, table::NETWORK_RX_ERRORS];
        let network = network.map(|id| Field::plain(id.def()));
        let node_fields = network.into_iter().chain(container.iter().cloned()).collect();
        let layouts = [container, node_fields].map(|fields| Arc::new(Layout::new(fields)));
        let mut entities = vec![(1, define(&mut table, None, Level::Node, name, 1, &[]))];
        for number in 0..60 {
            let on = pod(&mut table, name, &format!("web-{}", number / 2));
            let name = format!("c{number}");
            let image = [(tag::CONTAINER_BASE_IMAGE, "registry.example/web:1.2.3")];
            entities
                .push((0, define(&mut table, Some(&on), Level::PodContainer, &name, 1, &image)));
        }
        let cells =
            entities.iter().map(|(layout, _)| vec![1 << 30; layouts[*layout].measured().len()]);
        let times_ms = vec![EPOCH_MS - TICK_MS; entities.len()];
        Self { cells: cells.collect(), layouts, entities, times_ms, random: 1 }
    }

    /// A number below the bound.
    fn random(&mut self, bound: i64) -> i64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        i64::try_from(self.random % bound.unsigned_abs()).unwrap()
    }

    fn batch(&mut self, tick_ms: i64) -> RowBatch {
        let mut blocks = self.layouts.clone().map(Block::new);
        for index in 0..self.entities.len() {
            let (layout, entity) = self.entities[index].clone();
            let counters = self.layouts[layout].counters().to_vec();
            let mut increases = Vec::new();
            for field in 0..self.cells[index].len() {
                let growth = match field {
                    _ if counters.contains(&field) => {
                        let bound = if field == 0 { 15_000_000_000 } else { 3_000 };
                        let growth = self.random(bound);
                        increases.push(Cell::int(growth));
                        growth
                    }
                    3..7 => 4096 * (self.random(64) - 32),
                    _ => 0,
                };
                self.cells[index][field] += growth;
            }
            let time_ms = tick_ms + 500 + self.random(100);
            let cells: Vec<Cell> = self.cells[index].iter().copied().map(Cell::int).collect();
            let before_ms = std::mem::replace(&mut self.times_ms[index], time_ms);
            let interval_ms = u32::try_from(time_ms - before_ms).unwrap_or_default();
            blocks[layout].push(RowHead { entity, time_ms, interval_ms }, &cells, &increases);
        }
        batch(tick_ms, blocks.into())
    }
}

/// A row of some twenty samples takes about as many bytes, and 1,000 such nodes fit in 200 MB with
/// everything that is kept beside the history.
#[test]
fn history_takes_about_a_byte_a_sample() {
    let mut host = Host::new("a");
    let mut model = Model::new(Limits::default());
    let now = |tick: i64| EPOCH_MS + tick * TICK_MS;
    let mut samples = 0;
    for tick in 0..60 {
        let rows = host.batch(now(tick));
        if tick == 1 {
            model.expire(now(tick));
        }
        samples += rows.sample_count();
        model.take(&rows, now(tick));
    }
    // Another quarter of an hour, so that tails are there too.
    for tick in 60..120 {
        model.take(&host.batch(now(tick)), now(tick));
        model.expire(now(tick));
    }
    let stats = model.stats();
    let history: usize = {
        let cluster = model.cluster(None).unwrap();
        cluster.nodes().map(|(_, node)| node.ring.chunk_bytes()).sum()
    };
    let per_sample = history as f64 / samples as f64;
    assert!(per_sample < 1.5, "{per_sample} bytes a sample");
    assert!(stats.bytes * 1_000 < 200_000_000, "{} bytes a node", stats.bytes);
    assert_eq!(stats.entities, 61);
    assert_eq!(stats.chunks, 61, "the tick at the horizon is still in");
}

/// At the ceiling the oldest ticks go, of all nodes alike; the newest rows stay, and what is held
/// never counts more than the ceiling after a batch.
#[test]
fn the_ceiling_folds_the_oldest_ticks_first() {
    let max_bytes = 160_000;
    let mut model = Model::new(Limits { max_bytes, ..Limits::default() });
    let mut hosts = [Host::new("a"), Host::new("b")];
    for tick in 0..40 {
        for host in &mut hosts {
            let now_ms = EPOCH_MS + tick * TICK_MS;
            model.take(&host.batch(now_ms), now_ms);
            assert!(model.bytes() <= max_bytes, "{} bytes", model.bytes());
        }
    }
    assert!(model.stats().folded_early > 0);
    let lengths = ["a", "b"].map(|name| values(&model, &node(name), "cpu/usage").len());
    assert!(lengths[0] > 3 && lengths[0] < 40, "{lengths:?}");
    assert!(lengths[0].abs_diff(lengths[1]) <= 1, "{lengths:?}");
}

/// Where not even the newest rows fit, new entities are refused and counted, and the known ones
/// go on.
#[test]
fn a_full_model_refuses_new_entities_and_keeps_the_known() {
    let mut model = Model::new(Limits { max_bytes: 100_000, ..Limits::default() });
    let mut hosts = ["a", "b", "c", "d"].map(Host::new);
    for tick in 0..3 {
        for host in &mut hosts {
            let now_ms = EPOCH_MS + tick * TICK_MS;
            model.take(&host.batch(now_ms), now_ms);
        }
    }
    let stats = model.stats();
    assert!(stats.rows.refused > 0);
    assert!(stats.bytes < 150_000, "{} bytes", stats.bytes);
    let newest = values(&model, &node("a"), "cpu/usage");
    assert_eq!(newest.last().unwrap().0 / TICK_MS, EPOCH_MS / TICK_MS + 2);
}

#[test]
fn rows_from_another_age_are_refused() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    let entity = define(&mut table, None, Level::Node, "a", 0, &[]);
    let hour = 3_600_000;
    model.take(&memory(&entity, &layout, EPOCH_MS - hour, 1), EPOCH_MS);
    model.take(&memory(&entity, &layout, EPOCH_MS + hour, 1), EPOCH_MS);
    let rows = model.stats().rows;
    assert_eq!((rows.late, rows.ahead, rows.taken), (1, 1, 0));
    assert_eq!(model.cluster(None).unwrap_err(), QueryError::Empty);
}

/// A metric with one series a device wants to know which; an unknown name lists the known ones.
#[test]
fn questions_without_an_answer_say_what_there_is() {
    let mut table = EntityTable::default();
    let entity = define(&mut table, None, Level::Node, "a", 0, &[]);
    let disks = ["sda", "sdb"].map(|disk| Field::resource(table::DISK_IO_READ_BYTES.def(), disk));
    let mut block = Block::new(Arc::new(Layout::new(disks.into())));
    let head = RowHead { entity, time_ms: EPOCH_MS, interval_ms: 0 };
    block.push(head, &[Cell::int(1), Cell::int(2)], &[Cell::ABSENT; 2]);
    let mut model = Model::new(Limits::default());
    model.take(&batch(EPOCH_MS, vec![block]), EPOCH_MS);
    let cluster = model.cluster(None).unwrap();
    let read = |subject: &Subject, metric: &str, labels: &[(&str, &str)]| {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let series = cluster.series(subject, metric, &labels, Range::default());
        series.map(|series| series.points[0].value).map_err(|error| error.to_string())
    };
    let metric = "disk/io_read_bytes";
    assert_eq!(read(&node("a"), metric, &[("resource_id", "sdb")]), Ok(Cell::int(2)));
    assert_eq!(
        read(&node("a"), metric, &[]).unwrap_err(),
        "`disk/io_read_bytes` has several series: choose one with ?labels=resource_id:sda; \
         they are resource_id:sda and resource_id:sdb"
    );
    assert_eq!(
        read(&node("a"), "cpu/none", &[]).unwrap_err(),
        "there is no metric `cpu/none` of node `a`; the known ones are disk/io_read_bytes"
    );
    assert_eq!(
        read(&node("nope"), metric, &[]).unwrap_err(),
        "there is no node `nope`; the known ones are a"
    );
}
