//! The watch of events.

use std::time::Duration;

use heapster_buddy::kubernetes::{Cluster, Connector, EventWatch};
use heapster_shared::event::Event;
use serde_json::{Value, json};

use super::{DEADLINE, EVENTS, api::Api, until};

fn event(uid: &str, count: u32, age_s: i64) -> Value {
    let time = |age_s: i64| {
        (jiff::Timestamp::now() - Duration::from_secs(age_s.unsigned_abs())).to_string()
    };
    json!({
        "metadata": {"name": format!("e-{uid}"), "namespace": "ns", "uid": uid},
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "p", "uid": "u"},
        "reason": "BackOff", "message": "again", "type": "Warning", "count": count,
        "firstTimestamp": time(age_s), "lastTimestamp": time(age_s),
        "source": {"component": "kubelet", "host": "a"}
    })
}

async fn next(events: &mut EventWatch) -> Event {
    tokio::time::timeout(DEADLINE, events.next()).await.unwrap().unwrap()
}

async fn start(api: &Api) -> EventWatch {
    let connector = Connector::take(&mut api.spec().parse().unwrap()).unwrap();
    let events = EventWatch::start(&Cluster::shared(&connector).await.unwrap());
    until("the watch", || api.count("watch /api/v1/events") == 1).await;
    events
}

/// What happened before is not told again; what happens is told once for each count, over cut
/// watches and over a gap that only a new list can bridge.
#[tokio::test]
async fn events_are_told_from_now_on_and_once() {
    let api = Api::start().await;
    api.put(EVENTS, event("old", 1, 3_600));
    api.put(EVENTS, event("older", 1, 7_200));
    let mut events = start(&api).await;
    api.put(EVENTS, event("a", 1, 0));
    let first = next(&mut events).await;
    assert_eq!((first.uid.as_str(), first.count, first.host.as_str()), ("a", 1, "a"));
    assert_eq!((first.kind.as_str(), first.reason.as_str()), ("Warning", "BackOff"));
    api.put(EVENTS, event("a", 1, 0)); // Touched, and nothing new.
    api.put(EVENTS, event("a", 4, 0));
    api.put(EVENTS, event("old", 2, 0));
    let again = next(&mut events).await;
    assert_eq!((again.uid.as_str(), again.count), ("a", 4));
    assert_eq!(next(&mut events).await.uid, "old", "it happened again");
    api.stop().await;
    api.put(EVENTS, event("b", 1, 0));
    api.remove(EVENTS, "ns/e-a");
    api.compact();
    api.start_again().await;
    assert_eq!(next(&mut events).await.uid, "b", "it is only in the new list");
    api.put(EVENTS, event("c", 1, 0));
    assert_eq!(next(&mut events).await.uid, "c", "and nothing of the list comes twice");
    let state = events.state();
    assert_eq!((state.resource, state.lists), ("events", 2));
}

/// Nobody reads: the watch waits and loses nothing.
#[tokio::test]
async fn a_slow_reader_loses_no_event() {
    let api = Api::start().await;
    let mut events = start(&api).await;
    for index in 0..3_000 {
        api.put(EVENTS, event(&index.to_string(), 1, 0));
    }
    for index in 0..3_000 {
        assert_eq!(next(&mut events).await.uid, index.to_string());
    }
}
