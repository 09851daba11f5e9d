//! What the spool on disk costs: appending with each policy of syncing, looking through what an
//! earlier start left, and keeping the newest counters of a host with each of its polls.
//!
//! The files lie in the system's directory for temporary files; `TMPDIR` names another disk.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use heapster_buddy::{
    pipeline::{HostPipeline, HostSamples, Plans, RecalledHost},
    source::{Layouts, PlainReading, PodName, Readings, Subject},
    spool::{
        LogFrame,
        disk::{
            Directory, Fsync, SegmentFile,
            counters::{CountersFile, HostRecord},
        },
    },
};
use heapster_shared::{
    entity::Labels,
    host::Host,
    row::Cell,
    schema::{Field, table},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A batch of 110 pods or so.
const FRAME_BYTES: usize = 13 << 10;
/// A file is followed by the next when it has about so much.
const FILE_BYTES: u64 = 8 << 20;
const FOUND_BYTES: u64 = 128 << 20;

fn frame(sequence: u64) -> LogFrame {
    let random = |at: u64| (sequence.wrapping_mul(31).wrapping_add(at) >> 3) as u8;
    let bytes: Vec<u8> = (0..FRAME_BYTES as u64).map(random).collect();
    let tick_unix_ms = i64::try_from(sequence).unwrap() * 15_000;
    LogFrame { sequence, tick_unix_ms, is_events: false, bytes: Bytes::from(bytes) }
}

fn append(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Bytes(FRAME_BYTES as u64));
    for (name, fsync) in [
        ("never", Fsync::Never),
        ("interval=1s", Fsync::Interval(Duration::from_secs(1))),
        ("always", Fsync::Always),
    ] {
        let mut number = 0;
        let mut sequence = 0;
        let mut begin = || {
            number += 1;
            let path = folder.path().join(format!("{}-{number}.segment", name.replace('=', "-")));
            SegmentFile::create(&path, b"open").unwrap()
        };
        let mut file = begin();
        let mut synced = std::time::Instant::now();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    sequence += 1;
                    frame(sequence)
                },
                |frame| {
                    if file.bytes() > FILE_BYTES {
                        std::fs::remove_file(file.path()).unwrap();
                        file = begin();
                    }
                    file.append(&[frame]).unwrap();
                    let is_due = match fsync {
                        Fsync::Always => true,
                        Fsync::Interval(interval) => synced.elapsed() >= interval,
                        Fsync::Never => false,
                    };
                    if is_due {
                        file.sync().unwrap();
                        synced = std::time::Instant::now();
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn recover(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::take(folder.path()).unwrap();
    let (mut sequence, mut written) = (0, 0);
    while written < FOUND_BYTES {
        let path = directory.file(&format!("{sequence:013}"));
        let mut file = SegmentFile::create(&path, b"open").unwrap();
        while file.bytes() < FILE_BYTES {
            sequence += 1;
            file.append(&[frame(sequence)]).unwrap();
        }
        file.finish().unwrap();
        written += file.bytes();
    }
    let mut group = criterion.benchmark_group("recover");
    group.throughput(Throughput::Bytes(written)).sample_size(10);
    group.bench_function("128 MiB in the page cache", |bencher| {
        bencher.iter(|| black_box(directory.scan(|path, damage| panic!("{path:?}: {damage:?}"))));
    });
    group.finish();
}

/// A poll of a host of 20 pods with 3 containers each, of 10 counters.
fn readings(poll: i64) -> Readings {
    let time_ms = 1_795_000_000_000 + poll * 15_000;
    let reading = |subject, values: Vec<Field>| PlainReading {
        subject,
        time_ms,
        start_time_ms: 1_794_000_000_000,
        values: values
            .into_iter()
            .zip(1_i64..)
            .map(|(field, at)| (field, Cell::int(at * 98_765_432_101 + poll * 7_654_321 * at)))
            .collect(),
    };
    let mut all = Vec::new();
    for at in 0..20_u64 {
        let pod = Arc::new(PodName {
            namespace: "production".into(),
            name: format!("checkout-service-{:x}-{at:05}", at.wrapping_mul(0x9e37_79b9)).into(),
            uid: format!("{:032x}", u128::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c)).into(),
        });
        let network = [table::NETWORK_RX, table::NETWORK_TX].map(|id| Field::plain(id.def()));
        let own = Subject::Pod { pod: Arc::clone(&pod), labels: Labels::default() };
        all.push(reading(own, network.into()));
        for name in ["app", "sidecar", "metrics-exporter"] {
            let mut fields: Vec<Field> =
                [table::CPU_USAGE, table::MEMORY_PAGE_FAULTS, table::MEMORY_MAJOR_PAGE_FAULTS]
                    .map(|id| Field::plain(id.def()))
                    .into();
            for disk in ["sda", "sdb", "nvme0n1"] {
                let both = [table::DISK_IO_READ_BYTES, table::DISK_IO_WRITE_BYTES];
                fields.extend(both.map(|id| Field::resource(id.def(), disk)));
            }
            let uid = (at + 1) * 31 + name.len() as u64;
            let subject = Subject::PodContainer {
                pod: Arc::clone(&pod),
                name: name.into(),
                uid: format!("{:064x}", u128::from(uid).wrapping_pow(19)).into(),
                labels: Labels::default(),
            };
            all.push(reading(subject, fields));
        }
    }
    Readings::collect(all, &Layouts::default())
}

fn pack(samples: &HostSamples) -> HostRecord {
    let payload = zstd::bulk::compress(&samples.encode(), 1).unwrap().into();
    HostRecord { host: samples.host().clone(), payload }
}

/// For a host with 60 containers: what the poller does, what the thread of the spool does, and what
/// the next start does.
fn counters(criterion: &mut Criterion) {
    let host = Arc::new(Host::named("node-00001.example.com"));
    let (mut pipeline, mut plans) = (HostPipeline::default(), Plans::default());
    for poll in 0..2 {
        pipeline.advance(&mut plans, &host, &readings(poll));
    }
    let samples = pipeline.samples(&"production".into()).unwrap();
    let (encoded, record) = (samples.encode(), pack(&samples));
    let folder = tempfile::tempdir().unwrap();
    let (mut file, _) = CountersFile::open(folder.path(), 1 << 30).unwrap();
    let mut group = criterion.benchmark_group("counters of a host");
    let cluster = "production".into();
    group.bench_function("take", |bencher| bencher.iter(|| black_box(pipeline.samples(&cluster))));
    let sizes = format!("pack {} bytes as {}", encoded.len(), record.payload.len());
    group.bench_function(sizes, |bencher| bencher.iter(|| black_box(pack(&samples))));
    group.bench_function("append", |bencher| {
        bencher.iter(|| file.append(std::slice::from_ref(&record), 1).unwrap());
    });
    group.bench_function("recall", |bencher| {
        bencher.iter(|| {
            let bytes = zstd::bulk::decompress(&record.payload, encoded.len()).unwrap();
            black_box(RecalledHost::decode(&bytes).unwrap())
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = append, recover, counters
}
criterion_main!(benches);
