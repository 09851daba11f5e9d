//! The whole-program bench as a program; `make bench` runs it.

use std::process::ExitCode;

use clap::Parser;
use heapster_testkit::bench::{self, Options};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
#[allow(clippy::print_stderr)]
async fn main() -> ExitCode {
    // reqwest makes no client without it, not even for plain HTTP; nobody else installs one here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match measure_or_stop(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heapster-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Dropping the run, when told to stop, ends the programs that it started.
async fn measure_or_stop(options: &Options) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = measure(options) => result,
        _ = terminated.recv() => anyhow::bail!("terminated"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

/// Prints the report, and writes it only where the figures are sound.
#[allow(clippy::print_stdout, clippy::print_stderr)]
async fn measure(options: &Options) -> anyhow::Result<()> {
    let report = bench::run(options).await?;
    println!("{report}");
    for doubt in report.doubts() {
        eprintln!("heapster-bench: to be doubted: {doubt}");
    }
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "the figures are not sound: {}", faults.join("; "));
    match &options.write {
        Some(path) => bench::write_section(path, report.section(), &report.to_string()),
        None => Ok(()),
    }
}
