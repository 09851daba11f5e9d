//! `swarm`, with the answers that Docker's documentation has.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use heapster_testkit::peer::{FakeHttp, FakeReply};

use super::common::{start, until};

const NODES: &str = r#"[
  {"ID": "24ifsmvkjbyhk", "Version": {"Index": 8},
   "Spec": {"Name": "my-node", "Role": "manager", "Availability": "active", "Labels": {"foo": "bar"}},
   "Description": {"Hostname": "bf3067039e47", "Platform": {"Architecture": "x86_64", "OS": "linux"}},
   "Status": {"State": "ready", "Addr": "0.0.0.0"},
   "ManagerStatus": {"Leader": true, "Reachability": "reachable", "Addr": "10.0.0.46:2377"}},
  {"ID": "9j68exjopxe7wfl6yuxml7a7j", "Spec": {"Role": "worker", "Availability": "active"},
   "Description": {"Hostname": "w1"},
   "Status": {"State": "down", "Message": "heartbeat failure", "Addr": "10.0.0.47"}}
]"#;
const ONE: &str = r#"[{"ID": "n", "Spec": {"Role": "worker"}, "Description": {"Hostname": "w2"},
   "Status": {"State": "ready", "Addr": "10.0.0.48"}}]"#;
const EVENT: &str =
    "{\"Type\":\"node\",\"Action\":\"remove\",\"Actor\":{\"ID\":\"24ifsmvkjbyhk\"}}\n";

fn nodes(body: &str) -> FakeReply {
    // By the clock of the manager: 1795345200 in seconds since 1970.
    let headers = vec![("Date", "Sun, 22 Nov 2026 11:00:00 GMT".to_owned())];
    FakeReply::Answer { status: 200, headers, body: body.to_owned() }
}

/// All nodes at once, and again when an event came that was missed between the two.
#[tokio::test]
async fn nodes_and_their_events() {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let fake = FakeHttp::start(move |request| {
        if request.target.starts_with("/events") {
            return match count.load(Ordering::Relaxed) {
                1 => FakeReply::body(200, EVENT),
                _ => FakeReply::Hang,
            };
        }
        assert_eq!(request.target, "/nodes");
        nodes(if count.fetch_add(1, Ordering::Relaxed) == 0 { NODES } else { ONE })
    });
    let fake = fake.await.unwrap();
    let mut running = start(&format!("swarm:{}", fake.url().replace("http:", "tcp:")));
    let listing = running.listed(&["24ifsmvkjbyhk", "9j68exjopxe7wfl6yuxml7a7j"]).await;
    let [manager, worker] = &listing.hosts[..] else { panic!("{listing:?}") };
    assert_eq!(
        (manager.name.as_str(), manager.addresses[0].as_str()),
        ("bf3067039e47", "10.0.0.46")
    );
    assert_eq!(manager.labels.joined(","), "foo:bar,role:manager");
    assert_eq!((worker.addresses[0].as_str(), worker.ready), ("10.0.0.47", false));
    assert_eq!(worker.state, "down: heartbeat failure");
    running.listed(&["n"]).await;
    let asked = fake.requests()[1].target.clone();
    assert_eq!(asked, "/events?filters=%7B%22type%22%3A%5B%22node%22%5D%7D&since=1795345200");
}

/// Whoever is no manager says so, and the next one is asked; a role selects.
#[tokio::test]
async fn an_engine_that_is_no_manager() {
    let worker = FakeHttp::start(|_| {
        FakeReply::body(503, r#"{"message":"This node is not a swarm manager."}"#)
    });
    let worker = worker.await.unwrap();
    let manager = FakeHttp::start(|request| match request.target.as_str() {
        "/nodes" => nodes(NODES),
        _ => FakeReply::Hang,
    });
    let manager = manager.await.unwrap();
    let both = format!("swarm:{},{}?role=worker", worker.url(), manager.url());
    start(&both).listed(&["9j68exjopxe7wfl6yuxml7a7j"]).await;
    start(&format!("swarm:{}", worker.url())).failed("name a manager of the swarm").await;
    until("both to be asked", || worker.requests().len() >= 2).await;
}
