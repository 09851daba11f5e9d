//! What a user gets wrong between master and buddy: each is told in a sentence.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use heapster_testkit::{peer::free_ports, sim::Behaviour};

use crate::support::{Lab, Master, SOON, eventually, heapster, rounds, start_buddy};

const GREETING: &str = "no session with the master";

/// Options that cannot work end the program at once, and say what to write instead.
#[test]
fn wrong_options_end_the_program_with_a_sentence() {
    let local = "http://127.0.0.1:8085";
    let cases: [(&[&str], &str); 8] = [
        (&["master"], "give --insecure to talk in plain text"),
        (&["buddy", "--master", local], "plain text has to be asked for with --insecure"),
        (&["buddy", "--insecure"], "--master <URL>"),
        (&["buddy", "--insecure", "--master", "127.0.0.1:8085"], "write http://HOST:8085"),
        (&["buddy", "--insecure", "--master", "localhost:8085"], "write http://localhost:8085"),
        (
            &["buddy", "--insecure", "--master", "https://h:8085"],
            "leave out --insecure, or write http://",
        ),
        (
            &["buddy", "--insecure", "--master", local, "--cluster", "a b"],
            "write 1 to 253 letters, digits, `.`, `_` or `-`",
        ),
        (&["buddy", "--insecure", "--master", local, "--source", "cadvisor"], "nothing to poll"),
    ];
    for (arguments, expected) in cases {
        let mut process = heapster(arguments);
        let status = process.wait(SOON).unwrap();
        let output = process.output();
        assert!(!status.success(), "{output}");
        assert!(output.contains(expected), "wanted {expected:?} in:\n{output}");
        assert!(!output.contains("panicked"), "{output}");
    }
}

/// A master that is not there is no reason to stop: the buddy polls on, says what is wrong, tries
/// again at growing distances rather than at each tick, and connects when the master comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_master_is_waited_for() {
    let lab = Lab::start(1, 1, 1).await;
    let mut master = Master::start(&[]);
    assert!(master.process.terminate(SOON).unwrap().success());
    let mut buddy = lab.buddy(&master, "lab", &["--resolution", "1s"]);
    let line = buddy.line(GREETING, SOON).unwrap();
    assert!(line.contains("nothing listens there"), "{line}");
    eventually(|| (rounds(&buddy.output()).len() >= 8).then_some(()), || buddy.output());
    let said = buddy.output().matches(GREETING).count();
    assert!((2..=5).contains(&said), "said {said} times:\n{}", buddy.output());
    master.start_again();
    buddy.line("connected to the master", SOON).unwrap();
    master.api().points("/api/v1/model/nodes/sim-00000/metrics/uptime", 8);
}

/// The port of the API instead of that for buddies: the most likely slip of all.
#[test]
fn a_server_that_is_no_master_is_called_so() {
    let master = Master::start(&[]);
    let url = master.url();
    let fixed = ["buddy", "--insecure", "--source", "cgroup", "--resolution", "1s"];
    let mut buddy = heapster(&[&fixed[..], &["--master", &url]].concat());
    let line = buddy.line(GREETING, SOON).unwrap();
    // A server that hangs up quickly may cut off its own answer.
    let called = ["does not speak gRPC", "the connection ended before the master answered"];
    assert!(called.iter().any(|words| line.contains(words)), "{line}");
    assert!(line.contains("--grpc-listen"), "{line}");
}

/// Somebody who takes connections and says nothing does not hold up the end of the buddy.
#[test]
fn a_server_that_is_silent_does_not_hold_up_the_end() {
    let [port] = free_ports().unwrap();
    let _silent = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let fixed = ["buddy", "--insecure", "--source", "cgroup", "--resolution", "1s"];
    let mut buddy = heapster(&[&fixed[..], &["--master", &url]].concat());
    eventually(|| (rounds(&buddy.output()).len() >= 2).then_some(()), || buddy.output());
    let asked = Instant::now();
    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
    assert!(asked.elapsed() < Duration::from_secs(5), "{}", buddy.output());
    assert!(buddy.output().contains("--spool DIR keeps them"), "{}", buddy.output());
}

/// Two buddies under one id would overwrite each other's hosts: the second is refused, is told from
/// where the first is connected and what to do, and the first goes on as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_buddy_of_the_same_id_is_refused() {
    let lab = Lab::start(2, 1, 1).await;
    lab.sim.set_behaviour(1, Behaviour::Refuses);
    let mut master = Master::start(&[]);
    let first = lab.buddy(&master, "lab", &["--buddy-id", "one"]);
    let api = master.api();
    let node = "/api/v1/model/nodes/sim-00000/metrics/uptime";
    api.points(node, 1);

    let discovery = ["--cluster", "lab", "--discovery", "static:?hosts=other=127.0.0.1:1"];
    let mut second = start_buddy(&master, &[&discovery[..], &["--buddy-id", "one"]].concat());
    let line = second.line(GREETING, SOON).unwrap();
    assert!(line.contains("another instance of buddy one is connected from 127.0.0.1:"), "{line}");
    assert!(line.contains("--buddy-id"), "{line}");
    let line = master.process.line("a buddy was refused", SOON).unwrap();
    assert!(line.contains("DUPLICATE_INSTANCE"), "{line}");
    let before = api.points(node, 1).len();
    api.points(node, before + 2);
    let page = api.validate();
    assert!(!page.contains("host other"), "{page}");
    assert!(page.contains("host sim-00001: cadvisor: "), "{page}");
    assert_eq!(first.output().matches(GREETING).count(), 0, "{}", first.output());
}
