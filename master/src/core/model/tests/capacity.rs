//! How much room rows take, and what happens when there is none.

use super::*;

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

/// Batches of many rows, of two layouts, some with two rows of each entity: every cell of every row
/// reads as it was written, newest first.
#[test]
fn rows_of_whole_hosts_read_as_they_were_written() {
    let mut host = Host::new("a");
    let mut model = Model::new(Limits::default());
    let mut written = Vec::new();
    for step in 0..12 {
        let tick_ms = EPOCH_MS + 2 * step * TICK_MS;
        let mut rows = host.batch(tick_ms);
        if step % 3 == 0 {
            rows.append(host.batch(tick_ms + TICK_MS));
        }
        assert_eq!(model.take(&rows, tick_ms).taken, rows.row_count() as u64);
        written.push(rows);
    }
    let cluster = model.cluster(None).unwrap();
    let (_, node) = cluster.node_named("a").unwrap();
    let mut read_rows = 0;
    for (index, slot) in node.ring.slots() {
        let rows = written.iter().flat_map(|batch| &batch.blocks).flat_map(Block::rows);
        let rows = rows.filter(|row| Arc::ptr_eq(&row.head.entity, &slot.entity));
        let mut expected: Vec<_> =
            rows.map(|row| (row.head.time_ms, row.head.interval_ms, row.cells.to_vec())).collect();
        expected.reverse();
        let mut read = Vec::new();
        node.ring.history(index, |row| {
            let cells = (0..row.layout.fields().len()).map(|field| row.value(field)).collect();
            read.push((row.time_ms, row.interval_ms, cells));
        });
        assert_eq!(read, expected);
        read_rows += read.len();
    }
    assert_eq!(read_rows, 61 * 16);
}

/// A row of some twenty samples takes fewer bytes, and 1,000 such nodes fit in 130 MB with
/// everything that is kept beside the history.
#[test]
fn history_takes_less_than_a_byte_a_sample() {
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
    // Another quarter of an hour: what is folded leaves nothing behind.
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
    assert!(per_sample < 0.9, "{per_sample} bytes a sample");
    assert!(stats.bytes * 1_000 < 130_000_000, "{} bytes a node", stats.bytes);
    assert_eq!(stats.entities, 61);
    assert_eq!(stats.chunks, 61, "the tick at the horizon is still in");
}

/// At the ceiling the oldest ticks go, of all nodes alike; the newest rows stay, and what is held
/// never counts more than the ceiling after a batch.
#[test]
fn the_ceiling_folds_the_oldest_ticks_first() {
    let max_bytes = 80_000;
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
    let mut model = Model::new(Limits { max_bytes: 50_000, ..Limits::default() });
    let mut hosts = ["a", "b", "c", "d"].map(Host::new);
    for tick in 0..3 {
        for host in &mut hosts {
            let now_ms = EPOCH_MS + tick * TICK_MS;
            model.take(&host.batch(now_ms), now_ms);
        }
    }
    let stats = model.stats();
    assert!(stats.rows.refused > 0);
    assert!(stats.bytes < 75_000, "{} bytes", stats.bytes);
    let newest = values(&model, &node("a"), "cpu/usage");
    assert_eq!(newest.last().unwrap().0 / TICK_MS, EPOCH_MS / TICK_MS + 2);
}
