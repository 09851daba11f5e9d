//! The slim buddy: `heapster buddy` without the rest.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use heapster_buddy::args::{PollingArgs, UplinkArgs};
use heapster_shared::config::DiagnosticArgs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds the hosts of one cluster, polls them, and streams what they measure to Heapster's master.
#[derive(Debug, Parser)]
#[command(name = "heapster-buddy", version)]
struct Cli {
    #[command(flatten)]
    uplink: UplinkArgs,
    #[command(flatten)]
    polling: PollingArgs,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

fn main() -> ExitCode {
    // Fails only where a provider is installed already, and nothing was before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli: Cli = heapster_shared::config::parse(std::env::args_os().collect(), |name| {
        std::env::var(name).ok()
    })
    .unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads, nothing can be said.
            let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    cli.diagnostics.init().map_err(anyhow::Error::msg)?;
    heapster_buddy::program::run(cli.polling, &cli.uplink)
}
