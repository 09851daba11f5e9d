//! Peers over HTTP: what they have in common, whatever they answer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use super::{Mode, Peer, SLOW, State};

/// A server that answers as its kind does.
pub(super) struct OverHttp {
    spec: String,
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

impl OverHttp {
    /// A server whose address stands for `{url}` in this spec, and that answers like this.
    pub(super) async fn start(
        spec: &str,
        reply: impl Fn(&mut State, &FakeRequest) -> FakeReply + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| {
            let state = &mut shared.lock().unwrap();
            let answer = reply(state, request);
            if state.mode == Mode::Slow { FakeReply::Late(SLOW, answer.into()) } else { answer }
        });
        let server = server.await.unwrap();
        Self { spec: spec.replace("{url}", &server.url()), server, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }
}

/// What any server answers that cannot take anything now, or hangs.
pub(super) fn in_trouble(mode: Mode) -> Option<FakeReply> {
    match mode {
        Mode::FailForNow | Mode::Away => Some(FakeReply::status(503)),
        Mode::Hang => Some(FakeReply::Hang),
        Mode::Accept | Mode::Slow | Mode::Refuse => None,
    }
}

#[async_trait(?Send)]
impl Peer for OverHttp {
    fn spec(&self) -> String {
        self.spec.clone()
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
