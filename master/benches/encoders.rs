//! Rows to what goes to a peer, one encoder a sink, on one thread: `cargo bench -p heapster-master
//! --bench encoders [-- NAME]`. Elements are samples; the batches are those of 20 hosts with 60
//! containers each, whose entities and layouts the encoder has seen before.

#[allow(dead_code)] // what other benches use
#[path = "model/host.rs"]
mod host;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use heapster_master::sinks;
use heapster_shared::{entity::EntityTable, row::RowBatch};

use host::{EPOCH_MS, Host, Layouts};

/// Takes rows, gives the bytes that they became.
type Encoder = Box<dyn FnMut(&RowBatch) -> usize>;

/// The name of a sink, or of one of its forms, and what makes an encoder of it.
type Entry = (&'static str, fn() -> Encoder);

const ENCODERS: &[Entry] = &[
    ("influxdb", || Box::new(sinks::influxdb_door::encoder())),
    ("otlp", || Box::new(sinks::otlp_door::encoder())),
    ("prometheus 1.0", || Box::new(sinks::remote_write_door::version_one())),
    ("prometheus 2.0", || Box::new(sinks::remote_write_door::version_two())),
];

const HOSTS: usize = 20;

fn batches() -> Vec<RowBatch> {
    let (layouts, mut table) = (Layouts::default(), EntityTable::default());
    let hosts = (0..HOSTS).map(|number| Host::new(number, &mut table, &layouts));
    hosts.map(|mut host| host.batch(EPOCH_MS)).collect()
}

fn main() {
    let batches = batches();
    let samples: usize = batches.iter().map(RowBatch::sample_count).sum();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("encoders");
    group.throughput(Throughput::Elements(samples as u64));
    for (name, make) in ENCODERS {
        let mut encoder = make();
        group.bench_function(*name, |bencher| {
            bencher.iter(|| -> usize { batches.iter().map(|rows| encoder(black_box(rows))).sum() });
        });
    }
    group.finish();
    criterion.final_summary();
}
