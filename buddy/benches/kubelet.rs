//! What it costs to read a kubelet's documents: decoding and mapping, without the network.
//!
//! The documents are those of simulated kubelets; from one poll to the next only numbers change.
//! `cargo bench -p heapster-buddy --bench kubelet`

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use heapster_buddy::source::kubelet_bench::DocumentReader;
use heapster_testkit::{
    http,
    sim::{SimCluster, SimConfig},
};

/// So many polls of the host are read in turn.
const POLLS: usize = 8;

const DOCUMENTS: [(&str, &str); 3] = [
    ("summary", "/stats/summary"),
    ("resource", "/metrics/resource"),
    ("kubelet-cadvisor", "/metrics/cadvisor"),
];

/// The documents of some polls.
fn recorded(pods_per_host: usize, path: &str) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let housekeeping = std::time::Duration::ZERO;
    let config = SimConfig { pods_per_host, sandboxes: true, housekeeping, ..SimConfig::default() };
    let cluster = runtime.block_on(SimCluster::start(config)).unwrap();
    let host = &cluster.hosts()[0];
    let url = format!("http://{}:{}{path}", host.address, host.port);
    (0..POLLS).map(|_| http::get(&url).unwrap().body).collect()
}

fn read_documents(criterion: &mut Criterion) {
    for pods in [30, 110] {
        for (kind, path) in DOCUMENTS {
            let polls = recorded(pods, path);
            let mut group = criterion.benchmark_group(format!("{kind}, {pods} pods"));
            group.throughput(Throughput::Bytes(polls[0].len() as u64));
            for (name, is_new) in [("new numbers", false), ("a host that is new", true)] {
                group.bench_function(name, |bencher| {
                    let mut reader = DocumentReader::new(kind).unwrap();
                    let mut next = polls.iter().cycle();
                    bencher.iter(|| {
                        if is_new {
                            reader.forget();
                        }
                        drop(black_box(reader.read(next.next().unwrap()).unwrap()));
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, read_documents);
criterion_main!(benches);
