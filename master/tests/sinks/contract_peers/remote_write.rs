//! A peer for the `prometheus` sink, which receives remote write 1.0.

use heapster_testkit::peer::{FakeReply, FakeRequest};

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};
use crate::remote_write_proto::read;

pub(super) async fn start() -> OverHttp {
    OverHttp::start("prometheus:{url}?staleness=true", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
    }
    if state.mode == Mode::Refuse {
        return FakeReply::body(400, "out of order sample");
    }
    let (received, _) = read(request);
    state.samples += received.iter().filter(|one| !one.is_marker()).count() as u64;
    FakeReply::status(204)
}
