//! `heapster conformance`: the project's own buddy and master pass, and a buddy or master with one
//! fault fails the check that is meant for it, in its sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod fake_buddy;
mod fake_master;
mod python;
mod tls;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use fake_master::{FakeMaster, Fault};
use heapster_testkit::process::Process;
use serde_json::Value;

const HEAPSTER: &str = env!("CARGO_BIN_EXE_heapster");
const SOON: Duration = Duration::from_secs(30);
/// For a whole run.
const AT_LAST: Duration = Duration::from_secs(180);

/// The verdicts of a run, and whether it succeeded.
struct Verdicts {
    success: bool,
    text: String,
    json: Value,
}

impl Verdicts {
    fn of(arguments: &[&str]) -> Self {
        let fixed = ["conformance"].into_iter().chain(arguments.iter().copied());
        let arguments = fixed.chain(["--output", "json"]);
        let mut process = Process::start(Path::new(HEAPSTER), arguments).unwrap();
        let success = process.wait(AT_LAST).unwrap().success();
        let text = process.output();
        // The line on standard error may come between those on standard output.
        let said = text.lines().filter(|line| !line.starts_with("error: "));
        let said: Vec<&str> = said.collect();
        let json = serde_json::from_str(&said.join("\n"));
        let json = json.unwrap_or_else(|error| panic!("{error} in:\n{text}"));
        Self { success, text, json }
    }

    /// The verdict on a check, and its sentence.
    fn check(&self, name: &str) -> (&str, &str) {
        let checks = self.json["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("no check {name} in:\n{}", self.text));
        (check["verdict"].as_str().unwrap(), check["message"].as_str().unwrap())
    }

    fn assert_failed(&self, name: &str, sentence: &str) {
        let (verdict, message) = self.check(name);
        let as_wanted = verdict == "failed" && message.contains(sentence) && !self.success;
        assert!(as_wanted, "{name} should fail with {sentence:?}:\n{}", self.text);
    }

    fn assert_all_pass(&self) {
        assert!(self.success && self.json["failed"] == 0, "{}", self.text);
        let checks = self.json["checks"].as_array().unwrap();
        let left = checks.iter().filter(|check| check["verdict"] != "passed");
        let left: Vec<_> = left.map(|check| check["name"].as_str().unwrap()).collect();
        // In plain text there is nothing to see of these.
        let plain = ["master-certificate", "credential"];
        assert!(left.is_empty() || left == plain, "{}", self.text);
    }
}

/// The own buddy with these options.
fn own_buddy(options: &str) -> Verdicts {
    let fixed = "buddy --insecure --master {master} --cluster {cluster}";
    Verdicts::of(&["buddy", "--command", &format!("{HEAPSTER} {fixed} {options}")])
}

/// It polls this machine and, where it is told to, hosts with a cAdvisor.
#[test]
fn the_own_buddy_passes() {
    own_buddy("--source cgroup --source cadvisor").assert_all_pass();
}

/// What it is assigned is all that it polls, and its rows are looked at like any others.
#[test]
fn the_own_buddy_that_only_polls_passes() {
    let verdicts = own_buddy("--role polls --source cadvisor");
    assert!(verdicts.success, "{}", verdicts.text);
    for name in ["assigned-host", "rows", "ids", "retry", "credit"] {
        assert_eq!(verdicts.check(name).0, "passed", "{}", verdicts.text);
    }
}

/// A buddy that cannot poll a host says so of it, and goes on with the others.
#[test]
fn the_own_buddy_says_what_it_cannot_poll() {
    let verdicts = own_buddy("--source cgroup");
    assert!(verdicts.success, "{}", verdicts.text);
    let (verdict, why) = verdicts.check("assigned-host");
    assert_eq!(verdict, "does_not_apply", "{}", verdicts.text);
    assert!(why.contains("took a host with a cAdvisor, and says of it: "), "{why}");
}

#[test]
fn the_own_master_passes() {
    let [http, grpc] = heapster_testkit::peer::free_ports().unwrap();
    let (listen, grpc_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
    let arguments = ["master", "--insecure", "--listen", &listen, "--grpc-listen", &grpc_listen];
    let mut master = Process::start(Path::new(HEAPSTER), arguments).unwrap();
    master.line("waiting for buddies", SOON).unwrap();
    let endpoint = format!("http://{grpc_listen}");
    Verdicts::of(&["master", "--endpoint", &endpoint, "--quiet", "500ms"]).assert_all_pass();
}

/// Runs the buddy of `fake_buddy` with a fault.
fn fake_buddy(fault: &str) -> Verdicts {
    fake_buddy_by(fault, &[])
}

/// The same with more options.
fn fake_buddy_by(fault: &str, more: &[&str]) -> Verdicts {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let command =
        format!("env {}={fault} '{program}' {} --exact", fake_buddy::FAULT, fake_buddy::TEST);
    let fixed = ["buddy", "--command", &command, "--timeout", "5s", "--quiet", "1s"];
    Verdicts::of(&[&fixed, more].concat())
}

/// What fails below fails for its fault alone.
#[test]
fn a_faultless_fake_buddy_passes() {
    fake_buddy("none").assert_all_pass();
}

#[test]
fn a_buddy_that_only_discovers_passes_without_ingest() {
    let verdicts = fake_buddy("discovers");
    assert!(verdicts.success, "{}", verdicts.text);
    assert_eq!(verdicts.check("hosts").0, "passed");
    for name in ["sequence", "credit", "resend-after-cut"] {
        let (verdict, why) = verdicts.check(name);
        assert_eq!(verdict, "does_not_apply", "{}", verdicts.text);
        assert!(why.contains("only discovers"), "{why}");
    }
}

#[test]
fn a_buddy_that_ignores_a_refusal_is_found() {
    fake_buddy("refusal").assert_failed("version-refusal", "came back unchanged");
}

#[test]
fn a_buddy_whose_sequence_jumps_is_found() {
    fake_buddy("jump").assert_failed("sequence", "came after");
}

#[test]
fn a_buddy_that_uses_an_undefined_id_is_found() {
    let verdicts = fake_buddy("undefined");
    verdicts.assert_failed("identity-before-use", "a row of entity 9, which is not defined");
    assert_eq!(verdicts.check("sequence").0, "passed", "{}", verdicts.text);
}

/// What is wrong with a buddy that was assigned a host, each in its sentence.
#[test]
fn a_buddy_that_does_not_poll_what_it_is_assigned_is_found() {
    let cases = [
        ("idle", "was not asked"),
        ("lost", "was asked for /nowhere"),
        ("rowless", "no row of a NODE of the name"),
        ("mute", "no HostState of the host_id"),
        ("gloomy", "Health says of it: \"no luck\""),
        ("sulks", "and no error: say why"),
        ("clings", "is polled on after the reply to an Assignment without it"),
    ];
    let tried = cases
        .map(|(fault, sentence)| (std::thread::spawn(move || fake_buddy(fault)), fault, sentence));
    for (verdicts, fault, sentence) in tried {
        let verdicts = verdicts.join().unwrap();
        verdicts.assert_failed("assigned-host", sentence);
        assert_eq!(verdicts.json["failed"], 1, "{fault}:\n{}", verdicts.text);
    }
}

/// A buddy may refuse, as long as it says why.
#[test]
fn a_buddy_that_refuses_an_assignment_with_a_reason_passes() {
    let verdicts = fake_buddy("refuses");
    assert!(verdicts.success, "{}", verdicts.text);
    let (verdict, why) = verdicts.check("assigned-host");
    assert_eq!(verdict, "does_not_apply", "{}", verdicts.text);
    assert!(why.contains("too far away"), "{why}");
}

#[test]
fn a_buddy_that_does_not_wait_before_it_sends_again_is_found() {
    fake_buddy("hasty").assert_failed("retry", "after RETRY, which said retry_after_ms: 1500");
}

#[test]
fn a_buddy_that_ignores_credit_is_found() {
    fake_buddy("credit").assert_failed("credit", "wait for more Credit");
}

#[test]
fn a_buddy_that_forgets_what_was_cut_is_found() {
    fake_buddy("forgets").assert_failed("resend-after-cut", "had no answer before the cut");
}

/// A command that ends at once is told of with how it ended and what it said.
#[test]
fn a_command_that_ends_early_is_told() {
    let command = "sh -c 'echo no such cluster >&2; exit 3'";
    let verdicts =
        Verdicts::of(&["buddy", "--command", command, "--timeout", "5s", "--quiet", "1s"]);
    verdicts.assert_failed("handshake", "exit status: 3");
    verdicts.assert_failed("handshake", "no such cluster");
    assert_eq!(verdicts.check("hosts").0, "not_reached");
}

/// The command must not be left behind when the check is called off.
#[test]
fn a_check_that_is_called_off_takes_its_command_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let command = format!("sh -c 'echo $$ > {}; exec sleep 600'", file.display());
    let arguments = ["conformance", "buddy", "--command", &command];
    let mut process = Process::start(Path::new(HEAPSTER), arguments).unwrap();
    let deadline = Instant::now() + SOON;
    let id = loop {
        match std::fs::read_to_string(&file) {
            Ok(id) if id.ends_with('\n') => break id.trim().to_owned(),
            _ => assert!(Instant::now() < deadline, "{}", process.output()),
        }
        std::thread::yield_now();
    };
    assert!(!process.terminate(SOON).unwrap().success());
    assert!(process.output().contains("asked to end"), "{}", process.output());
    assert!(!Path::new(&format!("/proc/{id}")).exists(), "the command still runs");
}

async fn fake_master(fault: Fault) -> Verdicts {
    let master = FakeMaster::start(fault).await;
    let endpoint = format!("http://{}", master.address);
    let run = move || {
        Verdicts::of(&["master", "--endpoint", &endpoint, "--timeout", "1s", "--quiet", "300ms"])
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A master that takes whatever comes fails where it has to refuse, and only there.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_refuses_nothing_is_found() {
    let verdicts = fake_master(Fault::RefusesNothing).await;
    let cases = [
        ("version-refusal", "was answered with Welcome, and not with a Refusal"),
        ("malformed-hello", "a Hello without a cluster was answered with Welcome"),
        ("duplicate-instance", "a second instance of a buddy_id that is connected"),
        ("replacement", "the Control stream goes on after a second one"),
        ("snapshot-after-gap", "no send_snapshot came after a HostChange from version 7"),
        ("unknown-session", "the stream goes on after an Open of an unknown session"),
        ("open-first", "the stream goes on after a Define before any Open"),
        ("identity-before-use", "goes on after a row of an entity that is not defined"),
        ("ids", "goes on after an entity of the id 0"),
        ("sequence", "goes on after the sequence 3 after 1"),
        ("limits", "goes on after an entity with more than max_labels labels"),
        ("shutdown", "goes on after an Open of a session that said Goodbye"),
    ];
    for (name, sentence) in cases {
        verdicts.assert_failed(name, sentence);
    }
    for name in ["handshake", "credit", "delivery", "round-end", "resend-after-cut"] {
        assert_eq!(verdicts.check(name).0, "passed", "{}", verdicts.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_gives_too_much_credit_is_found() {
    fake_master(Fault::GivesTooMuchCredit)
        .await
        .assert_failed("credit", "bytes of credit came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_answers_twice_is_found() {
    let verdicts = fake_master(Fault::AnswersTwice).await;
    verdicts.assert_failed("delivery", "answered twice");
    assert_eq!(verdicts.check("credit").0, "passed", "{}", verdicts.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_welcomes_without_a_session_is_found() {
    let verdicts = fake_master(Fault::NamesNoSession).await;
    verdicts.assert_failed("handshake", "no session_id");
    assert_eq!(verdicts.check("delivery").0, "not_reached", "{}", verdicts.text);
}

#[test]
fn a_master_that_is_not_there_is_told() {
    let [port, _] = heapster_testkit::peer::free_ports().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    Verdicts::of(&["master", "--endpoint", &endpoint]).assert_failed("handshake", "cannot connect");
}
