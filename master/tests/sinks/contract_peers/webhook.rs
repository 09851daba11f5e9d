//! A peer for the `webhook` sink: a receiver of rows.

use heapster_testkit::peer::{FakeReply, FakeRequest};
use serde_json::Value;

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};

pub(super) async fn start() -> OverHttp {
    OverHttp::start("webhook:{url}/hook?rows=true", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
    }
    if state.mode == Mode::Refuse {
        return FakeReply::body(422, "not like this");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let rows = body["rows"].as_array().unwrap().iter();
    let samples = rows.map(|row| row["samples"].as_array().unwrap().len() as u64);
    state.samples += samples.sum::<u64>();
    FakeReply::status(204)
}
