//! A peer for the `influxdb` sink.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use super::{Mode, Peer};

/// Speaks enough of InfluxDB 1.x.
pub(super) struct Database {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    samples: u64,
}

impl Database {
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
            _ if request.target.starts_with("/query") => {
                FakeReply::body(200, r#"{"results":[{"statement_id":0}]}"#)
            }
            Mode::Refuse => FakeReply::body(400, r#"{"error":"not like this"}"#),
            Mode::Accept => {
                self.samples += request.body.split(|byte| *byte == b'\n').count() as u64 - 1;
                FakeReply::status(204)
            }
        }
    }
}

#[async_trait(?Send)]
impl Peer for Database {
    fn spec(&self) -> String {
        // A sample is a line here.
        format!("influxdb:{}?db=k8s&gzip=false", self.server.url())
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
