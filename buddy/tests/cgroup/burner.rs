//! A process with a known load: this very test program, started once more.

use std::{
    hint::black_box,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Memory that it allocates.
pub(crate) const MEMORY_BYTES: usize = 64 << 20;

const VARIABLE: &str = "HEAPSTER_TEST_BURNER";
const READY: &str = "the burner burns";

/// The process; it ends when this is dropped, or when this program ends in whatever way.
pub(crate) struct Burner {
    child: Child,
    _lifeline: ChildStdin,
}

impl Burner {
    /// Starts it, and lets it allocate and burn once `place` has put it where it belongs.
    pub(crate) fn start(place: impl FnOnce(u32)) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "burner::burns", "--nocapture"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        place(child.id());
        let mut lifeline = child.stdin.take().unwrap();
        lifeline.write_all(b"go\n").unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains(READY));
        assert!(ready, "the burner ended at once");
        Self { child, _lifeline: lifeline }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A burner that was started has its memory. With the variable set, this is the burner.
#[test]
fn burns() {
    if std::env::var_os(VARIABLE).is_some() {
        return burn();
    }
    let burner = Burner::start(|_| ());
    let pages = std::fs::read_to_string(format!("/proc/{}/statm", burner.pid())).unwrap();
    let resident: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(resident * rustix::param::page_size() >= MEMORY_BYTES, "{resident} pages");
}

/// Two fifths of a CPU, and memory.
fn burn() {
    let mut input = std::io::stdin().lock();
    input.read_line(&mut String::new()).unwrap();
    drop(input);
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let memory = vec![1_u8; MEMORY_BYTES];
    println!("{READY}");
    loop {
        let until = Instant::now() + Duration::from_millis(20);
        while Instant::now() < until {
            black_box(&memory);
        }
        thread::sleep(Duration::from_millis(30));
    }
}
