//! A peer for the `otlp` sink.

use std::{
    io::Read,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use flate2::read::GzDecoder;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use prost::Message;

use super::{Mode, Peer};

/// Receives OTLP over HTTP, and counts points.
pub(super) struct Receiver {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    samples: u64,
}

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

impl Receiver {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| shared.lock().unwrap().reply(request));
        Self { server: server.await.unwrap(), state }
    }
}

impl State {
    fn reply(&mut self, request: &FakeRequest) -> FakeReply {
        match self.mode {
            Mode::FailForNow | Mode::Away => FakeReply::status(503),
            Mode::Hang => FakeReply::Hang,
            Mode::Refuse => FakeReply::status(400),
            Mode::Accept => {
                self.samples += points(request);
                FakeReply::status(200)
            }
        }
    }
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

#[async_trait(?Send)]
impl Peer for Receiver {
    fn spec(&self) -> String {
        format!("otlp:{}?gzip=true", self.server.url())
    }

    async fn set(&mut self, mode: Mode) {
        let before = std::mem::replace(&mut self.state.lock().unwrap().mode, mode);
        match (before, mode) {
            (_, Mode::Away) => self.server.stop(),
            (Mode::Away, _) => self.server.restart().await.unwrap(),
            _ => {}
        }
    }

    fn samples(&self) -> u64 {
        self.state.lock().unwrap().samples
    }
}
