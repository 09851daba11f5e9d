//! The source `cadvisor` against hosts that answer as they should, and against those that do not: a
//! bad host costs an error that names it, within the limits, and nothing else.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use heapster_buddy::source::{self, PlainReading, Source, Subject};
use heapster_shared::host::{Endpoint, Host};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

macro_rules! recorded {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cadvisor/", $file))
    };
}

/// What the fake does with a request, whose first line it is given.
type Answer = dyn Fn(&str) -> Reply + Send + Sync;

enum Reply {
    /// Status line after `HTTP/1.1 `, and body.
    Text(&'static str, String),
    /// Bytes as they are, then the end of the connection.
    Raw(Vec<u8>),
    /// A chunked body that never ends.
    Endless,
    /// Nothing.
    Never,
}

fn ok(body: &str) -> Reply {
    Reply::Text("200 OK", body.to_owned())
}

fn not_served() -> Reply {
    Reply::Text("500 Internal Server Error", "unknown request type\nmore".to_owned())
}

/// An HTTP server that keeps connections alive and misbehaves as told.
struct Fake {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (connections, closed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let answer: Arc<Answer> = Arc::new(answer);
        let seen = (Arc::clone(&requests), Arc::clone(&connections), Arc::clone(&closed));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.1.fetch_add(1, Ordering::Relaxed);
                let (answer, requests, closed) =
                    (Arc::clone(&answer), Arc::clone(&seen.0), Arc::clone(&seen.2));
                tokio::spawn(async move {
                    serve(stream, &*answer, &requests).await;
                    closed.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { port, requests, connections, closed, task }
    }

    fn host(&self) -> Host {
        let mut host = Host::named("n1");
        host.addresses = vec!["127.0.0.1".into()];
        host.endpoints = vec![Endpoint { port: self.port, ..Endpoint::default() }];
        host
    }

    fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    async fn poll_once(&self, spec: &str) -> Result<Vec<PlainReading>, String> {
        let source = source::build(spec.parse().unwrap()).unwrap();
        poll(&*source, &self.host()).await
    }
}

async fn poll(source: &dyn Source, host: &Host) -> Result<Vec<PlainReading>, String> {
    let polled = tokio::time::timeout(Duration::from_secs(20), source.poll(host)).await;
    polled
        .expect("an answer in time")
        .map(|readings| readings.to_plain())
        .map_err(|error| error.to_string())
}

/// Serves requests until the peer goes.
async fn serve(mut stream: TcpStream, answer: &Answer, requests: &Mutex<Vec<String>>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request.clone());
        let written = match answer(&request) {
            Reply::Text(status, body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
                let location =
                    if status.starts_with('3') { "location: http://other/\r\n" } else { "" };
                stream.write_all(format!("{head}{location}\r\n{body}").as_bytes()).await
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Endless => write_endlessly(&mut stream).await,
            Reply::Never => {
                // Ends when the peer closes its side.
                let _ = stream.read_u8().await;
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

async fn write_endlessly(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    loop {
        stream.write_all(chunk.as_bytes()).await?;
    }
}

/// `GET /path` of the next request, its body read; none at the end.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.to_ascii_lowercase();
    let length =
        length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned())
}

fn modern(request: &str) -> Reply {
    match request {
        "GET /api/v2.1/stats/?type=name&recursive=true&count=1" => {
            ok(recorded!("v2.1-stats-rec-c1.json"))
        }
        "GET /api/v2.1/machinestats?count=1" => ok(&format!("[{}]", machine_stats())),
        "GET /api/v2.1/machine" => ok(recorded!("v2.1-machine.json")),
        "GET /api/v2.1/spec/?type=name" => ok(recorded!("v2.1-spec-root.json")),
        _ => Reply::Text("404 Not Found", String::new()),
    }
}

/// The one sample of the recorded list.
fn machine_stats() -> &'static str {
    recorded!("v2.1-machinestats.json").trim().trim_start_matches('[').trim_end_matches(']')
}

fn old(request: &str) -> Reply {
    match request {
        "POST /api/v1.3/subcontainers/" => ok(recorded!("v1.3-subcontainers.json")),
        "GET /api/v1.3/machine" => ok(recorded!("v2.1-machine.json")),
        _ => not_served(),
    }
}

fn has_node(readings: &[PlainReading]) -> bool {
    readings.iter().any(|one| matches!(one.subject, Subject::Node { .. }))
}

/// All is had with four requests at first and two from then on, over one connection.
#[tokio::test]
async fn a_poll_takes_two_requests_over_a_connection_that_stays() {
    let fake = Fake::start(modern).await;
    let source = source::build("cadvisor".parse().unwrap()).unwrap();
    let readings = poll(&*source, &fake.host()).await.unwrap();
    assert_eq!(readings.len(), 24);
    assert!(has_node(&readings));
    assert_eq!(fake.take_requests().len(), 4);
    for _ in 0..3 {
        assert_eq!(poll(&*source, &fake.host()).await.unwrap().len(), 24);
        assert_eq!(fake.take_requests().len(), 2);
    }
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
}

/// A host that knows only the old API is asked for it, and from then on for nothing else.
#[tokio::test]
async fn the_version_that_works_is_remembered() {
    let fake = Fake::start(old).await;
    let source = source::build("cadvisor".parse().unwrap()).unwrap();
    assert_eq!(poll(&*source, &fake.host()).await.unwrap().len(), 4);
    fake.take_requests();
    assert!(has_node(&poll(&*source, &fake.host()).await.unwrap()));
    assert_eq!(fake.take_requests(), ["POST /api/v1.3/subcontainers/"]);
}

/// A host that was upgraded is found out: the poll that the old API is refused to fails, the next
/// one finds the new.
#[tokio::test]
async fn a_version_that_stops_working_is_forgotten() {
    let upgraded = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&upgraded);
    let answer = move |request: &str| match seen.load(Ordering::Relaxed) {
        0 => old(request),
        _ => modern(request),
    };
    let fake = Fake::start(answer).await;
    let source = source::build("cadvisor".parse().unwrap()).unwrap();
    assert_eq!(poll(&*source, &fake.host()).await.unwrap().len(), 4);
    upgraded.store(1, Ordering::Relaxed);
    let error = poll(&*source, &fake.host()).await.unwrap_err();
    assert!(error.contains("404"), "{error}");
    assert_eq!(poll(&*source, &fake.host()).await.unwrap().len(), 24);
}

/// What kind of thing is wrong is said in words, with the address, and within the limit.
#[tokio::test]
async fn bad_answers_are_told_apart() {
    let raw = |text: &'static str| move |_: &str| Reply::Raw(text.as_bytes().to_vec());
    let cases: Vec<(Box<Answer>, &str)> = vec![
        (Box::new(|_| not_served()), "answered 500 Internal Server Error: unknown request type"),
        (Box::new(|_| Reply::Text("403 Forbidden", "no\n".into())), "answered 403 Forbidden: no"),
        (
            Box::new(|_| Reply::Text("302 Found", String::new())),
            "sends on to http://other/; name that address",
        ),
        (Box::new(|_| ok("<html>")), "is not as expected: expected value at line 1 column 1"),
        (Box::new(|_| ok("{}")), "invalid type: map, expected a list of samples at line 1"),
        (
            Box::new(raw("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"/a\":")),
            "broke off after 6 bytes",
        ),
        (
            Box::new(raw("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n{")),
            "larger than the limit of 64MiB",
        ),
        (Box::new(raw("SSH-2.0-OpenSSH_9.2\r\n")), "gave no HTTP answer"),
        (Box::new(raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\"\u{fffd}\"")), "UTF-8"),
    ];
    for (answer, expected) in cases {
        let fake = Fake::start(answer).await;
        let error = fake.poll_once("cadvisor").await.unwrap_err();
        let address = format!("http://127.0.0.1:{}/api/v2.1/", fake.port);
        assert!(error.starts_with(&address), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// A body without an end costs no more than the limit.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let fake = Fake::start(|_: &str| Reply::Endless).await;
    let error = fake.poll_once("cadvisor?max_body_size=1MiB").await.unwrap_err();
    assert!(error.contains("larger than the limit of 1MiB"), "{error}");
    closed(&fake, 1).await;
}

/// Compression costs CPU on both sides, so it is not asked for; a host that compresses all the same
/// is told of, and a bomb is not even read.
#[tokio::test]
async fn answers_that_were_encoded_are_refused() {
    let encoded = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nxxxx";
    let fake = Fake::start(move |_: &str| Reply::Raw(encoded.into())).await;
    let error = fake.poll_once("cadvisor").await.unwrap_err().to_string();
    assert!(error.contains("encoded as \"gzip\", which was not asked for"), "{error}");
}

/// Of a host's addresses the next one is tried where nothing listens, and kept.
#[tokio::test]
async fn another_address_is_tried() {
    let fake = Fake::start(modern).await;
    let source = source::build("cadvisor".parse().unwrap()).unwrap();
    let mut host = fake.host();
    host.addresses = vec!["127.0.0.77".into(), "127.0.0.1".into()];
    for _ in 0..2 {
        assert_eq!(poll(&*source, &host).await.unwrap().len(), 24);
    }
    host.addresses.truncate(1);
    let error = poll(&*source, &host).await.unwrap_err();
    assert!(error.contains("127.0.0.77") && error.contains("connection refused"), "{error}");
}

/// A poll that is given up at its deadline leaves no connection behind.
#[tokio::test]
async fn giving_up_closes_the_connection() {
    let fake = Fake::start(|_: &str| Reply::Never).await;
    let source = source::build("cadvisor".parse().unwrap()).unwrap();
    let host = fake.host();
    tokio::select! {
        _ = source.poll(&host) => panic!("there is no answer"),
        () = asked(&fake) => {}
    }
    closed(&fake, 1).await;
}

async fn asked(fake: &Fake) {
    until(|| !fake.requests.lock().unwrap().is_empty()).await;
}

async fn closed(fake: &Fake, count: usize) {
    until(|| fake.closed.load(Ordering::Relaxed) == count).await;
}

async fn until(holds: impl Fn() -> bool) {
    let polling = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polling).await.expect("it to happen in time");
}

/// Nothing listens, or what listens speaks no TLS: a sentence each.
#[tokio::test]
async fn hosts_that_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let source =
        source::build(format!("cadvisor:http://127.0.0.1:{port}").parse().unwrap()).unwrap();
    let error = poll(&*source, &source.own_host().unwrap()).await.unwrap_err();
    assert!(error.contains("connection refused; nothing listens on that port"), "{error}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = format!("cadvisor:https://{}", plain.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let source = source::build(spec.parse().unwrap()).unwrap();
    let error = poll(&*source, &source.own_host().unwrap()).await.unwrap_err();
    assert!(error.contains("no TLS connection"), "{error}");
    answering.await.unwrap();
}

/// Every sample of the documentation is a source that can be made.
#[test]
fn samples_build() {
    for kind in source::KINDS {
        for sample in kind.samples {
            let spec: heapster_shared::spec::Spec = sample.parse().unwrap();
            assert_eq!(spec.kind, kind.name);
            source::build(spec).unwrap_or_else(|error| panic!("{sample}: {error}"));
        }
    }
}
