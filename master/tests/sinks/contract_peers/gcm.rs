//! A peer for the sinks `gcm` and `stackdriver`.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Mode, Peer};

/// Speaks enough of Google: tokens for a user's credentials, time series and descriptors.
pub(super) struct Google {
    kind: &'static str,
    server: FakeHttp,
    state: Arc<Mutex<State>>,
    folder: TempDir,
}

struct State {
    mode: Mode,
    samples: u64,
}

impl Google {
    pub(super) async fn start(kind: &'static str) -> Self {
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| shared.lock().unwrap().reply(request));
        let server = server.await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let credentials = json!({
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "token_uri": format!("{}/token", server.url()),
        });
        fs::write(folder.path().join("user.json"), credentials.to_string()).unwrap();
        Self { kind, server, state, folder }
    }
}

impl State {
    fn reply(&mut self, request: &FakeRequest) -> FakeReply {
        match self.mode {
            Mode::FailForNow | Mode::Away => return FakeReply::status(503),
            Mode::Hang => return FakeReply::Hang,
            Mode::Accept | Mode::Refuse => {}
        }
        if request.target == "/token" {
            return FakeReply::body(200, r#"{"access_token":"t1","expires_in":3600}"#);
        }
        if request.headers.get("authorization").is_none_or(|token| token != "Bearer t1") {
            return FakeReply::status(401);
        }
        if request.target == "/v3/projects/p/metricDescriptors" {
            return FakeReply::body(200, "{}");
        }
        assert_eq!(request.target, "/v3/projects/p/timeSeries");
        if self.mode == Mode::Refuse {
            let error = r#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}"#;
            return FakeReply::body(400, error);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.samples += body["timeSeries"].as_array().unwrap().len() as u64;
        FakeReply::body(200, "{}")
    }
}

#[async_trait(?Send)]
impl Peer for Google {
    fn spec(&self) -> String {
        let (kind, url) = (self.kind, self.server.url());
        let credentials = self.folder.path().join("user.json");
        // The samples of the test are not of today, and each of them is to be written.
        format!(
            "{kind}:?project=p&credentials={}&endpoint={url}&logging_endpoint={url}\
             &max_age=876000h&custom=true",
            credentials.display()
        )
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
