//! The slim buddy: `heapster buddy` without the rest.

use std::process::ExitCode;

use clap::Parser;
use heapster_buddy::{
    args::{PollingArgs, UplinkArgs},
    program,
};
use heapster_shared::config::{self, DiagnosticArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds the hosts of one cluster, polls them, and streams what they measure to Heapster's master.
#[derive(Parser)]
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
    let cli: Cli = config::parse(std::env::args_os().collect(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    config::exit_code(
        cli.diagnostics
            .init()
            .map_err(anyhow::Error::msg)
            .and_then(|()| program::run(cli.polling, &cli.uplink)),
    )
}
