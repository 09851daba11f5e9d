//! Reading the configuration again.

use std::{ffi::OsString, sync::Arc};

use clap::Parser;
use heapster_shared::config::{self, FileSettings};

use crate::args::MasterArgs;

/// What the configuration says now.
pub struct Reading {
    /// The options of the master, wherever they are set.
    pub args: MasterArgs,
    /// What of all options the file sets.
    pub file: FileSettings,
}

/// Reads the configuration; gives `None` where there is no file, and a sentence without secrets
/// where something is wrong.
pub type ReadConfig = Arc<dyn Fn() -> Result<Option<Reading>, String> + Send + Sync>;

/// What reads the configuration of a program again: the command line and the environment that it was
/// started with, and the file as it is by then. `master` takes the master's options out of all.
/// `None` where the program was started without a file.
#[must_use]
pub fn reader<P: Parser + 'static>(
    argv: Vec<OsString>,
    master: impl Fn(P) -> Option<MasterArgs> + Send + Sync + 'static,
) -> Option<ReadConfig> {
    let env = |name: &str| std::env::var(name).ok();
    let is_named = !matches!(config::file_settings::<P>(&argv, env), Ok(None));
    let read = move || {
        let told = |error: clap::Error| config::sentence(&error);
        let Some(file) = config::file_settings::<P>(&argv, env).map_err(told)? else {
            return Ok(None);
        };
        let parsed = config::parse::<P>(argv.clone(), env).map_err(told)?;
        let args = master(parsed).ok_or("this program has no sinks")?;
        args.check()?;
        Ok(Some(Reading { args, file }))
    };
    is_named.then(|| Arc::new(read) as ReadConfig)
}
