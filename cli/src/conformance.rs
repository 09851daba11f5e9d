//! `heapster conformance`: whether a buddy, or a master, written by anybody keeps to the protocol.
//!
//! What plays the other side is written from `heapster.proto` alone: it shares no code with the
//! project's own master and buddy, so that it judges by the contract and not by them.
//!
//! A *check* is a name, a sentence that says what is right, and a verdict. `buddy` and `master` hold
//! the list of theirs, and the order in which they are tried; a breach may be seen at any time.

mod buddy;
mod command;
mod master;
mod report;

use std::{io::Write, net::SocketAddr, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use heapster_shared::{tls::ClientTls, units::parse_duration};
use report::Report;
use tokio::signal::unix::{SignalKind, signal};

use crate::examples;

/// What to try.
#[derive(Args, Debug)]
pub(crate) struct ConformanceArgs {
    #[command(subcommand)]
    side: Side,
}

#[derive(Subcommand, Debug)]
enum Side {
    /// Play the master against a buddy, which is started anew several times
    ///
    /// The command finds the master in the variables HEAPSTER_MASTER (a URL), HEAPSTER_MASTER_ADDRESS
    /// (HOST:PORT), HEAPSTER_CLUSTER and HEAPSTER_INSECURE (true), or where it has {master}, {address}
    /// and {cluster} as words or in them. With --tls it finds files in HEAPSTER_MASTER_CA and
    /// HEAPSTER_TOKEN_FILE, or HEAPSTER_CERT and HEAPSTER_KEY, in place of HEAPSTER_INSECURE, or in
    /// {ca}, {token_file}, {cert} and {key}. No shell reads it: words are parted by spaces, and quotes
    /// keep them together.
    #[command(after_help = examples::CONFORMANCE_BUDDY)]
    Buddy(BuddyArgs),
    /// Play a buddy against a master that runs
    ///
    /// The master gets a cluster of one made-up host: do not try one whose data matter.
    #[command(after_help = examples::CONFORMANCE_MASTER)]
    Master(MasterArgs),
}

#[derive(Args, Clone, Debug)]
struct BuddyArgs {
    /// What starts the buddy
    #[arg(long, value_name = "COMMAND")]
    command: String,
    /// Where the buddy is to connect to, over gRPC; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS, with certificates that are made for the run, and ask who connects
    #[arg(long, value_name = "PROOF")]
    tls: Option<Proof>,
    /// The distance between ticks that the buddy is told of
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = positive)]
    resolution: Duration,
    #[command(flatten)]
    common: CommonArgs,
}

/// By what a buddy says who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Proof {
    /// A token with each stream
    Token,
    /// A client certificate
    Certificate,
}

#[derive(Args, Clone, Debug)]
struct MasterArgs {
    /// Where the master takes buddies, such as http://127.0.0.1:8085 or https://heapster.example:8085
    #[arg(long, value_name = "URL")]
    endpoint: String,
    #[command(flatten)]
    tls: ClientTls,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args, Clone, Debug)]
struct CommonArgs {
    /// The cluster that the buddy speaks for
    #[arg(long, value_name = "NAME", default_value = "conformance")]
    cluster: String,
    /// What the other side may take to do what is expected of it
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = positive)]
    timeout: Duration,
    /// How long to look whether the other side does what it must not
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = positive)]
    quiet: Duration,
    /// How to print the verdicts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A line for each check, and one for why it failed
    Table,
    /// One object with all checks
    Json,
}

fn positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// Tries one side and prints the verdicts; an error when a check failed.
pub(crate) fn run(args: &ConformanceArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (report, output) = match &args.side {
        Side::Buddy(args) => (runtime.block_on(stoppable(buddy::run(args)))?, args.common.output),
        Side::Master(args) => (runtime.block_on(stoppable(master::run(args)))?, args.common.output),
    };
    print(&report, output)?;
    match report.failures() {
        0 => Ok(()),
        failed => bail!("{failed} of {} checks failed", report.len()),
    }
}

/// Ends early when it is asked to, and takes the command that it started along.
async fn stoppable(trying: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<Report> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        report = trying => report,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("asked to end"),
    }
}

fn print(report: &Report, output: Output) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => out.write_all(report.table().as_bytes())?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &report.json())?;
            writeln!(out)?;
        }
    }
    Ok(())
}
