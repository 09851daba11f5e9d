//! One way to configure every program: flags, then the environment, then a file, then defaults.
//!
//! A program is described once, as a clap command. From it follow the environment variables
//! (`--grpc-listen` is `HEAPSTER_GRPC_LISTEN`) and the keys of the TOML file that `--config` names
//! (`grpc_listen`). What can be given several times is a list in the file, separated by white
//! space in the environment; a sink, source or discovery may also be a table with `kind`,
//! `location` and its options:
//!
//! ```toml
//! resolution = "15s"
//! [[sink]]
//! kind = "influxdb"
//! location = "http://127.0.0.1:8086"
//! db = "k8s"
//! ```

mod diagnostics;
mod file;

use std::{ffi::OsString, path::Path};

use clap::{ArgAction, ArgMatches, Command, Parser, error::ErrorKind};

pub use diagnostics::{DiagnosticArgs, LogFormat};
use file::ConfigFile;

const ENV_PREFIX: &str = "HEAPSTER_";

/// Reads the command line, the environment and the file that `--config` names.
///
/// # Errors
/// A clap error, which also stands for `--help` and `--version`; its text says what is wrong and
/// where, and [`clap::Error::exit`] ends the program with it.
pub fn parse<P: Parser>(
    argv: Vec<OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<P, clap::Error> {
    // The first reading only looks for --config; what else is wrong is said by the second.
    let lenient = with_environment(P::command(), &env).ignore_errors(true);
    let chosen = lenient.try_get_matches_from(&argv).ok();
    let command = match chosen.as_ref().and_then(config_path) {
        Some((subcommands, path)) => with_file(P::command(), &subcommands, &path)?,
        None => P::command(),
    };
    let command = with_environment(command, &env);
    let mut matches = command.clone().try_get_matches_from(argv)?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command.clone()))
}

/// Applies the keys of a file to a command, for checking it without running anything.
///
/// # Errors
/// As [`parse`].
pub fn check_file<P: Parser>(argv: Vec<OsString>, path: &Path) -> Result<P, clap::Error> {
    let command = P::command();
    let file = ConfigFile::read(path).map_err(|error| command_error(&command, &error))?;
    let command = apply_file(command, &file)?;
    let mut matches = command.clone().try_get_matches_from(argv)?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command.clone()))
}

fn command_error(command: &Command, message: &str) -> clap::Error {
    command.clone().error(ErrorKind::ValueValidation, message)
}

/// The subcommands that were chosen, and the path given with `--config` to the last of them.
fn config_path(matches: &ArgMatches) -> Option<(Vec<String>, std::path::PathBuf)> {
    let mut subcommands = Vec::new();
    let mut current = matches;
    while let Some((name, inner)) = current.subcommand() {
        subcommands.push(name.to_owned());
        current = inner;
    }
    let path = current.try_get_one::<std::path::PathBuf>("config").ok().flatten()?;
    Some((subcommands, path.clone()))
}

/// Gives every option its environment variable. Lists are split here, because clap would split
/// the command line's values too.
fn with_environment(command: Command, env: &impl Fn(&str) -> Option<String>) -> Command {
    let command = command.mut_args(|arg| {
        let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
            return arg;
        };
        let variable = format!("{ENV_PREFIX}{}", long.replace('-', "_").to_ascii_uppercase());
        if !matches!(arg.get_action(), ArgAction::Append) {
            return arg.env(variable);
        }
        match env(&variable) {
            Some(list) => {
                arg.default_values(list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            }
            None => arg,
        }
    });
    command.mut_subcommands(|subcommand| with_environment(subcommand, env))
}

fn with_file(
    command: Command,
    subcommands: &[String],
    path: &Path,
) -> Result<Command, clap::Error> {
    let file = ConfigFile::read(path).map_err(|error| command_error(&command, &error))?;
    let Some((first, rest)) = subcommands.split_first() else {
        return apply_file(command, &file);
    };
    debug_assert!(rest.is_empty(), "commands are one level deep");
    let inner = command.find_subcommand(first).cloned();
    let inner = inner.ok_or_else(|| command_error(&command, "no such command"))?;
    let applied = apply_file(inner, &file)?;
    Ok(command.mut_subcommand(first, |_| applied))
}

/// Makes the file's values the defaults of the command's options, so that flags and the
/// environment go before them.
fn apply_file(command: Command, file: &ConfigFile) -> Result<Command, clap::Error> {
    let mut command = command;
    for entry in file.entries() {
        let known = options(&command);
        let Some((id, is_list)) = known.iter().find_map(|option| option.matches(&entry.key)) else {
            let names: Vec<&str> = known.iter().map(|option| option.key.as_str()).collect();
            let message = format!(
                "{}: unknown key `{}`; the known ones are {}",
                entry.place,
                entry.key,
                names.join(", ")
            );
            return Err(command_error(&command, &message));
        };
        if !is_list && entry.values.len() != 1 {
            let message = format!("{}: `{}` takes one value", entry.place, entry.key);
            return Err(command_error(&command, &message));
        }
        let values = entry.values.clone();
        command = command.mut_arg(&id, |arg| arg.default_values(values).required(false));
    }
    Ok(command)
}

struct KnownOption {
    key: String,
    id: String,
    is_list: bool,
}

impl KnownOption {
    fn matches(&self, key: &str) -> Option<(String, bool)> {
        (self.key == key.replace('-', "_")).then(|| (self.id.clone(), self.is_list))
    }
}

fn options(command: &Command) -> Vec<KnownOption> {
    let not_in_file = |long: &str| matches!(long, "config" | "help" | "version");
    let arguments = command.get_arguments();
    arguments
        .filter_map(|arg| {
            let long = arg.get_long().filter(|long| !not_in_file(long))?;
            Some(KnownOption {
                key: long.replace('-', "_"),
                id: arg.get_id().to_string(),
                is_list: matches!(arg.get_action(), ArgAction::Append),
            })
        })
        .collect()
}
