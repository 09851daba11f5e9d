//! A peer for the `webhook` sink.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use serde_json::Value;

use super::{Mode, Peer};

/// A receiver of rows.
pub(super) struct Receiver {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    samples: u64,
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
            Mode::Refuse => FakeReply::body(422, "not like this"),
            Mode::Accept => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let rows = body["rows"].as_array().unwrap().iter();
                let samples = rows.map(|row| row["samples"].as_array().unwrap().len() as u64);
                self.samples += samples.sum::<u64>();
                FakeReply::status(204)
            }
        }
    }
}

#[async_trait(?Send)]
impl Peer for Receiver {
    fn spec(&self) -> String {
        format!("webhook:{}/hook?rows=true", self.server.url())
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
