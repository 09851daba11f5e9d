//! What it costs to turn one host's readings into rows: 30 pods of 2 containers with 16 measured
//! fields each, on a host where nothing but numbers changes.
//!
//! `hot` is one host polled again and again; `cold` is one of 1,000 hosts polled in turn, which is
//! what a buddy does, and where memory matters more than instructions. Times are CPU time, so that
//! a busy machine tells the same.

use std::{convert::Infallible, hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use heapster_buddy::{
    pipeline::{HostPipeline, Plans},
    source::{Layouts, PodName, Readings, Recorder, Shapes, Subject},
};
use heapster_shared::{
    entity::Labels,
    host::Host,
    row::Cell,
    schema::{MetricId, table},
};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: usize = 30;
const CONTAINERS: usize = 2;
const GAUGES: [MetricId; 6] = [
    table::MEMORY_USAGE,
    table::MEMORY_WORKING_SET,
    table::MEMORY_RSS,
    table::MEMORY_CACHE,
    table::CPU_LIMIT,
    table::MEMORY_LIMIT,
];
const COUNTERS: [MetricId; 3] =
    [table::CPU_USAGE, table::MEMORY_PAGE_FAULTS, table::MEMORY_MAJOR_PAGE_FAULTS];
const NETWORK: [MetricId; 4] =
    [table::NETWORK_RX, table::NETWORK_TX, table::NETWORK_RX_ERRORS, table::NETWORK_TX_ERRORS];

/// A simulated host, what its source remembers, and its pipeline.
struct Bench {
    host: Arc<Host>,
    shapes: Shapes,
    pipeline: HostPipeline,
    poll: i64,
}

impl Bench {
    fn new(number: usize) -> Self {
        let host = Arc::new(Host::named(&format!("node-{number}")));
        Self { host, shapes: Shapes::default(), pipeline: HostPipeline::default(), poll: 0 }
    }

    /// The readings of the next poll, 15 s after the one before. Where `rotated`, pods come in
    /// another order each time, as those of a kubelet do.
    fn readings(&mut self, layouts: &Layouts, rotated: bool) -> Readings {
        self.poll += 1;
        let time_ms = 1_795_345_200_000 + self.poll * 15_000;
        let mut recorder = Recorder::new(&mut self.shapes, layouts);
        let first = if rotated { self.poll as usize * 7 } else { 0 };
        for pod in (0..PODS).map(|pod| (pod + first) % PODS) {
            let name = pod_name(pod);
            let make = || Subject::Pod { pod: name.clone(), labels: Labels::default() };
            begin(&mut recorder, &format!("/{pod}"), make);
            record(&mut recorder, &NETWORK, self.poll, pod);
            recorder.end(time_ms, 0);
            for container in 0..CONTAINERS {
                let make = || container_subject(&name, container);
                begin(&mut recorder, &format!("/{pod}/{container}"), make);
                record(&mut recorder, &COUNTERS, self.poll, pod + container);
                record(&mut recorder, &GAUGES, self.poll, pod + container);
                for disk in ["sda", "sdb"] {
                    for metric in [table::DISK_IO_READ_BYTES, table::DISK_IO_WRITE_BYTES] {
                        recorder.resource(metric, disk, Cell::int(self.poll * 4096));
                    }
                }
                for metric in [table::FILESYSTEM_USAGE, table::FILESYSTEM_LIMIT] {
                    recorder.resource(metric, "/", Cell::int(self.poll * 77));
                }
                recorder.plain(table::RESTART_COUNT, Cell::int(0));
                recorder.end(time_ms, 1_795_000_000_000 + pod as i64);
            }
        }
        begin(&mut recorder, "/", || Subject::Node { labels: Labels::default() });
        record(&mut recorder, &COUNTERS, self.poll, 1);
        record(&mut recorder, &GAUGES[..4], self.poll, 1);
        for metric in [table::CPU_NODE_CAPACITY, table::MEMORY_NODE_CAPACITY] {
            recorder.plain(metric, Cell::int(1 << 36));
        }
        recorder.end(time_ms, 1_795_000_000_000);
        recorder.finish()
    }

    /// The time that the pipeline takes for the next poll.
    fn advance(&mut self, layouts: &Layouts, plans: &mut Plans, rotated: bool) -> Duration {
        let readings = self.readings(layouts, rotated);
        let start = cpu_time();
        black_box(self.pipeline.advance(plans, &self.host, &readings));
        cpu_time().saturating_sub(start)
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn pod_name(pod: usize) -> Arc<PodName> {
    Arc::new(PodName {
        namespace: "production".into(),
        name: format!("storefront-7d9f8b6c5-{pod:05}").into(),
        uid: format!("0b4b8c1e-3f0e-4a5c-9d7e-{pod:012}").into(),
    })
}

fn container_subject(pod: &Arc<PodName>, container: usize) -> Subject {
    let image = ("container_base_image", "registry.example.com/storefront/server:v1.27.3");
    Subject::PodContainer {
        pod: pod.clone(),
        name: format!("container-{container}").into(),
        uid: format!("{container:064}").into(),
        labels: Labels::from_iter([image]),
    }
}

fn begin(recorder: &mut Recorder<'_>, key: &str, make: impl Fn() -> Subject) {
    let Ok(note) = recorder.begin(key, 1, || Ok::<_, Infallible>((make(), ())));
    assert!(note.is_some(), "each key once");
}

fn record(recorder: &mut Recorder<'_>, metrics: &[MetricId], poll: i64, salt: usize) {
    for (index, metric) in metrics.iter().enumerate() {
        recorder.plain(*metric, Cell::int(poll * (1_000_003 + (index * 31 + salt) as i64)));
    }
}

fn advance(c: &mut Criterion) {
    let mut group = c.benchmark_group("advance");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for (name, hosts, rotated) in [
        ("hot", 1, false),
        ("hot, shuffled", 1, true),
        ("cold", 1_000, false),
        ("cold, shuffled", 1_000, true),
    ] {
        let layouts = Layouts::default();
        let mut plans = Plans::default();
        let mut benches: Vec<Bench> = (0..hosts).map(Bench::new).collect();
        group.sample_size(if hosts == 1 { 50 } else { 10 });
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|polls| {
                let turns = polls.div_ceil(hosts as u64);
                let mut taken = Duration::ZERO;
                for _ in 0..turns {
                    for bench in &mut benches {
                        taken += bench.advance(&layouts, &mut plans, rotated);
                    }
                }
                // Each turn is of all hosts; what is told is the time of so many polls.
                taken.mul_f64(polls as f64 / (turns * hosts as u64) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, advance);
criterion_main!(benches);
