//! One way to configure every program: flags, then the environment, then a file, then defaults.
//!
//! A program is described once, as a clap command. From it follow the environment variables
//! (`--grpc-listen` is `HEAPSTER_GRPC_LISTEN`) and the keys of the TOML file that `--config` names
//! (`grpc_listen`). What can be given several times is a list in the file, and separated by white
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
//!
//! What a place sets replaces what a later place in that order sets, lists included: one `--sink`
//! on the command line replaces all sinks of the file.

mod diagnostics;
mod file;
mod reread;

use std::{ffi::OsString, fmt, io::Write, path::PathBuf, process::ExitCode};

use clap::{
    ArgAction, ArgMatches, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

pub use diagnostics::{DiagnosticArgs, LogFormat};
use file::ConfigFile;
pub use reread::{FileSettings, file_settings, sentence};

const ENV_PREFIX: &str = "HEAPSTER_";

/// Reads the command line, the environment (through `env`) and the file that `--config` names.
///
/// # Errors
/// A clap error, which also stands for `--help` and `--version`; its text says what is wrong and
/// where, and [`clap::Error::exit`] ends the program with it.
pub fn parse<P: Parser>(
    argv: Vec<OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<P, clap::Error> {
    let command = document_environment(P::command());
    // The first reading only looks at what is given; what is wrong with it is said by the second.
    let lenient = command.clone().ignore_errors(true).try_get_matches_from(&argv);
    let settings = match lenient {
        Ok(matches) => Leaf::of(&command, &matches).settings(&env)?,
        Err(_) => Vec::new(),
    };
    read::<P>(command, argv, &settings)
}

/// Reads a command line as if the file were the only place that sets anything else: to check it.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_file<P: Parser>(argv: Vec<OsString>, path: PathBuf) -> Result<P, clap::Error> {
    let mut argv = argv;
    argv.push("--config".into());
    argv.push(path.into());
    parse(argv, |_| None)
}

/// Writes an error as one line to standard error, and tells how the program ends.
pub fn exit_code(result: Result<(), impl fmt::Display>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nobody is left to be told when this fails.
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
    ExitCode::FAILURE
}

/// A value that the environment or the file gives to an option.
struct Setting {
    long: String,
    value: Option<String>,
    /// Where it was found, for error messages.
    place: String,
}

/// The command that was chosen, and what the command line gave to it.
struct Leaf<'a> {
    command: &'a Command,
    matches: &'a ArgMatches,
}

impl<'a> Leaf<'a> {
    fn of(command: &'a Command, matches: &'a ArgMatches) -> Self {
        let mut leaf = Self { command, matches };
        while let Some((name, matches)) = leaf.matches.subcommand() {
            let Some(command) = leaf.command.find_subcommand(name) else { break };
            leaf = Self { command, matches };
        }
        leaf
    }

    /// Whether the command line sets an option.
    fn is_given(&self, option: &KnownOption) -> bool {
        self.matches.value_source(&option.id) == Some(ValueSource::CommandLine)
    }

    /// What the environment and the file set and the command line does not.
    fn settings(&self, env: &impl Fn(&str) -> Option<String>) -> Result<Vec<Setting>, clap::Error> {
        let options = options(self.command);
        let mut settings = Vec::new();
        let mut file = self.file(env)?;
        for option in &options {
            let from_file = file.as_mut().and_then(|file| file.take(&option.key));
            if self.is_given(option) {
                continue;
            }
            let variable = option.variable();
            if let Some(text) = env(&variable) {
                let values = option.split(text);
                settings.extend(option.settings(values, &variable)?);
            } else if let Some(entry) = from_file {
                settings.extend(option.settings(entry.values, &entry.place)?);
            }
        }
        if let Some(entry) = file.and_then(|mut file| file.take_any()) {
            let known: Vec<&str> = options.iter().map(|option| option.key.as_str()).collect();
            let known = known.join(", ");
            let message =
                format!("{}: unknown key `{}`; the known ones are {known}", entry.place, entry.key);
            return Err(value_error(&message));
        }
        Ok(settings)
    }

    fn file(
        &self,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<Option<ConfigFile>, clap::Error> {
        let Ok(given) = self.matches.try_get_one::<PathBuf>("config") else { return Ok(None) };
        let path = given.cloned().or_else(|| Some(env("HEAPSTER_CONFIG")?.into()));
        let file = path.map(|path| ConfigFile::read(&path)).transpose();
        file.map_err(|error| value_error(&error))
    }
}

/// An option that the environment and the file may set.
struct KnownOption {
    id: String,
    long: String,
    key: String,
    action: ArgAction,
}

fn options(command: &Command) -> Vec<KnownOption> {
    let arguments = command.get_arguments();
    let longs = arguments.filter_map(|arg| Some((arg, arg.get_long()?)));
    longs
        .filter(|(_, long)| !matches!(*long, "config" | "help" | "version"))
        .map(|(arg, long)| KnownOption {
            id: arg.get_id().to_string(),
            long: long.to_owned(),
            key: long.replace('-', "_"),
            action: arg.get_action().clone(),
        })
        .collect()
}

fn variable_of(long: &str) -> String {
    format!("{ENV_PREFIX}{}", long.replace('-', "_").to_ascii_uppercase())
}

impl KnownOption {
    fn variable(&self) -> String {
        variable_of(&self.long)
    }

    const fn is_list(&self) -> bool {
        matches!(self.action, ArgAction::Append)
    }

    /// The values in an environment variable's text.
    fn split(&self, text: String) -> Vec<String> {
        if self.is_list() {
            return text.split_whitespace().map(str::to_owned).collect();
        }
        vec![text]
    }

    fn settings(&self, values: Vec<String>, place: &str) -> Result<Vec<Setting>, clap::Error> {
        if !self.is_list() && values.len() != 1 {
            return Err(value_error(&format!("{place}: `{}` takes one value", self.key)));
        }
        let setting = |value| Setting { long: self.long.clone(), value, place: place.to_owned() };
        if !matches!(self.action, ArgAction::SetTrue) {
            return Ok(values.into_iter().map(|value| setting(Some(value))).collect());
        }
        match values[0].as_str() {
            "true" | "1" | "yes" => Ok(vec![setting(None)]),
            "false" | "0" | "no" | "" => Ok(Vec::new()),
            other => {
                let message = format!("{place}: `{}` is true or false, not `{other}`", self.key);
                Err(value_error(&message))
            }
        }
    }
}

/// Reads the command line with the settings behind it.
fn read<P: Parser>(
    mut command: Command,
    mut argv: Vec<OsString>,
    settings: &[Setting],
) -> Result<P, clap::Error> {
    argv.extend(settings.iter().map(|setting| match &setting.value {
        Some(value) => format!("--{}={value}", setting.long).into(),
        None => format!("--{}", setting.long).into(),
    }));
    let matches = command.try_get_matches_from_mut(argv);
    let mut matches = matches.map_err(|error| name_place(error, settings))?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Says where a wrong value came from when it was not the command line.
fn name_place(error: clap::Error, settings: &[Setting]) -> clap::Error {
    let (Some(ContextValue::String(argument)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return error;
    };
    let wrong = settings.iter().find(|setting| {
        let long = format!("--{} ", setting.long);
        argument.starts_with(&long) && setting.value.as_ref() == Some(value)
    });
    let Some(setting) = wrong else { return error };
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    value_error(&format!("{}: {reason}", setting.place))
}

fn value_error(message: &str) -> clap::Error {
    clap::Error::raw(
        ErrorKind::ValueValidation,
        format!(
            "{message}
"
        ),
    )
}

/// Names each option's environment variable in its long help, for `-h` is to fit a screen. Values are
/// not shown: they may be secret.
fn document_environment(command: Command) -> Command {
    let layered = command.get_arguments().any(|arg| arg.get_id() == "config");
    let command = if layered { command.mut_args(document_variable) } else { command };
    command.mut_subcommands(document_environment)
}

fn document_variable(arg: clap::Arg) -> clap::Arg {
    let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
        return arg;
    };
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let note = format!("[env: {}]", variable_of(long));
    arg.long_help(format!("{help} {note}"))
}

#[cfg(test)]
mod tests;
