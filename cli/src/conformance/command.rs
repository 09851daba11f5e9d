//! The command that starts a buddy, as a group of processes that is gone when it is dropped.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// Lines of standard error that are kept.
const KEPT_LINES: usize = 10;
/// Bytes that are kept of a line.
const KEPT_BYTES: u64 = 500;

/// A file that the buddy of a master by TLS is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum File {
    /// The authority that has signed the master's certificate.
    Ca,
    Token,
    /// A client certificate, and its key.
    Cert,
    Key,
}

impl File {
    const ALL: [Self; 4] = [Self::Ca, Self::Token, Self::Cert, Self::Key];

    /// What stands for it in a command, and the variable that it is in.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ca => ("{ca}", "HEAPSTER_MASTER_CA"),
            Self::Token => ("{token_file}", "HEAPSTER_TOKEN_FILE"),
            Self::Cert => ("{cert}", "HEAPSTER_CERT"),
            Self::Key => ("{key}", "HEAPSTER_KEY"),
        }
    }
}

/// Where the master is, and by what it is got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// `HOST:PORT`.
    pub(super) address: &'a str,
    pub(super) cluster: &'a str,
    /// What TLS takes; nothing for plain text.
    pub(super) files: Option<&'a [(File, PathBuf)]>,
}

/// What is to be started, again and again.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Launch {
    /// Reads a command and puts in where the master is.
    pub(super) fn new(command: &str, place: Place<'_>) -> anyhow::Result<Self> {
        let Place { address, cluster, files } = place;
        let scheme = if files.is_some() { "https" } else { "http" };
        let master = format!("{scheme}://{address}");
        let mut texts = vec![
            ("{master}", master.clone()),
            ("{address}", address.to_owned()),
            ("{cluster}", cluster.to_owned()),
        ];
        let mut variables = vec![
            ("HEAPSTER_MASTER", master),
            ("HEAPSTER_MASTER_ADDRESS", address.to_owned()),
            ("HEAPSTER_CLUSTER", cluster.to_owned()),
        ];
        if files.is_none() {
            variables.push(("HEAPSTER_INSECURE", "true".to_owned()));
        }
        for (file, path) in files.unwrap_or_default() {
            let (word, variable) = file.names();
            let path = path.to_str().context("the folder for temporary files has no plain name")?;
            texts.push((word, path.to_owned()));
            variables.push((variable, path.to_owned()));
        }
        let fill =
            |word: String| texts.iter().fold(word, |word, (name, text)| word.replace(name, text));
        let words: Vec<String> = split(command)?.into_iter().map(fill).collect();
        if words.is_empty() {
            bail!("--command names no program");
        }
        check(&words)?;
        Ok(Self { words, variables })
    }

    /// Starts it.
    pub(super) fn start(&self) -> anyhow::Result<Program> {
        let (program, arguments) = self.words.split_first().context("no program")?;
        let mut command = Command::new(program);
        // Options of this program that would mean something else to one of the same family.
        for name in ["HEAPSTER_RESOLUTION", "HEAPSTER_LISTEN", "HEAPSTER_TLS", "HEAPSTER_INSECURE"]
        {
            command.env_remove(name);
        }
        for (_, name) in File::ALL.map(File::names) {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("--command: cannot start {program}"))?;
        let tail = Tail::default();
        if let Some(stderr) = child.stderr.take() {
            tail.follow(stderr);
        }
        Ok(Program { child, tail })
    }
}

/// Whether nothing was asked for that this run does not have.
fn check(words: &[String]) -> anyhow::Result<()> {
    let mut names = File::ALL.iter().map(|file| file.names().0);
    let Some(name) = names.find(|name| words.iter().any(|word| word.contains(name))) else {
        return Ok(());
    };
    match name {
        "{ca}" => bail!("--command has {name}: that is for --tls token and --tls certificate"),
        "{token_file}" => bail!("--command has {name}: that is for --tls token"),
        _ => bail!("--command has {name}: that is for --tls certificate"),
    }
}

/// Parts a command into words: by spaces, but for those within single or double quotes.
fn split(command: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        bail!("--command: a {quote} is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// A running buddy.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    tail: Tail,
}

impl Program {
    /// How it ended, where it did.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// That it ended or runs, and what it said last: the end of a sentence.
    pub(super) fn state(&mut self) -> String {
        let state = match self.exited() {
            Some(status) => format!("the command ended with {status}"),
            None => "the command runs".to_owned(),
        };
        let lines = self.tail.lines();
        if lines.is_empty() {
            return format!("{state} and wrote nothing to standard error");
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("{state}; the last it wrote to standard error: {}", lines.join(" | "))
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = id {
            // It may be gone by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The last lines of a stream.
#[derive(Clone, Debug, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, stream: impl Read + Send + 'static) {
        let tail = self.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // A line that is longer comes in pieces.
            let piece = |stream: &mut BufReader<_>, line: &mut Vec<u8>| {
                stream.by_ref().take(KEPT_BYTES).read_until(b'\n', line)
            };
            while piece(&mut stream, &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                let mut lines = tail.lines();
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(text);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const PLAIN: Place<'_> = Place { address: "127.0.0.1:1", cluster: "lab", files: None };

    fn launch(command: &str) -> Program {
        Launch::new(command, PLAIN).unwrap().start().unwrap()
    }

    #[test]
    fn words_are_parted_as_written() {
        let words = split("a  'b c' \"d 'e\"f ''").unwrap();
        assert_eq!(words, ["a", "b c", "d 'ef", ""]);
        assert!(split("a 'b").unwrap_err().to_string().contains("not closed"));
        assert!(Launch::new("  ", PLAIN).is_err());
    }

    /// What TLS takes is named by words and variables, and what a run does not have is missed at once.
    #[test]
    fn files_have_words_and_variables() {
        let files = [(File::Ca, PathBuf::from("/t/ca.crt")), (File::Token, PathBuf::from("/t/x"))];
        let tls = Place { files: Some(&files), ..PLAIN };
        let launch = Launch::new("b {master} --ca={ca} {token_file}", tls).unwrap();
        assert_eq!(launch.words, ["b", "https://127.0.0.1:1", "--ca=/t/ca.crt", "/t/x"]);
        let variables: Vec<_> = launch.variables.iter().map(|(name, _)| *name).collect();
        assert!(variables.contains(&"HEAPSTER_MASTER_CA"), "{variables:?}");
        assert!(!variables.contains(&"HEAPSTER_INSECURE"), "{variables:?}");
        let error = |command: &str, place| Launch::new(command, place).unwrap_err().to_string();
        assert!(error("b {ca}", PLAIN).contains("--tls token and --tls certificate"));
        assert!(error("b {token_file}", PLAIN).ends_with("for --tls token"));
        assert!(error("b {cert}", tls).ends_with("for --tls certificate"));
    }

    /// A buddy that ends is told of with how it ended and what it said.
    #[test]
    fn an_end_is_told_with_its_last_words() {
        let script =
            "sh -c 'echo at {address} of {cluster} >&2; echo $HEAPSTER_MASTER >&2; exit 7'";
        let mut program = launch(script);
        let deadline = Instant::now() + Duration::from_secs(10);
        let wanted = "at 127.0.0.1:1 of lab | http://127.0.0.1:1";
        while !(program.state().contains("exit status: 7") && program.state().contains(wanted)) {
            assert!(Instant::now() < deadline, "{}", program.state());
            thread::yield_now();
        }
        let error = Launch::new("./no-such-buddy", PLAIN).unwrap().start().unwrap_err();
        assert!(error.to_string().contains("cannot start ./no-such-buddy"), "{error}");
    }

    /// Also what the command itself has started.
    #[test]
    fn a_dropped_program_takes_its_children_along() {
        let program = launch("sh -c 'sleep 600 & echo $! >&2; wait'");
        let deadline = Instant::now() + Duration::from_secs(10);
        let child = loop {
            if let Some(line) = program.tail.lines().front() {
                break line.clone();
            }
            assert!(Instant::now() < deadline);
            thread::yield_now();
        };
        drop(program);
        let stat = format!("/proc/{child}/stat");
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() {
            assert!(Instant::now() < deadline, "{child} still runs");
            thread::yield_now();
        }
    }
}
