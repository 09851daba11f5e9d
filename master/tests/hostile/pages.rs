//! Clients of HTTP that take their time, or ask for what is not there.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use heapster_shared::tls::certificates;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    all_is_well,
    harness::{Bench, with_master},
    wire::RawPeer,
};

const SOON: Duration = Duration::from_secs(20);
const QUICK: [&str; 2] = ["--handshake-timeout", "500ms"];

/// Sends bytes and reads until the connection is closed.
pub async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    // What is too large may be refused while it is still being sent.
    let _ = client.write_all(bytes).await;
    rest(&mut client).await
}

async fn rest(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut answer)).await;
    let _ = read.expect("the connection is kept");
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: master\r\nconnection: close\r\n\r\n").into_bytes()
}

pub async fn is_healthy(address: SocketAddr) {
    let answer = ask(address, &get("/healthz")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The same by TLS, with a certificate of this authority.
pub async fn is_healthy_by_tls(address: SocketAddr, ca: &str) {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(Path::new("ca.crt"), ca.as_bytes()).unwrap() {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let shaken = timeout(SOON, connector.connect(address.ip().into(), stream)).await;
    let mut client = shaken.expect("nobody answers").unwrap();
    client.write_all(&get("/healthz")).await.unwrap();
    let mut answer = [0; 13];
    timeout(SOON, client.read_exact(&mut answer)).await.expect("no answer comes").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 ");
}

async fn connect_many(bench: &Bench, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(bench.http).await.unwrap();
        let _ = client.write_all(bytes).await;
        clients.push(client);
    }
    clients
}

/// A head that never ends, or never begins, ends in time, with 408 where it can be said; more
/// connections than one address may have are closed at once.
#[test]
fn slow_heads_are_cut() {
    with_master(&QUICK, async |bench| {
        for words in [&b""[..], b"GET / HTTP/1.1\r\nhost: m\r\nx-slow: "] {
            for mut client in connect_many(&bench, 300, words).await {
                let answer = rest(&mut client).await;
                assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
            }
        }
        all_is_well(&bench, 0).await;
    });
}

#[test]
fn large_heads_are_refused() {
    with_master(&QUICK, async |bench| {
        let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
        for head in [large, many, long] {
            let answer = ask(bench.http, head.as_bytes()).await;
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            assert!(refused, "{answer}");
        }
        all_is_well(&bench, 0).await;
    });
}

/// Nothing here takes a body: the answer comes without it, and the connection does not wait for it.
#[test]
fn slow_bodies_are_not_waited_for() {
    with_master(&QUICK, async |bench| {
        for method in ["GET", "POST"] {
            let head =
                format!("{method} /healthz HTTP/1.1\r\nhost: m\r\ncontent-length: 1000000\r\n");
            let request = format!("{head}\r\nslow");
            let answer = ask(bench.http, request.as_bytes()).await;
            let wanted = if method == "GET" { "HTTP/1.1 200 " } else { "HTTP/1.1 405 " };
            assert!(answer.starts_with(wanted), "{answer}");
        }
        let chunked = "GET / HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        ask(bench.http, chunked.as_bytes()).await;
        all_is_well(&bench, 0).await;
    });
}

/// No path leads to anything but the pages that there are.
#[test]
fn paths_lead_nowhere_else() {
    with_master(&QUICK, async |bench| {
        let long = format!("/{}", "a/".repeat(20_000));
        for path in [
            "/../../../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/api/v1/model/../../../etc/passwd",
            "/api/v1/model/%2e%2e/%2e%2e/etc/passwd",
            "/assets/../../Cargo.toml",
            "//etc/passwd",
            "//evil.example/",
            "/healthz/..%2fdebug/actors",
            "/%00",
            "/api/v1/clusters/%00/metric-export",
            "/api/v1/model/%ff%fe",
            "/%",
            "/%zz",
            "http://evil.example/etc/passwd",
            &long,
        ] {
            let answer = ask(bench.http, &get(path)).await;
            let status = answer.get(9..12).unwrap_or_default();
            assert!(matches!(status, "400" | "404" | "414" | "503"), "{path}: {answer}");
            assert!(!answer.contains("root:") && !answer.contains("location:"), "{path}: {answer}");
        }
        for request in ["GET /\0 HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\0\0\0\0"] {
            let answer = ask(bench.http, request.as_bytes()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        all_is_well(&bench, 0).await;
    });
}

/// Requests without end, of which no answer is taken: the kernel ends the connection.
#[test]
fn who_takes_no_answer_is_cut() {
    with_master(&["--idle-timeout", "600ms"], async |bench| {
        let request = b"GET /healthz HTTP/1.1\r\nhost: master\r\n\r\n";
        RawPeer::connect(bench.http).await.flood(request).await;
        all_is_well(&bench, 0).await;
    });
}
