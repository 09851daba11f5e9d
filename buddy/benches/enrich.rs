//! What it costs to enrich one host's readings: 30 pods of 2 containers with 11 measured fields each,
//! of which the API server knows all.
//!
//! `hot` is one host polled again and again; `cold` is one of 1,000 hosts polled in turn, where memory
//! matters more than instructions. `anew` is a poll after something of the node changed, so that
//! everything is looked at again. Times are CPU time, so that a busy machine tells the same.

use std::{
    convert::Infallible,
    hint::black_box,
    sync::{Arc, OnceLock},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use heapster_buddy::{
    enrich::{Enricher, HostMemory, LabelRules},
    kubernetes::{
        Amounts, ClusterMetadata, ContainerInfo, ContainerKind, ContainerSpec, NamespaceInfo,
        NodeInfo, Owner, Phase, PodInfo,
    },
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
const METRICS: [MetricId; 6] = [
    table::CPU_USAGE,
    table::MEMORY_USAGE,
    table::MEMORY_WORKING_SET,
    table::MEMORY_RSS,
    table::MEMORY_PAGE_FAULTS,
    table::MEMORY_MAJOR_PAGE_FAULTS,
];
const FILESYSTEM: [MetricId; 5] = [
    table::FILESYSTEM_USAGE,
    table::FILESYSTEM_LIMIT,
    table::FILESYSTEM_AVAILABLE,
    table::FILESYSTEM_INODES,
    table::FILESYSTEM_INODES_FREE,
];
const NETWORK: [MetricId; 4] =
    [table::NETWORK_RX, table::NETWORK_TX, table::NETWORK_RX_ERRORS, table::NETWORK_TX_ERRORS];

/// A host, what its source remembers, and what the enrichment does.
struct Bench {
    number: usize,
    host: Arc<Host>,
    shapes: Shapes,
    memory: HostMemory,
    poll: usize,
}

impl Bench {
    fn new(number: usize) -> Self {
        let host = Arc::new(Host::named(&format!("node-{number}")));
        Self { number, host, shapes: Shapes::default(), memory: HostMemory::default(), poll: 0 }
    }

    /// The readings of the next poll; pods come in another order each time, as from a kubelet.
    fn readings(&mut self, layouts: &Layouts) -> Readings {
        self.poll += 1;
        let time_ms = 1_795_345_200_000 + self.poll as i64 * 15_000;
        let mut recorder = Recorder::new(&mut self.shapes, layouts);
        for pod in (0..PODS).map(|pod| (pod + self.poll * 7) % PODS) {
            let name = Arc::new(pod_name(self.number, pod));
            let labels = Labels::default;
            begin(&mut recorder, &format!("/{pod}"), || Subject::Pod {
                pod: name.clone(),
                labels: labels(),
            });
            record(&mut recorder, &NETWORK, self.poll);
            recorder.end(time_ms, 0);
            for container in 0..CONTAINERS {
                let name = || container_name(container).into();
                let pod_name = &Arc::new(pod_name(self.number, pod));
                begin(&mut recorder, &format!("/{pod}/{container}"), || Subject::PodContainer {
                    pod: pod_name.clone(),
                    name: name(),
                    uid: "".into(),
                    labels: labels(),
                });
                record(&mut recorder, &METRICS, self.poll);
                for metric in FILESYSTEM {
                    recorder.resource(metric, "/", Cell::int(self.poll as i64));
                }
                recorder.end(time_ms, 1_795_000_000_000);
            }
        }
        begin(&mut recorder, "/", || Subject::Node { labels: Labels::default() });
        record(&mut recorder, &METRICS, self.poll);
        recorder.end(time_ms, 1_795_000_000_000);
        recorder.finish()
    }

    /// The time that the next poll takes.
    fn enrich(&mut self, layouts: &Layouts, enricher: &mut Enricher, anew: bool) -> Duration {
        let readings = self.readings(layouts);
        if anew {
            self.host = Arc::new(Host::clone(&self.host));
        }
        let start = cpu_time();
        black_box(enricher.enrich(&mut self.memory, &self.host, &readings));
        cpu_time().saturating_sub(start)
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn pod_name(host: usize, pod: usize) -> PodName {
    PodName {
        namespace: "production".into(),
        name: format!("storefront-7d9f8b6c5-{host:04}{pod:02}").into(),
        uid: format!("0b4b8c1e-3f0e-4a5c-9d7e-{host:06}{pod:06}").into(),
    }
}

fn container_name(container: usize) -> String {
    format!("container-{container}")
}

fn begin(recorder: &mut Recorder<'_>, key: &str, make: impl Fn() -> Subject) {
    let Ok(note) = recorder.begin(key, 1, || Ok::<_, Infallible>((make(), ())));
    assert!(note.is_some(), "each key once");
}

fn record(recorder: &mut Recorder<'_>, metrics: &[MetricId], poll: usize) {
    for metric in metrics {
        recorder.plain(*metric, Cell::int(poll as i64 * 1_000_003));
    }
}

/// What the API server knows of so many nodes, where replicas share what their template says.
fn cluster(hosts: usize) -> ClusterMetadata {
    let amounts =
        Amounts { cpu_millicores: Some(100), memory_bytes: Some(1 << 26), ..Amounts::default() };
    let spec = |container| {
        Arc::new(ContainerSpec {
            name: container_name(container).into(),
            image: "registry.example.com/storefront/server:v1.27.3".into(),
            kind: ContainerKind::Main,
            requests: amounts,
            limits: amounts,
        })
    };
    let specs: Vec<_> = (0..CONTAINERS).map(spec).collect();
    let container = |spec: &Arc<ContainerSpec>| ContainerInfo {
        spec: Arc::clone(spec),
        id: "".into(),
        restarts: 0,
    };
    let pairs = [
        ("app.kubernetes.io/name", "storefront"),
        ("pod-template-hash", "7d9f8b6c5"),
        ("tier", "web"),
    ];
    let labels = Arc::new(Labels::from_iter(pairs));
    let owner = Arc::new(Owner { kind: "Deployment".into(), name: "storefront".into() });
    let pod = |(host, pod)| {
        let PodName { namespace, name, uid } = pod_name(host, pod);
        PodInfo {
            namespace: namespace.as_str().into(),
            name,
            uid: uid.as_str().into(),
            kubelet_uid: None,
            node: format!("node-{host}").into(),
            labels: Arc::clone(&labels),
            owner: Some(Arc::clone(&owner)),
            containers: specs.iter().map(container).collect(),
            phase: Phase::Running,
        }
    };
    let node = |host| NodeInfo {
        name: format!("node-{host}").into(),
        capacity: amounts,
        allocatable: amounts,
        ..NodeInfo::default()
    };
    let namespace =
        NamespaceInfo { name: "production".into(), uid: "uid".into(), labels: Labels::default() };
    let pods = (0..hosts).flat_map(|host| (0..PODS).map(move |pod| (host, pod))).map(pod);
    ClusterMetadata::of((0..hosts).map(node).collect(), vec![namespace], pods.collect())
}

fn enrich(c: &mut Criterion) {
    let mut group = c.benchmark_group("enrich");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for (name, hosts, anew) in [
        ("hot", 1, false),
        ("cold", 1_000, false),
        ("hot, anew", 1, true),
        ("cold, anew", 1_000, true),
    ] {
        let layouts = Layouts::default();
        let known = Arc::new(OnceLock::from(Arc::new(cluster(hosts))));
        let mut enricher = Enricher::new(known, LabelRules::default());
        let mut benches: Vec<Bench> = (0..hosts).map(Bench::new).collect();
        group.sample_size(if hosts == 1 { 50 } else { 10 });
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|polls| {
                let turns = polls.div_ceil(hosts as u64);
                let mut taken = Duration::ZERO;
                for _ in 0..turns {
                    for bench in &mut benches {
                        taken += bench.enrich(&layouts, &mut enricher, anew);
                    }
                }
                // Each turn is of all hosts; what is told is the time of so many polls.
                taken.mul_f64(polls as f64 / (turns * hosts as u64) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, enrich);
criterion_main!(benches);
