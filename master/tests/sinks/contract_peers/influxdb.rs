//! A peer for the `influxdb` sink, which speaks enough of InfluxDB 1.x.

use heapster_testkit::peer::{FakeReply, FakeRequest};

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};

pub(super) async fn start() -> OverHttp {
    // A sample is a line here.
    OverHttp::start("influxdb:{url}?db=k8s&gzip=false", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
    }
    if request.target.starts_with("/query") {
        return FakeReply::body(200, r#"{"results":[{"statement_id":0}]}"#);
    }
    if state.mode == Mode::Refuse {
        return FakeReply::body(400, r#"{"error":"not like this"}"#);
    }
    state.samples += request.body.split(|byte| *byte == b'\n').count() as u64 - 1;
    FakeReply::status(204)
}
