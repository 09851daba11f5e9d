//! What the spool on disk costs: appending with each policy of syncing, and looking through what an
//! earlier start left.
//!
//! The files lie in the system's directory for temporary files; `TMPDIR` names another disk.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use heapster_buddy::spool::{
    LogFrame,
    disk::{Directory, Fsync, SegmentFile},
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = append, recover
}
criterion_main!(benches);
