//! The slim master: `heapster master` without the rest.

use std::process::ExitCode;

use clap::Parser;
use heapster_master::{args::MasterArgs, program, reload};
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
    let argv: Vec<_> = std::env::args_os().collect();
    let cli: Cli = config::parse(argv.clone(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    let read = reload::reader(argv, |cli: Cli| Some(cli.master));
    let ready = cli.diagnostics.init().map_err(anyhow::Error::msg);
    config::exit_code(ready.and_then(|()| program::run(&cli.master, read)))
}
