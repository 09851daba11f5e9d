//! A peer for the `opentsdb` sink: answers as the documentation of its HTTP API says.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use serde_json::Value;

use super::{Mode, Peer};

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
        assert!(request.target.starts_with("/api/put?details"), "{}", request.target);
        match self.mode {
            Mode::FailForNow | Mode::Away => FakeReply::status(503),
            Mode::Hang => FakeReply::Hang,
            Mode::Refuse => {
                let count = points(request);
                let body = format!(
                    r#"{{"errors":[{{"error":"Unknown metric"}}],"failed":{count},"success":0}}"#
                );
                FakeReply::body(400, &body)
            }
            Mode::Accept => {
                let count = points(request);
                self.samples += count as u64;
                FakeReply::body(200, &format!(r#"{{"failed":0,"success":{count}}}"#))
            }
        }
    }
}

fn points(request: &FakeRequest) -> usize {
    let points: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
    assert!(points.iter().all(|point| !point["tags"].as_object().unwrap().is_empty()));
    points.len()
}

#[async_trait(?Send)]
impl Peer for Database {
    fn spec(&self) -> String {
        format!("opentsdb:{}?cluster=lab", self.server.url())
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
