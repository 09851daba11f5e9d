//! The slim program `heapster-master`: the same options as `heapster master`, and the same end.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use heapster_testkit::{
    http,
    process::{Process, assert_help_has},
};

const MASTER: &str = env!("CARGO_BIN_EXE_heapster-master");
const SOON: Duration = Duration::from_secs(20);

fn master(arguments: &[&str]) -> Process {
    Process::start(Path::new(MASTER), arguments).unwrap()
}

#[test]
fn help_has_every_option_of_a_master() {
    let options = [
        "--listen",
        "--grpc-listen",
        "--sink",
        "--insecure",
        "--resolution",
        "--model-retention",
        "--model-max-bytes",
        "--max-frame-bytes",
        "--credit-bytes",
        "--max-entities",
        "--max-labels",
        "--max-label-bytes",
        "--max-clusters",
        "--log",
        "--log-format",
        "--config",
    ];
    assert_help_has(Path::new(MASTER), &options);
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&[], "give --insecure to talk in plain text"),
        (&["--insecure", "--grpc-listen", &taken], "another program has the port"),
        (&["--insecure", "--sink", "influx:http://h"], "unknown sink `influx`"),
        (&["--insecure", "--resolution", "1ms"], "between 1s and 24h"),
    ];
    for (arguments, expected) in cases {
        let mut process = master(&[arguments, &["--listen", "127.0.0.1:0"]].concat());
        let status = process.wait(SOON).unwrap();
        let output = process.output();
        assert!(
            !status.success() && output.contains(expected),
            "wanted {expected:?} in:\n{output}"
        );
        assert!(!output.contains("panicked"), "{output}");
    }
}

/// Ready soon, without a problem but that nobody has connected, and gone when asked. What it logs is
/// of Heapster and not of the threads of its HTTP server.
#[test]
fn it_serves_and_ends_when_asked() {
    let any_port = ["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"];
    let mut process = master(&[&any_port[..], &["--insecure"]].concat());
    let line = process.line("serving the API and the page over HTTP", SOON).unwrap();
    let address = line.split("address=").nth(1).unwrap();
    let deadline = Instant::now() + SOON;
    while http::get(&format!("http://{address}/readyz")).unwrap().status != 200 {
        assert!(Instant::now() < deadline, "{}", process.output());
        std::thread::sleep(Duration::from_millis(20));
    }
    let page = http::get(&format!("http://{address}/validate")).unwrap().body;
    assert!(page.contains("1 problem\n  no buddy has connected yet"), "{page}");
    let status = process.terminate(Duration::from_secs(10)).unwrap();
    assert!(status.success(), "{status}: {}", process.output());
    assert!(!process.output().contains("worker"), "{}", process.output());
}
