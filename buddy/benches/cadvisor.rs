//! What it costs to read one host's answers: decoding and mapping, without the network.
//!
//! The answers are those of a simulated host with 60 containers, as cAdvisor 0.36 gives them; from
//! one poll to the next only numbers change. `cargo bench -p heapster-buddy --bench cadvisor`

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use heapster_buddy::source::cadvisor_bench::AnswerReader;
use heapster_testkit::{
    http,
    sim::{SimCluster, SimConfig},
};

/// So many polls of the host are read in turn.
const POLLS: usize = 8;

/// The answers of one poll: `stats` and `machinestats`.
type Answers = (String, String);

fn recorded(config: SimConfig) -> (String, Vec<Answers>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(SimCluster::start(config)).unwrap();
    let host = &cluster.hosts()[0];
    let get = |request: &str| {
        let url = format!("http://{}:{}/api/v2.1/{request}", host.address, host.port);
        http::get(&url).unwrap().body
    };
    let poll = || {
        let stats = get("stats/?type=name&recursive=true&count=1");
        (stats, get("machinestats?count=1"))
    };
    (get("machine"), (0..POLLS).map(|_| poll()).collect())
}

fn read_answers(criterion: &mut Criterion) {
    for (name, sandboxes) in [("60 containers", false), ("60 containers, 30 sandboxes", true)] {
        let housekeeping = std::time::Duration::ZERO;
        let config = SimConfig { sandboxes, housekeeping, ..SimConfig::default() };
        let (machine, polls) = recorded(config);
        let bytes = polls[0].0.len() + polls[0].1.len();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function("new numbers", |bencher| {
            let mut reader = AnswerReader::new(&machine).unwrap();
            let mut next = polls.iter().cycle().cloned();
            let answers = || next.next().unwrap();
            let read = |(stats, machine_stats)| drop(black_box(reader.read(stats, machine_stats)));
            bencher.iter_batched(answers, read, BatchSize::SmallInput);
        });
        group.bench_function("a host that is new", |bencher| {
            let mut reader = AnswerReader::new(&machine).unwrap();
            let mut next = polls.iter().cycle().cloned();
            let answers = || next.next().unwrap();
            let read = |(stats, machine_stats)| {
                reader.forget();
                drop(black_box(reader.read(stats, machine_stats)));
            };
            bencher.iter_batched(answers, read, BatchSize::SmallInput);
        });
        group.finish();
    }
}

criterion_group!(benches, read_answers);
criterion_main!(benches);
