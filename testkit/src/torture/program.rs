//! A program that is started, ended in every way, and started again; and what it said in all its
//! lives.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use heapster_shared::tick::unix_ms;
use rustix::process::Signal;

use crate::process::Process;

/// What has to come from a program comes within this time.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// A program over its lives.
pub(super) struct Program {
    pub(super) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    process: Option<Process>,
    ended: Vec<Life>,
    began_ms: i64,
}

/// A life of a program.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) output: String,
    pub(super) began_ms: i64,
    /// When its end began; `None` while it lives.
    pub(super) ended_ms: Option<i64>,
    /// How it ended.
    pub(super) end: End,
}

/// How a life ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It goes on, or ended as it should.
    Orderly,
    /// It was killed.
    Killed,
}

impl Program {
    /// Starts it.
    pub(super) fn start(
        name: &str,
        program: PathBuf,
        arguments: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut program = Self {
            name: name.to_owned(),
            program,
            arguments,
            process: None,
            ended: Vec::new(),
            began_ms: 0,
        };
        program.start_again()?;
        Ok(program)
    }

    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        self.began_ms = unix_ms();
        self.process = Some(Process::start(&self.program, &self.arguments)?);
        Ok(())
    }

    /// The process that runs now.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let at = unix_ms();
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal(Signal::KILL)?;
        process.wait(SOON)?;
        self.bury(&process, at, End::Killed);
        Ok(())
    }

    /// Asks it to end, and waits until it has; gives how long that took.
    pub(super) fn terminate(&mut self) -> anyhow::Result<Duration> {
        let (at, began) = (unix_ms(), Instant::now());
        let Some(mut process) = self.process.take() else { return Ok(Duration::ZERO) };
        let status = process.terminate(SOON).with_context(|| format!("stopping {}", self.name))?;
        self.bury(&process, at, End::Orderly);
        ensure!(status.success(), "{} stopped with {status}:\n{}", self.name, process.output());
        Ok(began.elapsed())
    }

    /// Halts it, or lets it go on.
    pub(super) fn halt(&self, halted: bool) -> anyhow::Result<()> {
        let signal = if halted { Signal::STOP } else { Signal::CONT };
        self.process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    fn bury(&mut self, process: &Process, at: i64, end: End) {
        let (output, began_ms) = (process.output(), self.began_ms);
        self.ended.push(Life { output, began_ms, ended_ms: Some(at), end });
    }

    /// All its lives, the present one last.
    pub(super) fn lives(&self) -> Vec<Life> {
        let present = self.process.as_ref().map(|process| Life {
            output: process.output(),
            began_ms: self.began_ms,
            ended_ms: None,
            end: End::Orderly,
        });
        self.ended.iter().cloned().chain(present).collect()
    }

    /// The end of what it said last.
    pub(super) fn last_words(&self) -> String {
        let output = self.lives().pop().map(|life| life.output).unwrap_or_default();
        let lines: Vec<&str> = output.lines().collect();
        format!("{}:\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// An error with its last words where it has ended by itself.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.wait(Duration::ZERO).is_ok() {
            anyhow::bail!("{} ended by itself; {}", self.name, self.last_words());
        }
        Ok(())
    }
}
