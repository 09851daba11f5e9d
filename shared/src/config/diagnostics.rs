//! What a program says of itself while it runs.

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// The HTTP server tells of its own threads, which is news to nobody; `--log` goes before this.
const QUIET: &str = "actix_server=warn";

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Options that every program has.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Diagnostics")]
pub struct DiagnosticArgs {
    /// What to log: error, warn, info, debug or trace, also by module, as in info,heapster_buddy=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How to write log lines
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// A TOML file with the same options; flags and environment variables go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
}

impl DiagnosticArgs {
    /// Sends log lines to standard error from here on.
    ///
    /// # Errors
    /// When the filter is malformed.
    pub fn init(&self) -> Result<(), String> {
        let filter = EnvFilter::try_new(format!("{QUIET},{}", self.log))
            .map_err(|error| format!("--log {}: {error}", self.log))?;
        let registry = tracing_subscriber::registry().with(filter);
        let result = match self.log_format {
            LogFormat::Text => {
                let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
                registry
                    .with(
                        fmt::layer()
                            .with_writer(std::io::stderr)
                            .with_ansi(ansi)
                            .with_target(false),
                    )
                    .try_init()
            }
            LogFormat::Json => registry
                .with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
                .try_init(),
        };
        result.map_err(|error| error.to_string())
    }
}
