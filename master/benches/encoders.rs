//! Rows to what goes to a peer, one encoder a sink, on one thread: `cargo bench -p heapster-master
//! --bench encoders [-- NAME]`. Elements are samples; the batches are those of 20 hosts with 60
//! containers each, whose entities and layouts the encoder has seen before.
//!
//! With `HEAPSTER_BENCH_WRITE=FILE` it writes a table into that document instead, between the markers
//! `bench-encoders`; `make bench-sinks` does so.

#![allow(clippy::expect_used, clippy::cast_precision_loss)] // a bench alone

#[allow(dead_code)] // what other benches use
#[path = "model/host.rs"]
mod host;
#[path = "encoders/report.rs"]
mod report;

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
    ("graphite", || Box::new(sinks::graphite_door::encoder())),
    ("influxdb", || Box::new(sinks::influxdb_door::encoder())),
    ("opentsdb", || Box::new(sinks::opentsdb_door::encoder())),
    ("riemann", || Box::new(sinks::riemann_door::encoder())),
    ("statsd", || Box::new(sinks::statsd_door::encoder())),
    ("wavefront", || Box::new(sinks::wavefront_door::encoder())),
    ("file", || Box::new(sinks::file_door::encoder())),
    ("honeycomb", || Box::new(sinks::honeycomb_door::encoder())),
    ("gcm", || Box::new(sinks::google_door::encoder())),
    ("elasticsearch", || Box::new(sinks::elasticsearch_door::encoder())),
    ("kafka json", || Box::new(sinks::kafka_door::encoder(false))),
    ("kafka protobuf", || Box::new(sinks::kafka_door::encoder(true))),
    ("nats", || Box::new(sinks::nats_door::encoder())),
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
    if let Some(document) = std::env::var_os("HEAPSTER_BENCH_WRITE") {
        let table = report::table(&batches, &heapster_testkit::bench::machine());
        heapster_testkit::bench::write_section(document.as_ref(), "bench-encoders", &table)
            .expect("the document has a place for the table");
        return;
    }
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
