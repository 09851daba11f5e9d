//! The slim master: `heapster master` without the rest.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use heapster_master::{
    args::MasterArgs,
    server::{Arbiters, Master},
};
use heapster_shared::config::{self, DiagnosticArgs};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::error;

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

fn main() -> ExitCode {
    // It fails only where a provider is there already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli: Cli = config::parse(std::env::args_os().collect(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    if let Err(error) = cli.diagnostics.init() {
        Cli::command().error(ErrorKind::ValueValidation, error).exit();
    }
    match run(cli.master) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentence alone: a stack says nothing to whoever has to choose another port.
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: MasterArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut runtime = Some(runtime);
    let system = actix::System::with_tokio_rt(move || {
        runtime.take().unwrap_or_else(|| unreachable!("a system has one runtime"))
    });
    system.block_on(serve(args))
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
