//! `http_sd`, from a web server that is well, and from one that is not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use heapster_testkit::peer::{FakeHttp, FakeReply};

use super::common::start_every;

const GROUPS: &str = r#"[
  {"targets": ["10.0.0.1:8080", "node-b"], "labels": {"__meta_prometheus_job": "x", "zone": "eu"}},
  {"targets": ["10.0.0.3:9100"], "labels": {"instance": "web", "__scheme__": "https"}}
]"#;

/// What the form says; and whatever is no complete list leaves the last one in force, and says why.
#[tokio::test]
async fn lists_good_and_bad() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "sesame\n").unwrap();
    let reply = Arc::new(Mutex::new(FakeReply::body(200, GROUPS)));
    let now = Arc::clone(&reply);
    let fake = FakeHttp::start(move |request| {
        assert_eq!(request.target, "/targets/?role=a%20node");
        assert_eq!(request.headers["authorization"], "Bearer sesame");
        now.lock().unwrap().clone()
    });
    let fake = fake.await.unwrap();
    let spec = format!(
        "http_sd:{}/targets/?query=role%3Da%2520node&token_file={}",
        fake.url(),
        token.display()
    );
    let mut running = start_every(&spec, Duration::from_millis(50));
    let good = running.listed(&["10.0.0.1", "node-b", "web"]).await;
    assert_eq!(good.hosts[0].endpoints[0].port, 8080);
    assert_eq!(good.hosts[1].labels.joined(","), "zone:eu");
    assert_eq!(good.hosts[2].endpoints[0].scheme, "https");
    let moved = FakeReply::Answer {
        status: 302,
        headers: vec![("location", "http://other/".into())],
        body: String::new(),
    };
    let twice = r#"[{"targets":["a:1"]},{"targets":["a:2"]}]"#;
    for (bad, expected) in [
        (FakeReply::body(200, &GROUPS[..80]), "no valid answer: EOF while parsing"),
        (FakeReply::body(200, "{}"), "no list of groups"),
        (FakeReply::body(200, "[{\"targets\":[\"a:x\"]}]"), "`x` in `a:x` is no port"),
        (FakeReply::body(200, twice), "entries 1 and 2 are both named `a`"),
        (FakeReply::body(500, "out of order"), "answered 500: out of order"),
        (moved, "sends on to http://other/: name that address instead"),
    ] {
        *reply.lock().unwrap() = bad;
        let listing = running.failed(expected).await;
        assert!(Arc::ptr_eq(&listing.hosts, &good.hosts));
        assert!(!listing.states[0].error.contains("sesame"), "{listing:?}");
    }
    *reply.lock().unwrap() = FakeReply::body(200, "[]");
    running.listed(&[]).await;
}
