//! What a sink that hangs costs the others: a whole master with five sinks, to which a buddy sends a
//! long log as fast as its credit allows. Once all five answer, once there are four, and once the
//! fifth takes connections and never answers a write. The four are required, so that the log goes
//! at their pace and nothing is dropped; the fifth is not, and drops what does not fit.
//!
//! `cargo bench -p heapster-master --bench isolation` prints the table; with
//! `HEAPSTER_BENCH_WRITE=FILE` it is written into that document, between the markers
//! `bench-isolation`, as `make bench-sinks` does.

// a bench alone
#![allow(clippy::cast_precision_loss, clippy::print_stdout, missing_docs)]

#[path = "ingest/frames.rs"]
#[allow(dead_code)] // what other benches use
mod frames;
#[path = "isolation/peer.rs"]
mod peer;
#[path = "isolation/sender.rs"]
mod sender;

use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use heapster_master::{
    args::MasterArgs,
    program::{Program, block_on},
    status::SinkStatus,
};
use heapster_testkit::bench;
use sender::Sender;
use tokio_util::sync::CancellationToken;

/// Frames that are measured, of 91 rows each, and those before them.
const FRAMES: u32 = 3000;
const WARM_UP: u32 = 500;
/// Times that each case is measured; the best counts, for others may take the machine's time.
const TIMES: usize = 3;
const REQUIRED: usize = 4;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    master: MasterArgs,
}

/// What the fifth sink does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fifth {
    Answers,
    Absent,
    Hangs,
}

const CASES: [(&str, Fifth); 3] = [
    ("the fifth answers", Fifth::Answers),
    ("there is no fifth", Fifth::Absent),
    ("the fifth hangs", Fifth::Hangs),
];

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // `cargo test` only wants to know that it runs.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (frames, times) = if is_test { (40, 1) } else { (FRAMES, TIMES) };
    block_on(async move {
        let mut rates = [0.0_f64; CASES.len()];
        for _ in 0..times {
            for (rate, (_, fifth)) in rates.iter_mut().zip(CASES) {
                *rate = rate.max(measure(fifth, frames).await?);
            }
        }
        let report = report(rates, frames, times);
        match std::env::var_os("HEAPSTER_BENCH_WRITE") {
            Some(document) => {
                bench::write_section(document.as_ref(), "bench-isolation", &report)?;
            }
            None => println!("{report}"),
        }
        Ok(())
    })
}

fn report(rates: [f64; CASES.len()], frames: u32, times: usize) -> String {
    let mut text = format!(
        "Made by `make bench-sinks` on {}, which sender, master and databases share: {frames} frames, the best of {times} times.\n\n\
         | {REQUIRED} required sinks, and | samples a second, through each of the {REQUIRED} | of what it is without a fifth |\n|---|--:|--:|\n",
        bench::machine()
    );
    for ((name, _), rate) in CASES.iter().zip(rates) {
        let share = rate / rates[1] * 100.0;
        text.push_str(&format!("| {name} | {rate:.0} | {share:.1} % |\n"));
    }
    text
}

/// Samples a second through each of the four.
async fn measure(fifth: Fifth, frames: u32) -> anyhow::Result<f64> {
    let mut argv: Vec<String> = ["master", "--insecure", "--listen", "127.0.0.1:0"]
        .iter()
        .chain(&["--grpc-listen", "127.0.0.1:0", "--drain-time", "100ms"])
        .chain(&["--max-bytes-per-second", "4GiB"])
        .map(|word| (*word).to_owned())
        .collect();
    for _ in 0..REQUIRED {
        let address = peer::start(false).await?;
        argv.push(format!("--sink=influxdb:http://{address}?db=k8s&required=true"));
    }
    if fifth != Fifth::Absent {
        let address = peer::start(fifth == Fifth::Hangs).await?;
        argv.push(format!("--sink=influxdb:http://{address}?db=k8s"));
    }
    let program = Program::build(&Cli::parse_from(argv).master, Vec::new(), None)?;
    let (url, status) = (format!("http://{}", program.grpc_address()), program.status());
    let stop = CancellationToken::new();
    let running = tokio::spawn(program.run(stop.clone()));
    let mut sender = Sender::connect(url).await?;
    sender.more(WARM_UP.min(frames)).await?;
    sender.delivered().await?;
    let (begin, before) = (Instant::now(), delivered(&status.sinks().await));
    sender.more(frames).await?;
    sender.delivered().await?;
    let took = begin.elapsed();
    let after = delivered(&status.sinks().await);
    stop.cancel();
    running.await??;
    ensure!(after.len() == REQUIRED, "there are {REQUIRED} required sinks, not {}", after.len());
    let samples = after.iter().zip(&before).map(|(after, before)| after - before);
    let least = samples.min().unwrap_or(0);
    ensure!(least > 0, "after {} frames no sample came through", sender.sent());
    Ok(least as f64 / took.as_secs_f64())
}

/// Samples that each required sink has.
fn delivered(sinks: &[SinkStatus]) -> Vec<u64> {
    sinks.iter().filter(|sink| sink.required).map(|sink| sink.delivered).collect()
}
