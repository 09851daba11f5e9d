//! Heapster: one place to watch every container in every cluster you own.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

mod cert;
mod check;
mod completions;
mod conformance;
mod console;
mod examples;
mod secret_file;
mod standalone;
mod standby;
mod token;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};
use heapster_buddy::args::{PollingArgs, UplinkArgs};
use heapster_master::{args::MasterArgs, reload};
use heapster_shared::config::{self, DiagnosticArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One place to watch every container in every cluster you own.
///
/// Every option can also be set by an environment variable (--grpc-listen is HEAPSTER_GRPC_LISTEN),
/// or in a TOML file named by --config (grpc_listen = "..."). Flags go before variables, variables
/// before the file.
///
/// Sinks, sources and discoveries are written KIND[:LOCATION][?OPTIONS], as in
/// 'influxdb:http://127.0.0.1:8086?db=k8s'; docs/sinks.md and docs/sources.md list them all.
#[derive(Parser, Debug)]
#[command(name = "heapster", version, max_term_width = 100, after_help = examples::START)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Run,
}

#[derive(Subcommand, Debug)]
enum Run {
    /// Watch this machine, or others, with one process and nothing else
    ///
    /// Without options it reads the control groups of this machine, serves a page and an API on
    /// http://127.0.0.1:8082/, and prints a line each time it has looked. It is a master and a buddy
    /// in one, and takes the options of both.
    #[command(after_help = examples::STANDALONE)]
    Standalone(Box<StandaloneArgs>),
    /// Collect what buddies send, show it, and hand it on to databases
    ///
    /// Run one, centrally. Buddies connect to it, one or more in each cluster.
    #[command(after_help = examples::MASTER)]
    Master(Box<MasterCommand>),
    /// Poll the hosts of one cluster and send what they measure to a master
    ///
    /// Run one in each cluster. It needs no open port, and keeps what it has measured while the master
    /// cannot be reached.
    #[command(after_help = examples::BUDDY)]
    Buddy(Box<BuddyCommand>),
    /// Say what is wrong with a configuration file, without starting anything
    #[command(after_help = examples::CHECK)]
    Check(check::CheckArgs),
    /// Say whether a buddy or a master, written by anybody, keeps to the protocol
    ///
    /// It plays the other side, prints what is right and what is wrong, and fails where anything is.
    #[command(after_help = examples::CONFORMANCE)]
    Conformance(conformance::ConformanceArgs),
    /// Make tokens for buddies and people
    Token(token::TokenArgs),
    /// Make certificates for a master and for buddies
    Cert(cert::CertArgs),
    /// Print a script that completes commands and options in your shell
    #[command(after_help = examples::COMPLETIONS)]
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
    standby: standby::StandbyArgs,
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
    let argv: Vec<_> = std::env::args_os().collect();
    let cli: Cli = config::parse(argv.clone(), |name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.exit());
    config::exit_code(run(cli.command, argv))
}

fn run(command: Run, argv: Vec<OsString>) -> anyhow::Result<()> {
    match command {
        Run::Standalone(standalone) => {
            // It prints what it does by itself; its log is for what goes wrong.
            standalone.diagnostics.init_or("warn").map_err(anyhow::Error::msg)?;
            standalone::run(standalone.master, standalone.polling, reload::reader(argv, master_of))
        }
        Run::Master(command) => {
            init(&command.diagnostics)?;
            standby::run(&command.master, command.standby, reload::reader(argv, master_of))
        }
        Run::Buddy(command) => {
            init(&command.diagnostics)?;
            heapster_buddy::program::run(command.polling, &command.uplink)
        }
        Run::Check(check) => check::run(&check),
        Run::Conformance(conformance) => conformance::run(&conformance),
        Run::Token(token) => token::run(&token),
        Run::Cert(cert) => cert::run(&cert),
        Run::Completions { shell } => completions::print(shell),
    }
}

/// The options of the master in it, as it is run.
fn master_of(cli: Cli) -> Option<MasterArgs> {
    match cli.command {
        Run::Standalone(standalone) => Some(standalone::prepared(standalone.master)),
        Run::Master(command) => Some(command.master),
        _ => None,
    }
}

fn init(diagnostics: &DiagnosticArgs) -> anyhow::Result<()> {
    diagnostics.init().map_err(anyhow::Error::msg)
}
