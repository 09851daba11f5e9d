//! What it costs to write what was polled to the journal, and what the journal keeps of it.
//!
//! One host has a node, 30 pods of a container each and 30 groups of the system: 91 entities.
//! `HEAPSTER_BENCH_HOSTS` says how many hosts the memory is measured with; 0 leaves that out.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use heapster_buddy::{
    poller::{Polled, RoundEnd},
    uplink::{Journal, WriteLimits},
};
use heapster_proto::v1::{Delivery, Frame, delivery::Outcome, open::Purpose};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tick::Tick,
};
use prost::Message;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TICK: i64 = 1_795_345_200_000;
const STEP_MS: i64 = 15_000;
/// Rounds that the memory is measured after.
const ROUNDS: i64 = 20;
/// Hosts whose rows go together, as they do where many are polled.
const GATHERED: usize = 20;

/// One host: its entities by layout.
struct Host {
    kinds: Vec<(Arc<Layout>, Vec<Arc<Entity>>)>,
    seed: i64,
}

/// Layouts as cAdvisor gives them.
fn layouts() -> [Arc<Layout>; 2] {
    let container = [
        table::CPU_USAGE,
        table::CPU_LIMIT,
        table::CPU_REQUEST,
        table::MEMORY_USAGE,
        table::MEMORY_CACHE,
        table::MEMORY_RSS,
        table::MEMORY_WORKING_SET,
        table::MEMORY_PAGE_FAULTS,
        table::MEMORY_MAJOR_PAGE_FAULTS,
        table::MEMORY_LIMIT,
        table::MEMORY_REQUEST,
    ];
    let fields = container.iter().map(|metric| Field::plain(metric.def()));
    let disks = [table::DISK_IO_READ_BYTES, table::DISK_IO_WRITE_BYTES]
        .map(|metric| Field::resource(metric.def(), "sda"));
    let network = [table::NETWORK_RX, table::NETWORK_TX].map(|metric| Field::plain(metric.def()));
    let container: Vec<Field> = fields.chain(disks).collect();
    let whole = container.iter().cloned().chain(network).collect();
    [Arc::new(Layout::new(container)), Arc::new(Layout::new(whole))]
}

fn entity(
    table: &mut EntityTable,
    parent: Option<&Arc<Entity>>,
    level: Level,
    name: String,
) -> Arc<Entity> {
    let namespace = if level == Level::Pod { "namespace_name" } else { "container_base_image" };
    table.intern(Definition {
        parent: parent.cloned(),
        level,
        uid: format!("{:016x}-{name}", name.len() * 7_919).into(),
        name: name.into(),
        start_time_ms: TICK - 1_000_000,
        labels: Labels::from_iter([(namespace, "registry/team/service:v1.2.3")]),
    })
}

impl Host {
    fn new(number: usize, layouts: &[Arc<Layout>; 2], table: &mut EntityTable) -> Self {
        let node = entity(table, None, Level::Node, format!("node-{number}"));
        let pod =
            |index| (Level::Pod, format!("service-{index}-7d4b9c6f5-{:05}", number * 31 + index));
        let (mut pods, mut containers) = (vec![Arc::clone(&node)], Vec::new());
        for index in 0..30 {
            let (level, name) = pod(index);
            pods.push(entity(table, Some(&node), level, name));
            let name = format!("service-{index}");
            containers.push(entity(table, Some(&pods[index + 1]), Level::PodContainer, name));
            let name = format!("system.slice/unit-{index}.service");
            containers.push(entity(table, Some(&node), Level::SysContainer, name));
        }
        let [container, whole] = layouts;
        let seed = i64::try_from(number).unwrap();
        Self { kinds: vec![(Arc::clone(whole), pods), (Arc::clone(container), containers)], seed }
    }

    /// Rows in which counters grow, some gauges move and others stand still.
    fn rows(&self, round: i64) -> RowBatch {
        let tick = TICK + round * STEP_MS;
        let block = |(layout, entities): &(Arc<Layout>, Vec<Arc<Entity>>)| {
            let mut block = Block::with_capacity(Arc::clone(layout), entities.len());
            for (index, entity) in entities.iter().enumerate() {
                let index = i64::try_from(index).unwrap();
                let one = self.seed * 37 + index * 101 + 1;
                let grown = |field: i64| one * 1_000 % (10_i64.pow(2 + (field % 4) as u32) * 7);
                let mut increases = Vec::new();
                let mut cells = Vec::new();
                for place in 0..layout.measured().len() {
                    let field = i64::try_from(place).unwrap();
                    cells.push(Cell::int(match layout.counters().contains(&place) {
                        true => {
                            let by = if one % 3 == 0 { 0 } else { grown(field) };
                            let known = round > 0;
                            increases.push(if known { Cell::int(by) } else { Cell::ABSENT });
                            one * 1_000_000 + round * by
                        }
                        false if place % 2 == 1 => one * 4_096 + (round * one) % 257 * 4_096,
                        false => 1 << 30,
                    }));
                }
                let interval_ms = if round > 0 { STEP_MS as u32 } else { 0 };
                let time_ms = tick + one % 900;
                let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms };
                block.push(head, &cells, &increases);
            }
            block
        };
        let blocks = self.kinds.iter().map(block).collect();
        RowBatch { cluster: "lab".into(), tick: Tick(tick), blocks }
    }
}

fn journal() -> Journal {
    let journal = Journal::new("i1".into(), 1 << 30);
    journal.start_session("lab/1".into(), WriteLimits::default());
    journal
}

fn end(journal: &Journal, round: i64) {
    let tick = Tick(TICK + round * STEP_MS);
    let end = RoundEnd { tick, ok: 1, failed: 0, late: 0 };
    journal.write(&Polled::RoundEnd(end));
}

/// Sends all there is, and has it acknowledged; returns the bytes.
fn deliver(journal: &Journal) -> usize {
    let (mut bytes, mut last) = (0, 0);
    while let Ok(frame) = journal.next(Purpose::Live) {
        bytes += frame.len();
        last = Frame::decode(frame).unwrap().sequence.max(last);
    }
    let outcome = Outcome::Delivered.into();
    let all = Delivery { first_sequence: 1, last_sequence: last, outcome, ..Delivery::default() };
    journal.settle(Purpose::Live, &all);
    bytes
}

/// The rounds of some hosts, in batches of so many hosts.
fn batches(hosts: &[Host], round: i64, gathered: usize) -> Vec<RowBatch> {
    let together = |hosts: &[Host]| {
        let mut rows = hosts.iter().map(|host| host.rows(round));
        let mut batch = rows.next().unwrap();
        rows.for_each(|more| batch.append(more));
        batch
    };
    hosts.chunks(gathered).map(together).collect()
}

fn write(criterion: &mut Criterion) {
    let (mut table, layouts) = (EntityTable::default(), layouts());
    let hosts: Vec<Host> = (0..100).map(|number| Host::new(number, &layouts, &mut table)).collect();
    for gathered in [1, GATHERED] {
        let journal = journal();
        let mut round = 0;
        let name = format!("write a round of 100 hosts, {gathered} a batch");
        criterion.bench_function(&name, |bencher| {
            bencher.iter_batched(
                || {
                    deliver(&journal);
                    round += 1;
                    let polled = batches(&hosts, round, gathered).into_iter().map(Polled::Rows);
                    (round, polled.collect::<Vec<_>>())
                },
                |(round, polled)| {
                    polled.iter().for_each(|polled| journal.write(polled));
                    end(&journal, round);
                    polled
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Memory after rounds that were delivered, and bytes on the wire.
fn memory(_: &mut Criterion) {
    let hosts = std::env::var("HEAPSTER_BENCH_HOSTS").map_or(1_000, |hosts| hosts.parse().unwrap());
    if hosts == 0 {
        return;
    }
    let (mut table, layouts) = (EntityTable::default(), layouts());
    let all: Vec<Host> = (0..hosts).map(|number| Host::new(number, &layouts, &mut table)).collect();
    drop(table);
    let before = resident();
    let journal = journal();
    let (mut bytes, mut samples, mut most) = (0, 0, 0);
    for round in 0..ROUNDS {
        for chunk in all.chunks(GATHERED) {
            let batch = batches(chunk, round, GATHERED).remove(0);
            let measured = |block: &Block| block.len() * block.layout().measured().len();
            samples += batch.blocks.iter().map(measured).sum::<usize>();
            journal.write(&Polled::Rows(batch));
        }
        end(&journal, round);
        most = most.max(journal.spool_state().bytes);
        bytes += deliver(&journal);
    }
    let kept = resident().saturating_sub(before) / hosts;
    #[allow(clippy::cast_precision_loss)]
    let per_value = bytes as f64 / samples as f64;
    println!(
        "{hosts} hosts, {ROUNDS} rounds: {per_value:.2} bytes a measured value on the wire; a host: \
         {} bytes in the spool ({} at most), {} in the writer, {kept} resident",
        journal.spool_state().bytes / hosts,
        most / hosts,
        journal.writer_bytes() / hosts,
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(5));
    targets = memory, write
}
criterion_main!(benches);
