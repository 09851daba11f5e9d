//! The slim buddy: `heapster buddy` without the rest.

use clap::Parser;
use heapster_buddy::{
    args::{PollingArgs, UplinkArgs},
    run::Buddy,
};
use heapster_shared::config::DiagnosticArgs;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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

fn main() -> anyhow::Result<()> {
    // Fails only where a provider is installed already, and nothing was before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli: Cli = heapster_shared::config::parse(std::env::args_os().collect(), |name| {
        std::env::var(name).ok()
    })
    .unwrap_or_else(|error| error.exit());
    cli.diagnostics.init().map_err(anyhow::Error::msg)?;
    let uplink = cli.uplink.config().map_err(anyhow::Error::msg)?;
    let buddy = Buddy::build(cli.polling, uplink)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.cancel();
        });
        buddy.run(cancel).await
    })
}
