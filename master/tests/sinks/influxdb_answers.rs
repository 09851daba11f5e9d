//! The influxdb sink and answers that the InfluxDB at hand does not give: those of other versions,
//! of proxies, and of databases in trouble.

use std::io::Read;

use flate2::read::GzDecoder;
use heapster_master::delivery::Outcome;
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use crate::support::{entities, offer, rows, samples, settled, start, status, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";

fn is_write(request: &FakeRequest) -> bool {
    request.target.contains("/write?")
}

fn header<'a>(request: &'a FakeRequest, name: &str) -> &'a str {
    request.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn lines(request: &FakeRequest) -> usize {
    let mut text = String::new();
    GzDecoder::new(request.body.as_ref()).read_to_string(&mut text).unwrap();
    text.lines().count()
}

/// InfluxDB 2: the bucket is looked for, made in its organization with its retention, and written
/// to, all with the token.
#[actix::test]
async fn a_bucket_is_made_and_written_to() {
    bucket_is_made(200, r#"{"links":{"self":"/api/v2/buckets"},"buckets":[]}"#).await;
    bucket_is_made(404, r#"{"code":"not found","message":"bucket \"pods\" not found"}"#).await;
}

/// With this answer to the question for the bucket, which is not there.
async fn bucket_is_made(status: u16, absent: &'static str) {
    let server = FakeHttp::start(move |request| match (&*request.method, &*request.target) {
        ("GET", target) if target.starts_with("/api/v2/buckets?") => {
            FakeReply::body(status, absent)
        }
        ("GET", "/api/v2/orgs?org=my+ops") => {
            FakeReply::body(200, r#"{"orgs":[{"id":"00f1","name":"my ops"}]}"#)
        }
        ("POST", "/api/v2/buckets") => FakeReply::body(201, r#"{"id":"1"}"#),
        ("POST", _) => FakeReply::status(204),
        _ => FakeReply::status(404),
    });
    let server = server.await.unwrap();
    let options = "org=my%20ops&bucket=pods&token=s3cret&retention=7d";
    let sink = start(&format!("influxdb:{}?{options}&{FAST}", server.url()));
    let payload = rows(&entities(), 0);
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);

    let requests = server.requests();
    assert!(requests.iter().all(|request| header(request, "authorization") == "Token s3cret"));
    let created = requests.iter().find(|request| request.target == "/api/v2/buckets").unwrap();
    let created: serde_json::Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!((&created["orgID"], &created["name"]), (&"00f1".into(), &"pods".into()));
    assert_eq!(created["retentionRules"][0]["everySeconds"], 7 * 86_400);
    let write = requests.iter().find(|request| is_write(request)).unwrap();
    assert_eq!(write.target, "/api/v2/write?bucket=pods&org=my+ops&precision=ms");
    assert_eq!(header(write, "content-encoding"), "gzip");
    assert_eq!(lines(write) as u64, samples(&payload));
}

/// A wrong token is one sentence that says what to do and does not tell the token.
#[actix::test]
async fn a_wrong_token_is_said() {
    let answer = r#"{"code":"unauthorized","message":"unauthorized access"}"#;
    let server = FakeHttp::start(move |_| FakeReply::body(401, answer)).await.unwrap();
    let options = "org=o&bucket=pods&token=s3cret";
    let sink = start(&format!("influxdb:{}?{options}&{FAST}", server.url()));
    drop(offer(&sink, rows(&entities(), 0)).await);
    let error = until(&sink, |status| status.retries > 0).await.last_error;
    assert_eq!(
        error,
        format!(
            "InfluxDB at {} refuses the token: unauthorized access; check token=, and that it may \
             write to bucket `pods` of organization `o`",
            server.url()
        )
    );
}

/// What is too large for a proxy is sent in smaller parts, until it fits.
#[actix::test]
async fn what_is_too_large_is_parted() {
    let server = FakeHttp::start(|request| {
        if is_write(request) && lines(request) > 5 {
            return FakeReply::status(413);
        }
        FakeReply::body(200, "{}")
    });
    let server = server.await.unwrap();
    let sink = start(&format!("influxdb:{}?{FAST}", server.url()));
    let payload = rows(&entities(), 0);
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let writes = server.requests();
    let taken = writes.iter().filter(|request| is_write(request)).map(lines);
    assert_eq!(taken.filter(|lines| *lines <= 5).sum::<usize>() as u64, samples(&payload));
    assert_eq!(status(&sink).await.delivered, samples(&payload));
}

/// A database that somebody dropped is made again.
#[actix::test]
async fn a_dropped_database_is_made_again() {
    let made = std::sync::atomic::AtomicUsize::new(0);
    let server = FakeHttp::start(move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        if request.target.starts_with("/query") {
            made.fetch_add(1, SeqCst);
            return FakeReply::body(200, r#"{"results":[{"statement_id":0}]}"#);
        }
        if made.load(SeqCst) < 2 {
            return FakeReply::body(404, r#"{"error":"database not found: \"k8s\""}"#);
        }
        FakeReply::status(204)
    });
    let server = server.await.unwrap();
    let sink = start(&format!("influxdb:{}?{FAST}", server.url()));
    assert_eq!(settled(offer(&sink, rows(&entities(), 0)).await).await, Outcome::Delivered);
    let status = status(&sink).await;
    assert!(status.last_error.contains("has no database `k8s`"), "{}", status.last_error);
}

/// Nobody listens: a sentence with the address, and no more noise than that.
#[actix::test]
async fn a_closed_port_is_said() {
    let mut server = FakeHttp::start(|_| FakeReply::status(204)).await.unwrap();
    server.stop();
    let sink = start(&format!("influxdb:{}?user=u&pw=s3cret&{FAST}", server.url()));
    drop(offer(&sink, rows(&entities(), 0)).await);
    let error = until(&sink, |status| status.retries > 0).await.last_error;
    let wanted = format!("cannot reach InfluxDB at {}: ", server.url());
    assert!(error.starts_with(&wanted) && error.contains("refused"), "{error}");
    assert!(error.ends_with("check that it is running and that this is its address"), "{error}");
}

/// A redirect is not followed: the samples, and the account, would go to somebody else.
#[actix::test]
async fn a_redirect_is_not_followed() {
    let other = FakeHttp::start(|_| FakeReply::status(204)).await.unwrap();
    let location = other.url();
    let server = FakeHttp::start(move |_| FakeReply::Answer {
        status: 307,
        headers: vec![("location", location.clone())],
        body: String::new(),
    });
    let server = server.await.unwrap();
    let sink = start(&format!("influxdb:{}?user=u&pw=s3cret&{FAST}", server.url()));
    drop(offer(&sink, rows(&entities(), 0)).await);
    let error = until(&sink, |status| status.retries > 1).await.last_error;
    assert!(error.contains("has moved (307 Temporary Redirect)"), "{error}");
    assert!(other.requests().is_empty());
}
