//! `nomad`, with the answers that its documentation has.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use heapster_testkit::peer::{FakeHttp, FakeReply};

use super::common::{start, until};

const NODES: &str = r#"[
  {"Address": "10.138.0.5", "Attributes": null, "CreateIndex": 6, "Datacenter": "dc1", "Drain": false,
   "ID": "f7476465-4d6e-c0de-26d0-e383c49be941", "Name": "nomad-4", "NodeClass": "m5", "NodePool": "default",
   "SchedulingEligibility": "eligible", "Status": "ready", "StatusDescription": "", "Version": "1.5.6"},
  {"Address": "10.138.0.6", "Datacenter": "dc1", "ID": "a0000000-4d6e-c0de-26d0-e383c49be941",
   "Name": "nomad-5", "NodeClass": "", "Status": "down", "StatusDescription": "heartbeat missed"}
]"#;

fn indexed(index: u64, body: &str) -> FakeReply {
    let headers = vec![("X-Nomad-Index", index.to_string())];
    FakeReply::Answer { status: 200, headers, body: body.to_owned() }
}

/// All nodes, those that are down with why; and again when the blocking query says so. A server that
/// is gone is one of two.
#[tokio::test]
async fn nodes_and_their_changes() {
    let changed = Arc::new(AtomicBool::new(false));
    let has_changed = Arc::clone(&changed);
    let mut fake = FakeHttp::start(move |request| match request.target.as_str() {
        "/v1/nodes?region=eu" if has_changed.load(Ordering::Relaxed) => indexed(12, "[]"),
        "/v1/nodes?region=eu" => indexed(11, NODES),
        "/v1/nodes?region=eu&index=11&wait=60s" => {
            has_changed.store(true, Ordering::Relaxed);
            indexed(12, "[]")
        }
        _ => FakeReply::Hang,
    })
    .await
    .unwrap();
    let other = FakeHttp::start(|request| match request.target.as_str() {
        "/v1/nodes?region=eu" => {
            indexed(13, r#"[{"ID":"n","Name":"n","Address":"10.0.0.1","Status":"ready"}]"#)
        }
        _ => FakeReply::Hang,
    });
    let other = other.await.unwrap();
    let mut running = start(&format!("nomad:{},{}?region=eu", fake.url(), other.url()));
    let ids = ["a0000000-4d6e-c0de-26d0-e383c49be941", "f7476465-4d6e-c0de-26d0-e383c49be941"];
    let listing = running.listed(&ids).await;
    let [down, ready] = &listing.hosts[..] else { panic!("{listing:?}") };
    assert_eq!((down.name.as_str(), down.ready), ("nomad-5", false));
    assert_eq!(down.state, "down: heartbeat missed");
    assert_eq!((ready.addresses[0].as_str(), ready.ready), ("10.138.0.5", true));
    let labels = "datacenter:dc1,node_class:m5,node_pool:default";
    assert_eq!(ready.labels.joined(","), labels);
    running.listed(&[]).await;
    until("a wait", || fake.requests().len() == 4).await;
    assert!(other.requests().is_empty());
    fake.stop();
    running.listed(&["n"]).await;
}

/// A refusal says what to do.
#[tokio::test]
async fn a_refused_token() {
    let fake = FakeHttp::start(|_| FakeReply::body(403, "Permission denied")).await.unwrap();
    start(&format!("nomad:{}", fake.url()))
        .failed("answered 403: Permission denied; check the user or token and what it may read")
        .await;
}
