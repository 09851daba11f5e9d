//! A program under test, run as a process of its own.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A running program whose output is kept; it is killed when this is dropped.
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    /// Streams that have not ended: what they hold may still come.
    open: AtomicUsize,
}

impl Process {
    /// Starts a program with an environment of nothing but `PATH` and `HOME`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        Self::start_with(Command::new(program).args(arguments).env_clear().envs(
            ["PATH", "HOME", "CI"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
        ))
    }

    /// Starts a command that the caller has prepared.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        keep(stdout, &output);
        keep(stderr, &output);
        Ok(Self { child, output })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed, on either stream, in the order in which it came.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lines().join("\n")
    }

    /// The first line that contains `text`, waited for.
    ///
    /// # Errors
    /// When it has not come in time, or the program has ended without it; the error holds the output.
    pub fn line(&mut self, text: &str, within: Duration) -> anyhow::Result<String> {
        self.line_after(0, text, within).map(|(_, line)| line)
    }

    /// The first line at or after the one of this number that contains `text`, and the number of
    /// the line behind it.
    ///
    /// # Errors
    /// As [`Process::line`].
    pub fn line_after(
        &mut self,
        first: usize,
        text: &str,
        within: Duration,
    ) -> anyhow::Result<(usize, String)> {
        let deadline = Instant::now() + within;
        loop {
            let read = self.output.open.load(Ordering::Acquire) == 0;
            let ended = self.child.try_wait()?.filter(|_| read);
            let lines = self.output.lines();
            let found = lines.iter().enumerate().skip(first).find(|(_, line)| line.contains(text));
            if let Some((number, line)) = found {
                return Ok((number + 1, line.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || ended.is_some() {
                let state = ended.map_or("still running".to_owned(), |status| status.to_string());
                bail!("no line with {text:?} ({state}); output:\n{}", lines.join("\n"));
            }
            let wait = left.min(Duration::from_millis(100));
            drop(self.output.grown.wait_timeout(lines, wait));
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// When it has not ended in time; the error holds the output.
    pub fn terminate(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(within)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(id).context("no process id")?;
        kill_process(pid, signal).context("cannot signal the process")
    }

    /// Waits until it has ended and all it printed was read.
    ///
    /// # Errors
    /// When it has not ended in time; the error holds the output.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            let read = self.output.open.load(Ordering::Acquire) == 0;
            if let Some(status) = self.child.try_wait()?.filter(|_| read) {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("still running after {within:?}; output:\n{}", self.output());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it without asking (SIGKILL).
    pub fn kill(&mut self) {
        // It may have ended by itself; both fail only then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Checks that the help of a program names each of these options.
///
/// # Panics
/// When it does not, or the help does not come.
pub fn assert_help_has(program: &Path, options: &[&str]) {
    let started = Process::start(program, ["--help"]);
    let mut process = started.unwrap_or_else(|error| panic!("{error:#}"));
    let ended = process.wait(Duration::from_secs(20));
    let help = process.output();
    assert!(ended.is_ok_and(|status| status.success()), "{help}");
    for option in options {
        let named = [" ", "\n"].iter().any(|end| help.contains(&format!("{option}{end}")));
        assert!(named, "{option} is not in:\n{help}");
    }
}

impl Output {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects the lines of a stream until it ends.
fn keep(stream: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    output.open.fetch_add(1, Ordering::Release);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            output.lines().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            output.grown.notify_all();
            line.clear();
        }
        output.open.fetch_sub(1, Ordering::Release);
        output.grown.notify_all();
    });
}

/// What has to come comes within this time, also on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(40);

/// Polls until there is something.
///
/// # Panics
/// When it has not come in time, with what `describe` says of the state.
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>, describe: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", describe());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::start(Path::new("/bin/sh"), ["-c", script]).unwrap()
    }

    #[test]
    fn lines_are_found_and_exits_seen() {
        let mut process = shell("echo one; echo two >&2; exit 3");
        assert_eq!(process.line("tw", SOON).unwrap(), "two");
        assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
        let error = process.line("four", SOON).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("one"), "{error}");
    }

    #[test]
    fn a_program_is_gone_when_dropped() {
        let process = shell("exec sleep 600");
        let id = process.id();
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
