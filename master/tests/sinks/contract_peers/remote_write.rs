//! A peer for the `prometheus` sink.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use super::{Mode, Peer};
use crate::remote_write_proto::read;

/// Receives remote write 1.0.
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
            Mode::Refuse => FakeReply::body(400, "out of order sample"),
            Mode::Accept => {
                let (received, _) = read(request);
                self.samples += received.iter().filter(|one| !one.is_marker()).count() as u64;
                FakeReply::status(204)
            }
        }
    }
}

#[async_trait(?Send)]
impl Peer for Receiver {
    fn spec(&self) -> String {
        format!("prometheus:{}?staleness=true", self.server.url())
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
