//! A peer for the `opentsdb` sink: answers as the documentation of its HTTP API says.

use heapster_testkit::peer::{FakeReply, FakeRequest};
use serde_json::Value;

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};

pub(super) async fn start() -> OverHttp {
    OverHttp::start("opentsdb:{url}?cluster=lab", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    assert!(request.target.starts_with("/api/put?details"), "{}", request.target);
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
    }
    let points: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
    assert!(points.iter().all(|point| !point["tags"].as_object().unwrap().is_empty()));
    let count = points.len();
    if state.mode == Mode::Refuse {
        let body =
            format!(r#"{{"errors":[{{"error":"Unknown metric"}}],"failed":{count},"success":0}}"#);
        return FakeReply::body(400, &body);
    }
    state.samples += count as u64;
    FakeReply::body(200, &format!(r#"{{"failed":0,"success":{count}}}"#))
}
