//! The whole-program bench as a program; `make bench` runs it.

use clap::Parser;
use heapster_testkit::bench::{self, Options};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // reqwest makes no client without it, not even for plain HTTP; nobody else installs one here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options::parse();
    let mut terminated = signal(SignalKind::terminate())?;
    // Dropping the run ends the programs that it started.
    tokio::select! {
        result = measure(&options) => result,
        _ = terminated.recv() => anyhow::bail!("terminated"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

#[allow(clippy::print_stdout)]
async fn measure(options: &Options) -> anyhow::Result<()> {
    let report = bench::run(options).await?;
    println!("{report}");
    if let Some(path) = &options.write {
        bench::write_section(path, &report.to_string())?;
    }
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "the figures are not sound: {}", faults.join("; "));
    Ok(())
}
