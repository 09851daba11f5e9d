//! Hosts that are dead, slow or answer nonsense cost their own rows and nothing else.

use std::{fs, time::Duration};

use heapster_testkit::sim::Behaviour;

use crate::support::{Lab, Master, eventually, rounds};

const GOOD_HOSTS: usize = 2;
const PODS: usize = 3;
const CONTAINERS: usize = 2;
/// A node, its pods and their containers.
const ROWS_PER_HOST: usize = 1 + PODS + PODS * CONTAINERS;

/// It depends on the moment whether the half that comes is seen before the end.
const TRUNCATED: [&str; 2] = ["the host closed the connection", "the answer broke off after "];

const BAD: [(Behaviour, &str); 6] = [
    (Behaviour::Refuses, "connection refused; nothing listens on that port"),
    (Behaviour::Slow(Duration::from_secs(5)), "no answer within 900 ms"),
    (Behaviour::ServerError, "answered 500 Internal Server Error: failed to get container info"),
    (Behaviour::Garbage, "the answer is not as expected: "),
    (Behaviour::Truncated, TRUNCATED[0]),
    (Behaviour::Endless, "the answer is larger than the limit of 8MiB"),
];

/// The most memory that a process had so far.
fn peak_bytes(id: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Each tick has every row of the good hosts, whatever the others do; `/validate` says of each of
/// the others what is wrong with it; and an answer without an end costs no memory beyond its limit.
#[tokio::test(flavor = "multi_thread")]
async fn bad_hosts_cost_their_own_rows_only() {
    let lab = Lab::start(GOOD_HOSTS + BAD.len(), PODS, CONTAINERS).await;
    for (index, (behaviour, _)) in BAD.iter().enumerate() {
        lab.sim.set_behaviour(GOOD_HOSTS + index, *behaviour);
    }
    let master = Master::start(&[]);
    let discovery = lab.discovery();
    let options = ["--cluster", "lab", "--discovery", &discovery, "--host-timeout", "900ms"];
    let source = ["--source", "cadvisor?max_body_size=8MiB"];
    let buddy = crate::support::start_buddy(&master, &[&options[..], &source].concat());

    let api = master.api();
    for (index, (_, error)) in BAD.iter().enumerate() {
        let name = &lab.sim.hosts()[GOOD_HOSTS + index].name;
        let line = format!("cluster lab: host {name}: cadvisor: ");
        let words: &[&str] = if *error == TRUNCATED[0] { &TRUNCATED } else { &[error] };
        let is_said = |page: &str| {
            let said = page.lines().find(|said| said.contains(&line));
            said.is_some_and(|said| words.iter().any(|words| said.contains(words)))
        };
        eventually(
            || is_said(&api.validate()).then_some(()),
            || format!("{words:?} of {name} in:\n{}", api.validate()),
        );
    }

    // Rounds before the hosts were listed have none.
    let full = || rounds(&buddy.output()).into_iter().skip_while(|round| round.hosts == 0);
    eventually(|| (full().count() >= 3).then_some(()), || buddy.output());
    let early = peak_bytes(buddy.id());
    eventually(|| (full().count() >= 11).then_some(()), || buddy.output());
    let late = peak_bytes(buddy.id());
    let limit = 96 << 20;
    assert!(early < limit && late < limit, "{early} bytes at first, {late} bytes later");
    for round in full() {
        assert_eq!(round.failed, BAD.len(), "{}", buddy.output());
        assert_eq!(round.rows, GOOD_HOSTS * ROWS_PER_HOST, "{}", buddy.output());
    }
    let points = api.points("/api/v1/model/nodes/sim-00000/metrics/uptime", full().count());
    for pair in points.windows(2) {
        assert!(pair[1].0 - pair[0].0 < 1900, "a tick is missing: {points:?}");
    }
}
