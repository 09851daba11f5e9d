//! The torture oracle as a program; `make torture` runs it.

use std::process::ExitCode;

use clap::Parser;
use heapster_testkit::{
    bench::write_section,
    torture::{self, Options},
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
#[allow(clippy::print_stderr)]
async fn main() -> ExitCode {
    match torture_or_stop(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heapster-torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Dropping the run, when told to stop, ends the programs that it started.
async fn torture_or_stop(options: &Options) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = torture(options) => result,
        _ = terminated.recv() => anyhow::bail!("terminated"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

/// Prints the report, and writes it only where every promise was kept.
#[allow(clippy::print_stdout, clippy::print_stderr)]
async fn torture(options: &Options) -> anyhow::Result<()> {
    let options =
        Options { seed: options.seed.or_else(|| Some(rand::random())), ..options.clone() };
    eprintln!("seed {}", options.seed.unwrap_or_default());
    let report = torture::run(&options, &mut |line| eprintln!("{line}")).await?;
    println!("{report}");
    report.notes().iter().for_each(|note| eprintln!("{note}"));
    let broken = report.broken();
    anyhow::ensure!(broken.is_empty(), "broken:\n{}", broken.join("\n"));
    match &options.write {
        Some(path) => write_section(path, &report.section(), &report.to_string()),
        None => Ok(()),
    }
}
