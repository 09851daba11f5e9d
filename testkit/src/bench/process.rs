//! A program under measurement: started, read from `/proc`, and killed when it is dropped.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

use super::machine::field;

/// Lines of a program's log that an error shows.
const SHOWN_LINES: usize = 15;

/// A running program.
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a program took, as of now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// User and system time.
    pub(super) cpu: Duration,
    /// Memory in use.
    pub(super) rss_bytes: u64,
    /// The most memory that was ever in use.
    pub(super) peak_bytes: u64,
}

impl Process {
    /// Starts a program; what it prints goes to a file in the folder.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// An error with the end of its log if it has stopped.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!(
                    "{} stopped early ({status}); its last lines:\n{}",
                    self.name,
                    self.last_lines()
                )
            }
        }
    }

    /// The end of its log.
    pub(super) fn last_lines(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// What it took so far.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).with_context(|| format!("{} is gone", self.name))
    }
}

impl Usage {
    /// What this program itself took so far.
    pub(super) fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    fn of(id: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        let status = format!("/proc/{id}/status");
        Ok(Self {
            cpu: cpu_time(&stat).context("/proc has another form than expected")?,
            rss_bytes: kibibytes(&status, "VmRSS"),
            peak_bytes: kibibytes(&status, "VmHWM"),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have stopped by itself; then there is nobody to kill, and waiting is at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of `/proc/PID/stat`, where the name may hold spaces and brackets.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis((user + system) * 1000 / ticks_per_second))
}

fn kibibytes(path: &str, name: &str) -> u64 {
    let text = field(path, name).unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "7 (a) b ( c)) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_time("7 (x) S 1"), None);
    }

    /// Otherwise a bench with a wrong option would wait for rows until its deadline.
    #[test]
    fn an_early_exit_is_told_with_the_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let script = ["-c".to_owned(), "echo unknown option >&2; exit 3".to_owned()];
        let mut process = Process::start(Path::new("/bin/sh"), &script, folder.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let error = loop {
            match process.check_alive() {
                Err(error) => break error.to_string(),
                Ok(()) => assert!(Instant::now() < deadline, "it does not stop"),
            }
        };
        assert!(error.contains("sh stopped early") && error.contains("unknown option"), "{error}");
    }

    #[test]
    fn a_program_that_works_takes_time_and_memory() {
        let folder = tempfile::tempdir().unwrap();
        let script = ["-c".to_owned(), "while :; do :; done".to_owned()];
        let process = Process::start(Path::new("/bin/sh"), &script, folder.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.usage().unwrap().cpu < Duration::from_millis(50) {
            assert!(Instant::now() < deadline, "it takes no time");
        }
        let usage = process.usage().unwrap();
        assert!(usage.rss_bytes > 0 && usage.peak_bytes >= usage.rss_bytes);
    }
}
