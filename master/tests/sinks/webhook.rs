//! The `webhook` sink against a receiver that checks what it gets.

use std::{process::Command, sync::Arc};

use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_shared::event::Event;
use heapster_testkit::peer::{FakeHttp, FakeReply};
use serde_json::Value;

use crate::support::{entities, offer, rows, settled, start, status};

fn events(count: u32) -> Payload {
    let event = |number| Event {
        uid: format!("uid-{number}"),
        reason: "BackOff".into(),
        message: "größe \"x\"\n".repeat(10),
        object_namespace: "shop".into(),
        count: number,
        ..Event::default()
    };
    let events = (0..count).map(event).collect();
    Payload::Events(Arc::new(EventBatch { cluster: "lab".into(), events }))
}

/// The signature as Python's library makes it; nothing where there is no Python.
fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, body).unwrap();
    let script = "import hashlib, hmac, sys\n\
                  body = open(sys.argv[2], 'rb').read()\n\
                  print('sha256=' + hmac.new(sys.argv[1].encode(), body, hashlib.sha256).hexdigest())";
    let output = Command::new("python3").args(["-c", script, secret]).arg(&file).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Events come in requests of limited size, each signed; rows are none of its business.
#[actix::test]
async fn events_are_posted_and_signed() {
    let server = FakeHttp::start(|_| FakeReply::status(200)).await.unwrap();
    let options =
        "secret=hunter2&header=X-Team:ops&body_bytes=4KiB&required=true&flush_interval=1ms";
    let sink = start(&format!("webhook:{}/a?{options}", server.url()));
    assert_eq!(settled(offer(&sink, rows(&entities(), 0)).await).await, Outcome::Delivered);
    assert_eq!(settled(offer(&sink, events(50)).await).await, Outcome::Delivered);
    let state = status(&sink).await;
    assert_eq!((state.accepted, state.delivered), (50, 50));
    let requests = server.requests();
    assert!(requests.len() > 2, "{}", requests.len());
    let mut uids = Vec::new();
    for request in &requests {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        assert_eq!((request.target.as_str(), header("x-team").as_str()), ("/a", "ops"));
        assert_eq!(header("content-type"), "application/json");
        if let Some(expected) = signature("hunter2", &request.body) {
            assert_eq!(header("x-heapster-signature"), expected);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["cluster"], "lab");
        let events = body["events"].as_array().unwrap().iter();
        uids.extend(events.map(|event| event["metadata"]["uid"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<String> = (0..50).map(|number| format!("uid-{number}")).collect();
    assert_eq!(uids, expected);
}

/// A receiver knows a request that comes again by its number; one that is too large comes in halves.
#[actix::test]
async fn what_comes_again_has_the_same_number() {
    let server = FakeHttp::start(|request| {
        FakeReply::status(if request.body.len() > 3000 { 413 } else { 200 })
    });
    let server = server.await.unwrap();
    let options = "required=true&flush_interval=1ms";
    let sink = start(&format!("webhook:{}?{options}", server.url()));
    for _ in 0..2 {
        assert_eq!(settled(offer(&sink, events(20)).await).await, Outcome::Delivered);
    }
    let numbers: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.headers["x-heapster-delivery"].clone())
        .collect();
    let (first, second) = numbers.split_at(numbers.len() / 2);
    assert_eq!(first, second);
    assert!(first.len() > 2, "{first:?}");
    assert_eq!(status(&sink).await.delivered, 40);
}
