//! Reading the configuration again while a program runs: what its file sets, and what is wrong with
//! it in a sentence without secrets.

use std::{collections::BTreeMap, ffi::OsString};

use clap::Parser;

use super::{Leaf, document_environment, options};

/// What a file sets. Values may be secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FileSettings {
    /// The keys that are in force, with their values.
    pub in_force: BTreeMap<String, Vec<String>>,
    /// Keys that are not, since the command line or the environment sets them.
    pub overridden: Vec<String>,
}

impl FileSettings {
    /// The keys whose values differ, by name.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let keys = self.in_force.keys().chain(other.in_force.keys());
        let differs = |key: &&String| self.in_force.get(*key) != other.in_force.get(*key);
        let mut differing: Vec<String> = keys.filter(differs).cloned().collect();
        differing.sort();
        differing.dedup();
        differing
    }
}

/// What the file that `--config` or `HEAPSTER_CONFIG` names sets; `None` where none is named.
///
/// # Errors
/// When the file cannot be read. Whether its values are right only [`super::parse`] says.
pub fn file_settings<P: Parser>(
    argv: &[OsString],
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<FileSettings>, clap::Error> {
    let command = document_environment(P::command());
    let lenient = command.clone().ignore_errors(true).try_get_matches_from(argv);
    let Ok(matches) = lenient else { return Ok(None) };
    let leaf = Leaf::of(&command, &matches);
    let Some(mut file) = leaf.file(&env)? else { return Ok(None) };
    let mut settings = FileSettings::default();
    for option in options(leaf.command) {
        let Some(entry) = file.take(&option.key) else { continue };
        if leaf.is_given(&option) || env(&option.variable()).is_some() {
            settings.overridden.push(option.key);
        } else {
            settings.in_force.insert(option.key, entry.values);
        }
    }
    Ok(Some(settings))
}

/// An error of [`super::parse`] as one line, without the lines of the file that it shows, in which
/// there may be a password, and without options of a sink or the like.
#[must_use]
pub fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let shown = |line: &&str| {
        let bare = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        !line.trim().is_empty() && !bare.trim_start().starts_with('|')
    };
    let ends = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let lines = text.lines().take_while(|line| !ends(line)).filter(shown);
    let joined = lines.map(str::trim).collect::<Vec<_>>().join(": ");
    without_value(joined.trim_start_matches("error: "))
}

/// A value that was not understood may have a password in it wherever it has options or an account.
fn without_value(text: &str) -> String {
    const BEFORE: &str = "invalid value '";
    const BEHIND: &str = "' for '";
    let parts = text.split_once(BEFORE).and_then(|(before, rest)| {
        let (value, behind) = rest.split_once(BEHIND)?;
        value.contains(['?', '@']).then_some((before, behind))
    });
    match parts {
        Some((before, behind)) => format!("{before}invalid value for '{behind}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Args;

    use super::*;
    use crate::{config, spec::Spec};

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        serve: Serve,
    }

    #[derive(Args, Debug)]
    struct Serve {
        #[arg(long)]
        sink: Vec<Spec>,
        #[arg(long, default_value = "15s")]
        resolution: String,
        #[arg(long, default_value_t = 1)]
        hosts: u32,
        #[arg(long)]
        config: Option<std::path::PathBuf>,
    }

    fn argv(more: &[&str]) -> Vec<OsString> {
        std::iter::once("program").chain(more.iter().copied()).map(OsString::from).collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.toml");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    /// What is set in a place that goes before the file is not the file's to change.
    #[test]
    fn what_the_file_sets_is_told_from_what_goes_before_it() {
        let none = file_settings::<Cli>(&argv(&[]), |_| None).unwrap();
        assert!(none.is_none(), "no file");
        let (_folder, path) = file("resolution = '1s'\nsink = ['log']\nhosts = 3\n");
        let env = |name: &str| (name == "HEAPSTER_HOSTS").then(|| "4".to_owned());
        let given = argv(&["--config", &path, "--sink", "log:x"]);
        let settings = file_settings::<Cli>(&given, env).unwrap().unwrap();
        assert_eq!(settings.in_force.keys().collect::<Vec<_>>(), ["resolution"]);
        let mut overridden = settings.overridden.clone();
        overridden.sort();
        assert_eq!(overridden, ["hosts", "sink"]);

        let before = file_settings::<Cli>(&argv(&["--config", &path]), |_| None).unwrap().unwrap();
        assert_eq!(before.differing(&settings), ["hosts", "sink"]);
        assert!(before.differing(&before).is_empty());
    }

    /// An error goes into logs and over the network.
    #[test]
    fn an_error_is_a_line_without_secrets() {
        let error = |text: &str| {
            let (folder, path) = file(text);
            let error = config::parse::<Cli>(argv(&["--config", &path]), |_| None).unwrap_err();
            let sentence = sentence(&error);
            drop(folder);
            assert!(!sentence.contains("hunter2") && !sentence.contains('\n'), "{sentence}");
            sentence
        };
        let broken = error("hosts = 1\npassword = \"hunter2\n");
        assert!(broken.contains("h.toml: TOML parse error at line 2"), "{broken}");
        let value = error("sink = ['?pw=hunter2']\n");
        assert!(value.contains("h.toml:1: invalid value for '--sink <SINK>': `` is no"), "{value}");
        let number = error("hosts = 'many'\n");
        assert!(number.contains("invalid value 'many' for '--hosts"), "{number}");
        let unknown = error("hots = 1\n");
        assert!(unknown.contains("unknown key `hots`"), "{unknown}");
    }
}
