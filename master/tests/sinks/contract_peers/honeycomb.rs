//! A peer for the `honeycomb` sink.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use serde_json::Value;

use super::{Mode, Peer};

/// Speaks the batch API as it is published: an answer for each event of a request.
pub(super) struct Dataset {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    samples: u64,
}

impl Dataset {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| shared.lock().unwrap().reply(request));
        Self { server: server.await.unwrap(), state }
    }
}

impl State {
    fn reply(&mut self, request: &FakeRequest) -> FakeReply {
        let known = request.headers.get("x-honeycomb-team").is_some_and(|key| key == "k");
        if !known || request.target != "/1/batch/lab" {
            return FakeReply::body(401, r#"{"error":"unknown API key - check your credentials"}"#);
        }
        let events: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let status = match self.mode {
            Mode::Hang => return FakeReply::Hang,
            Mode::Away => return FakeReply::status(503),
            Mode::FailForNow => r#"{"status":429,"error":"rate limited"}"#,
            Mode::Refuse => r#"{"status":400,"error":"not like this"}"#,
            Mode::Accept => {
                self.samples += events.iter().map(samples).sum::<u64>();
                r#"{"status":202}"#
            }
        };
        FakeReply::body(200, &format!("[{}]", vec![status; events.len()].join(",")))
    }
}

/// Labels are texts, and samples numbers.
fn samples(event: &Value) -> u64 {
    assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
    event["data"].as_object().unwrap().values().filter(|value| value.is_number()).count() as u64
}

#[async_trait(?Send)]
impl Peer for Dataset {
    fn spec(&self) -> String {
        format!("honeycomb:{}?dataset=lab&writekey=k&gzip=false", self.server.url())
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
