//! A peer for the sinks `gcm` and `stackdriver`. It speaks enough of Google: tokens for a user's
//! credentials, time series and descriptors.

use std::fs;

use heapster_testkit::peer::{FakeReply, FakeRequest};
use serde_json::{Value, json};

use super::{
    Mode, State,
    over_http::{OverHttp, in_trouble},
};

pub(super) async fn start(kind: &str) -> OverHttp {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.json");
    // The samples of the test are not of today, and each of them is to be written.
    let spec = format!(
        "{kind}:?project=p&credentials={}&endpoint={{url}}&logging_endpoint={{url}}\
         &max_age=876000h&custom=true",
        file.display()
    );
    let server = OverHttp::start(&spec, move |state, request| {
        // The file is there for as long as the server.
        assert!(folder.path().exists());
        reply(state, request)
    });
    let server = server.await;
    let credentials = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "refresh",
        "token_uri": format!("{}/token", server.url()),
    });
    fs::write(file, credentials.to_string()).unwrap();
    server
}

fn reply(state: &mut State, request: &FakeRequest) -> FakeReply {
    if let Some(trouble) = in_trouble(state.mode) {
        return trouble;
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
    if state.mode == Mode::Refuse {
        let error = r#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}"#;
        return FakeReply::body(400, error);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    state.samples += body["timeSeries"].as_array().unwrap().len() as u64;
    FakeReply::body(200, "{}")
}
