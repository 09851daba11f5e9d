//! Heapster: one place to watch every container in every cluster you own.

mod check;
mod completions;
mod console;
mod standalone;

use clap::{Args, Parser, Subcommand};
use heapster_buddy::args::{PollingArgs, UplinkArgs};
use heapster_master::args::MasterArgs;
use heapster_shared::config::{self, DiagnosticArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One place to watch every container in every cluster you own.
///
/// Start with `heapster standalone`: it watches this machine and needs nothing else. For more, run
/// `heapster master` centrally and drop a `heapster buddy` into each cluster.
///
/// Every option can also be set by an environment variable, or in a TOML file named by --config;
/// flags go before variables, variables before the file. Sinks, sources and discoveries are written
/// KIND[:LOCATION][?OPTIONS], as in influxdb:http://127.0.0.1:8086?db=k8s
#[derive(Parser, Debug)]
#[command(name = "heapster", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Run,
}

#[derive(Subcommand, Debug)]
enum Run {
    /// Watch this machine, or the hosts that were discovered: master and buddy in one process
    ///
    /// Without options it reads the control groups of this machine and serves what they say on
    /// http://127.0.0.1:8082/.
    Standalone(StandaloneArgs),
    /// Join the streams of buddies and route their samples to sinks
    Master(MasterCommand),
    /// Find the hosts of one cluster, poll them, and stream to a master
    Buddy(BuddyCommand),
    /// Say what is wrong with a configuration file, without starting anything
    Check(check::CheckArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args, Debug)]
struct StandaloneArgs {
    #[command(flatten)]
    master: MasterArgs,
    #[command(flatten)]
    polling: PollingArgs,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

#[derive(Args, Debug)]
struct MasterCommand {
    #[command(flatten)]
    master: MasterArgs,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

#[derive(Args, Debug)]
struct BuddyCommand {
    #[command(flatten)]
    polling: PollingArgs,
    #[command(flatten)]
    uplink: UplinkArgs,
    #[command(flatten)]
    diagnostics: DiagnosticArgs,
}

fn main() -> std::process::ExitCode {
    // Fails only where a provider is installed already, and nothing was before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli: Cli = config::parse(std::env::args_os().collect(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    config::exit_code(run(cli.command))
}

fn run(command: Run) -> anyhow::Result<()> {
    match command {
        Run::Standalone(standalone) => {
            init(&standalone.diagnostics)?;
            standalone::run(standalone.master, standalone.polling)
        }
        Run::Master(command) => {
            init(&command.diagnostics)?;
            heapster_master::program::run(&command.master)
        }
        Run::Buddy(command) => {
            init(&command.diagnostics)?;
            heapster_buddy::program::run(command.polling, &command.uplink)
        }
        Run::Check(check) => check::run(&check),
        Run::Completions { shell } => completions::print(shell),
    }
}

fn init(diagnostics: &DiagnosticArgs) -> anyhow::Result<()> {
    diagnostics.init().map_err(anyhow::Error::msg)
}
