//! What a program says of itself while it runs.

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

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
    /// What to log: error, warn, info, debug or trace, also by module, as in
    /// info,heapster_buddy=debug [default: info; standalone: warn]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How to write log lines, which go to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// A TOML file with the same options; flags and environment variables go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
}

/// Libraries whose lines say nothing of this program; a filter that names one goes before this.
const QUIET: &str = "actix_server=warn,h2=info,hyper_util=info,tower=info";

impl DiagnosticArgs {
    /// Sends log lines to standard error from here on.
    ///
    /// # Errors
    /// When the filter is malformed.
    pub fn init(&self) -> Result<(), String> {
        self.init_or("info")
    }

    /// As [`DiagnosticArgs::init`], with this filter where the user gives none.
    ///
    /// # Errors
    /// When the filter is malformed.
    pub fn init_or(&self, default: &str) -> Result<(), String> {
        let given = self.log.as_deref().unwrap_or(default);
        let filter = EnvFilter::try_new(format!("{QUIET},{given}"))
            .map_err(|error| format!("--log {given}: {error}"))?;
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
