//! The slim master: `heapster master` without the rest.

use std::process::ExitCode;

use clap::Parser;
use heapster_master::{args::MasterArgs, program};
use heapster_shared::config::{self, DiagnosticArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Joins the streams of Heapster's buddies, keeps the recent past, and routes samples to the sinks.
#[derive(Parser)]
#[command(name = "heapster-master", version)]
struct Cli {
    #[command(flatten)]
    master: MasterArgs,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

fn main() -> ExitCode {
    // Fails only where a provider is installed already, and nothing was before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli: Cli = config::parse(std::env::args_os().collect(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    config::exit_code(
        cli.diagnostics.init().map_err(anyhow::Error::msg).and_then(|()| program::run(&cli.master)),
    )
}
