//! What the model costs: microseconds a batch of one host and a read of one series, and bytes an
//! entity and a sample, counted by the allocator. `cargo bench -p heapster-master --bench model`.

#[path = "model/host.rs"]
mod host;

use std::{alloc::System, hint::black_box, time::Instant};

use cap::Cap;
use criterion::Criterion;
use heapster_master::core::model::{Limits, Model, Range, Subject};
use heapster_shared::{entity::EntityTable, row::RowBatch};

use host::{EPOCH_MS, Host, Layouts, TICK_MS};

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const HOSTS: usize = 100;
/// A quarter of an hour.
const TICKS: i64 = 60;

struct World {
    table: EntityTable,
    hosts: Vec<Host>,
    model: Model,
    tick: i64,
}

impl World {
    fn now_ms(&self) -> i64 {
        EPOCH_MS + self.tick * TICK_MS
    }

    fn next_batches(&mut self) -> Vec<RowBatch> {
        self.tick += 1;
        let now_ms = self.now_ms();
        self.hosts.iter_mut().map(|host| host.batch(now_ms)).collect()
    }

    fn take(&mut self, batches: &[RowBatch]) {
        for batch in batches {
            black_box(self.model.take(batch, self.now_ms()));
        }
    }

    fn expire(&mut self) {
        self.model.expire(self.now_ms());
    }
}

/// A full model; says on the way what it takes.
fn full() -> World {
    let start = ALLOCATED.allocated();
    let layouts = Layouts::default();
    let mut table = EntityTable::default();
    let hosts = (0..HOSTS).map(|number| Host::new(number, &mut table, &layouts)).collect();
    let mut world = World { table, hosts, model: Model::new(Limits::default()), tick: 0 };
    let entities = world.table.len();
    // Entities: what it takes to make them again, in a table of their own.
    let before = ALLOCATED.allocated();
    let mut table = EntityTable::default();
    let again: Vec<Host> =
        (0..HOSTS).map(|number| Host::new(number, &mut table, &layouts)).collect();
    drop(again);
    report("bytes an entity in the table", ALLOCATED.allocated() - before, entities);
    drop(table);

    let before = ALLOCATED.allocated();
    let mut samples = 0;
    let mut fill = |world: &mut World, ticks: i64| {
        for _ in 0..ticks {
            let batches = world.next_batches();
            samples = batches.iter().map(RowBatch::sample_count).sum::<usize>();
            world.take(&batches);
            drop(batches);
            world.expire();
        }
    };
    fill(&mut world, 1);
    let one = ALLOCATED.allocated() - before;
    report("bytes an entity in the model after one tick", one, entities);
    fill(&mut world, 2 * TICKS);
    let all = ALLOCATED.allocated() - before;
    let kept = world.model.stats().chunks / HOSTS;
    report("bytes a host in the full model", all, HOSTS);
    report("bytes a host, counted by the model itself", world.model.bytes(), HOSTS);
    report("bytes a sample of its history", all - one, samples * (kept - 1));
    report("bytes in all", ALLOCATED.allocated() - start, HOSTS);
    world
}

#[allow(clippy::print_stderr)] // what a benchmark is for
fn report(what: &str, bytes: usize, count: usize) {
    eprintln!("{what}: {:.2}", bytes as f64 / count as f64);
}

fn main() {
    let mut world = full();
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("take one host's batch and expire its oldest", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = std::time::Duration::ZERO;
            let hosts = world.hosts.len() as u64;
            for _ in 0..rounds.div_ceil(hosts) {
                let batches = world.next_batches();
                let start = Instant::now();
                world.take(&batches);
                world.expire();
                spent += start.elapsed();
            }
            spent.mul_f64(rounds as f64 / (rounds.div_ceil(hosts) * hosts) as f64)
        });
    });
    let cluster = world.model.cluster(None).expect("the one cluster");
    let node = Subject::Node { node: "node-7".into() };
    criterion.bench_function("read a quarter of an hour of a rate", |bencher| {
        bencher.iter(|| {
            let read = cluster.series(&node, "cpu/usage_rate", &[], Range::default());
            assert_eq!(read.expect("a series").points.len(), 61);
        });
    });
    criterion.bench_function("read the overview of 100 hosts", |bencher| {
        bencher.iter(|| black_box(cluster.overview(10)));
    });
    criterion.final_summary();
}
