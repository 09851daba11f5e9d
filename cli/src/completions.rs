//! `heapster completions SHELL`.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

/// Writes the completion script of a shell to standard output.
pub(crate) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::Cli::command(), "heapster", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
