//! `heapster-fuzz`: runs targets for as long as is wanted, and keeps what breaks them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use heapster_fuzz::{
    corpus,
    driver::{self, Plan},
    targets::{self, Target},
};
use heapster_shared::{config::exit_code, units::parse_duration};

/// Runs parsers of outside bytes on mutated recordings
#[derive(Parser, Debug)]
#[command(name = "heapster-fuzz", version)]
struct Options {
    /// The target; all of them one after the other without it. An unknown name lists them
    #[arg(long, default_value = "")]
    target: String,
    /// How long each target runs
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    time: Duration,
    /// Where mutation begins; the same seed gives the same inputs. A random one without it
    #[arg(long)]
    seed: Option<u64>,
    /// Writes the inputs that mutation begins with to this folder, and does nothing else
    #[arg(long, requires = "target")]
    write_seeds: Option<PathBuf>,
    /// Tries the inputs in these files and no others
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    exit_code(run(&Options::parse()).map_err(|error| format!("{error:#}")))
}

fn run(options: &Options) -> anyhow::Result<()> {
    let chosen = match options.target.as_str() {
        "" => targets::all(),
        name => vec![targets::named(name).with_context(|| unknown(name))?],
    };
    if let Some(folder) = &options.write_seeds {
        return chosen.into_iter().try_for_each(|target| write_seeds(target, folder));
    }
    if !options.files.is_empty() {
        return chosen.into_iter().try_for_each(|target| try_files(target, &options.files));
    }
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ nanoseconds());
    say(&format!("seed {seed}"));
    let mut broken = Vec::new();
    for target in chosen {
        if !fuzz(target, Plan { time: options.time, seed })? {
            broken.push(target.name);
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("broken: {}", broken.join(", ")) }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = targets::all().iter().map(|target| target.name).collect();
    format!("unknown target `{name}`; the known ones are {}", known.join(", "))
}

fn fuzz(target: &Target, plan: Plan) -> anyhow::Result<bool> {
    let outcome = driver::run(target, plan)?;
    let Some(failure) = outcome.failure else {
        say(&format!("{:22} {:>9} inputs", target.name, outcome.inputs));
        return Ok(true);
    };
    let file = driver::save(target.name, &failure.input).context("the input cannot be written")?;
    say(&format!("{:22} BROKEN by input {}: {}", target.name, outcome.inputs, failure.what));
    say(&format!("    heapster-fuzz --target {} {}", target.name, file.display()));
    Ok(false)
}

fn try_files(target: &Target, files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files {
        let input = std::fs::read(file).with_context(|| file.display().to_string())?;
        if let Err(what) = driver::check_one(target, &input) {
            bail!("{}: {}: {what}", target.name, file.display());
        }
        say(&format!("{}: {}: good", target.name, file.display()));
    }
    Ok(())
}

fn write_seeds(target: &Target, folder: &Path) -> anyhow::Result<()> {
    for (index, seed) in corpus::seeds(target)?.iter().enumerate() {
        let file = folder.join(format!("seed-{index}"));
        std::fs::write(&file, seed).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn nanoseconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::from(now.subsec_nanos()) << 20)
}

fn say(line: &str) {
    // Nobody is left to be told when this fails.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
