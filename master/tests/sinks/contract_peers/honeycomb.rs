//! A peer for the `honeycomb` sink. It speaks the batch API as it is published: an answer for each
//! event of a request.

use heapster_testkit::peer::{FakeReply, FakeRequest};
use serde_json::Value;

use super::{Mode, State, over_http::OverHttp};

pub(super) async fn start() -> OverHttp {
    OverHttp::start("honeycomb:{url}?dataset=lab&writekey=k&gzip=false", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    let known = request.headers.get("x-honeycomb-team").is_some_and(|key| key == "k");
    if !known || request.target != "/1/batch/lab" {
        return FakeReply::body(401, r#"{"error":"unknown API key - check your credentials"}"#);
    }
    let events: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
    let status = match state.mode {
        Mode::Hang => return FakeReply::Hang,
        Mode::Away => return FakeReply::status(503),
        Mode::FailForNow => r#"{"status":429,"error":"rate limited"}"#,
        Mode::Refuse => r#"{"status":400,"error":"not like this"}"#,
        Mode::Accept | Mode::Slow => {
            state.samples += events.iter().map(samples).sum::<u64>();
            r#"{"status":202}"#
        }
    };
    FakeReply::body(200, &format!("[{}]", vec![status; events.len()].join(",")))
}

/// Labels are texts, and samples numbers.
fn samples(event: &Value) -> u64 {
    assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
    event["data"].as_object().unwrap().values().filter(|value| value.is_number()).count() as u64
}
