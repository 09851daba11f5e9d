//! A peer for the `otlp` sink, which receives OTLP over HTTP and counts points.

use std::io::Read;

use flate2::read::GzDecoder;
use heapster_testkit::peer::{FakeReply, FakeRequest};
use prost::Message;

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};

/// As much of `ExportMetricsServiceRequest` as it takes to count its points.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, optional, tag = "5")]
    gauge: Option<Points>,
    #[prost(message, optional, tag = "7")]
    sum: Option<Points>,
}

#[derive(Clone, PartialEq, Message)]
struct Points {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(fixed64, tag = "3")]
    time_unix_nano: u64,
}

pub(super) async fn start() -> OverHttp {
    OverHttp::start("otlp:{url}?gzip=true", reply).await
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
    }
    if state.mode == Mode::Refuse {
        return FakeReply::status(400);
    }
    state.samples += points(request);
    FakeReply::status(200)
}

fn points(request: &FakeRequest) -> u64 {
    let mut bytes = Vec::new();
    GzDecoder::new(request.body.as_ref()).read_to_end(&mut bytes).unwrap();
    let request = Request::decode(bytes.as_slice()).unwrap();
    let scopes = request.resources.iter().flat_map(|resource| &resource.scopes);
    let data = scopes.flat_map(|scope| &scope.metrics);
    let points = data.flat_map(|metric| [&metric.gauge, &metric.sum].into_iter().flatten());
    points.map(|data| data.points.len() as u64).sum()
}
