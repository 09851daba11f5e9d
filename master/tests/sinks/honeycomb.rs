//! The `honeycomb` sink against a fake of the published batch API.

use std::sync::Mutex;

use heapster_master::delivery::Outcome;
use heapster_testkit::peer::{FakeHttp, FakeReply};
use serde_json::Value;

use crate::support::{entities, offer, rows, samples, settled, start, status};

/// What Honeycomb cannot take now is sent again by itself: nothing is there twice, nothing is lost.
#[actix::test]
async fn only_what_was_not_taken_is_sent_again() {
    let taken = std::sync::Arc::new(Mutex::new(Vec::<Value>::new()));
    let kept = std::sync::Arc::clone(&taken);
    let server = FakeHttp::start(move |request| {
        let events: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let items = events.into_iter().enumerate().map(|(place, event)| {
            if place % 2 == 1 {
                return r#"{"status":429,"error":"rate limited"}"#;
            }
            kept.lock().unwrap().push(event);
            r#"{"status":202}"#
        });
        FakeReply::body(200, &format!("[{}]", items.collect::<Vec<_>>().join(",")))
    });
    let server = server.await.unwrap();
    let options = "dataset=lab&writekey=k&gzip=false&required=true&flush_interval=1ms";
    let sink = start(&format!("honeycomb:{}?{options}", server.url()));
    let payload = rows(&entities(), 0);
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let state = status(&sink).await;
    assert_eq!((state.delivered, state.rejected, state.retries), (samples(&payload), 0, 0));
    let taken = taken.lock().unwrap();
    let mut texts: Vec<String> = taken.iter().map(Value::to_string).collect();
    texts.sort();
    texts.dedup();
    assert_eq!((texts.len(), taken.len()), (8, 8), "two rows with two volumes, one with one");
}
