//! The slim master: `heapster master` without the rest.

use clap::Parser;
use heapster_master::{
    args::MasterArgs,
    server::{Arbiters, Master},
};
use heapster_shared::config::{self, DiagnosticArgs};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Joins the streams of Heapster's buddies, keeps the recent past, and routes samples to the sinks.
#[derive(Parser)]
#[command(name = "heapster-master", version)]
struct Cli {
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
    #[command(flatten)]
    master: MasterArgs,
}

fn main() -> anyhow::Result<()> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("a cryptography provider is there already"))?;
    let cli: Cli = config::parse(std::env::args_os().collect(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    cli.diagnostics.init().map_err(|error| anyhow::anyhow!(error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut runtime = Some(runtime);
    let system = actix::System::with_tokio_rt(move || {
        runtime.take().unwrap_or_else(|| unreachable!("a system has one runtime"))
    });
    system.block_on(serve(cli.master))
}

async fn serve(args: MasterArgs) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let master = Master::build(&args, Arbiters::start(threads + 1), Vec::new())?;
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopper.cancel();
    });
    master.run(stop).await
}
