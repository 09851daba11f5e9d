//! `heapster check CONFIG`: what is wrong with a configuration file, without starting anything.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use heapster_buddy::{args::PollingArgs, metrics_api::MetricsApi};
use heapster_master::args::MasterArgs;
use heapster_shared::config;

use crate::{Cli, Run};

/// Which file to check, and for which command.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The file
    #[arg(value_name = "CONFIG")]
    file: PathBuf,
    /// The command that it is for [default: buddy where it sets `master`, master where it has
    /// neither `source` nor `discovery` but sets `insecure` or `tls_cert`, else standalone]
    #[arg(long = "as", value_name = "COMMAND")]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Command {
    Standalone,
    Master,
    Buddy,
}

impl Command {
    const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Master => "master",
            Self::Buddy => "buddy",
        }
    }

    /// What a file with these keys is meant for.
    fn of(text: &str) -> Self {
        let sets = |key: &str| {
            text.lines().any(|line| {
                let line = line.trim_start_matches(['[', ' ']);
                line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
            })
        };
        if sets("master") {
            Self::Buddy
        } else if (sets("insecure") || sets("tls_cert")) && !sets("source") && !sets("discovery") {
            Self::Master
        } else {
            Self::Standalone
        }
    }
}

/// Prints `ok`, or says what is wrong.
pub(crate) fn run(check: &CheckArgs) -> anyhow::Result<()> {
    let file = check.file.display();
    let text = fs::read_to_string(&check.file).with_context(|| format!("cannot read {file}"))?;
    let command = check.command.unwrap_or_else(|| Command::of(&text));
    let argv = vec!["heapster".into(), command.name().into()];
    let cli: Cli =
        config::parse_with_file(argv, check.file.clone()).unwrap_or_else(|error| error.exit());
    let plugins = match cli.command {
        Run::Standalone(standalone) => {
            let mut found = master(&standalone.master)?;
            found.extend(polling(&standalone.polling)?);
            found
        }
        Run::Master(command) => {
            command.master.check().map_err(anyhow::Error::msg)?;
            command.standby.check()?;
            master(&command.master)?
        }
        Run::Buddy(command) => {
            command.uplink.config().map_err(anyhow::Error::msg)?;
            polling(&command.polling)?
        }
        Run::Check(_)
        | Run::Conformance(_)
        | Run::Completions { .. }
        | Run::Token(_)
        | Run::Cert(_) => {
            bail!("{file} is for no command that runs")
        }
    };
    let mut out = std::io::stdout().lock();
    for plugin in plugins {
        writeln!(out, "{plugin}")?;
    }
    writeln!(out, "{file}: ok for heapster {}", command.name())?;
    Ok(())
}

fn master(args: &MasterArgs) -> anyhow::Result<Vec<String>> {
    heapster_master::access::Door::open(args)?;
    let sinks = args.sinks.iter().map(|spec| {
        let configured = heapster_master::sinks::configure(spec.clone())?;
        Ok(format!("sink {}", configured.name))
    });
    sinks.collect()
}

fn polling(args: &PollingArgs) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for spec in &args.discovery {
        heapster_buddy::discovery::build(spec.clone())?;
        found.push(format!("discovery {}", spec.name()));
    }
    for spec in &args.source {
        heapster_buddy::source::build(spec.clone())?;
        found.push(format!("source {}", spec.name()));
    }
    args.enrichment.check(&args.discovery)?;
    if let Some(observer) = args.events.clone().observer()? {
        found.push(format!("events {}", observer.name()));
    }
    let clock = std::sync::Arc::new(heapster_shared::tick::unix_ms);
    if MetricsApi::build(args.metrics.clone(), &args.discovery, clock)?.is_some() {
        found.push("metrics.k8s.io".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_tell_the_command() {
        assert!(matches!(Command::of("master = 'http://h:1'\n"), Command::Buddy));
        assert!(matches!(Command::of("insecure = true\n[[sink]]\n"), Command::Master));
        assert!(matches!(Command::of("insecure = true\n[[source]]\n"), Command::Standalone));
        assert!(matches!(Command::of("# master = \n"), Command::Standalone));
    }
}
