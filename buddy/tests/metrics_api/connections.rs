//! What a connection may cost, against the running server.

use std::{sync::Arc, time::Duration};

use heapster_buddy::metrics_api::{ConnectionLimits, MetricsArgs};
use heapster_testkit::apiserver::ApiServer;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Served, client, text};

/// Longer than anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(300);

/// A server with a certificate that the cluster's authority signed, and these bounds.
async fn served(limits: ConnectionLimits) -> Served {
    let api = ApiServer::recorded(Default::default()).await.unwrap();
    let serving = api.authority().serving(&["127.0.0.1"]).unwrap();
    let (cert, key) = (api.folder().join("tls.crt"), api.folder().join("tls.key"));
    std::fs::write(&cert, &serving.certificate_pem).unwrap();
    std::fs::write(&key, &serving.key_pem).unwrap();
    let options = MetricsArgs {
        metrics_tls_cert: Some(cert),
        metrics_tls_key: Some(key),
        ..Default::default()
    };
    Served::limited(api, options, limits).await
}

/// A connection after its handshake.
async fn shaken(served: &Served) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = served.api.authority().cluster_ca_pem();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = served.address.ip().into();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn livez(served: &Served, client: &reqwest::Client) -> String {
    text(served.get(client, "/livez")).await.1
}

/// Who connects and says nothing is cut off, and holds nobody up.
#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let limits = ConnectionLimits { handshake_within: SOON, ..ConnectionLimits::default() };
    let served = served(limits).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(livez(&served, &client()).await, "ok");
    let said = timeout(DEADLINE, silent.read(&mut [0; 64])).await.expect("a closed connection");
    assert!(matches!(said, Ok(0) | Err(_)), "{said:?}");
}

/// The head of a request has a time for the whole of it: a byte now and then does not help, nor does
/// a handshake without a request.
#[tokio::test]
async fn who_dawdles_over_a_head_is_cut_off() {
    let limits = ConnectionLimits { head_within: SOON, ..ConnectionLimits::default() };
    let served = served(limits).await;
    let mut idle = shaken(&served).await;
    let (mut reading, mut writing) = tokio::io::split(shaken(&served).await);
    writing.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nx-dawdle: ").await.unwrap();
    let began = Instant::now();
    let dawdling = tokio::spawn(async move {
        let mut pace = tokio::time::interval(SOON / 20);
        let mut bytes = 0;
        while writing.write_all(b"a").await.is_ok() && writing.flush().await.is_ok() {
            bytes += 1;
            pace.tick().await;
        }
        bytes
    });
    assert_eq!(livez(&served, &client()).await, "ok");
    let mut said = Vec::new();
    // How the connection ends is no matter; that no answer of a page came is.
    let _ = timeout(DEADLINE, reading.read_to_end(&mut said)).await.expect("a closed connection");
    assert!(!String::from_utf8_lossy(&said).contains("200 OK"), "{said:?}");
    assert!(began.elapsed() >= SOON / 2, "it was cut off by something else");
    drop(reading);
    assert!(timeout(DEADLINE, dawdling).await.unwrap().unwrap() > 1);
    let _ = timeout(DEADLINE, idle.read(&mut [0; 64])).await.expect("a closed connection");
}

/// A head has a largest size, over which it is refused and not read on.
#[tokio::test]
async fn who_sends_a_long_head_is_refused() {
    let limits = ConnectionLimits { head_bytes: 16 * 1024, ..ConnectionLimits::default() };
    let served = served(limits).await;
    let request = |bytes| {
        let request = served.get(&client(), "/livez").header("x-long", "a".repeat(bytes));
        async { request.send().await.map(|answer| answer.status().as_u16()) }
    };
    assert_eq!(request(8 * 1024).await.unwrap(), 200);
    // The connection may be closed before all of the request was written.
    assert!(!matches!(request(64 * 1024).await, Ok(status) if status != 431));
    assert_eq!(request(8 * 1024).await.unwrap(), 200);
}

/// While every place is taken, those who have one go on being answered; who comes waits for one, and
/// gets it when another goes.
#[tokio::test]
async fn too_many_connections_cost_the_newest_a_wait() {
    let limits = ConnectionLimits {
        connections: 3,
        handshake_within: DEADLINE * 3,
        head_within: DEADLINE * 3,
        ..ConnectionLimits::default()
    };
    let served = served(limits).await;
    let kept = client();
    assert_eq!(livez(&served, &kept).await, "ok");
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let newcomer = client();
    let newcomer = livez(&served, &newcomer);
    tokio::pin!(newcomer);
    assert!(timeout(SOON, &mut newcomer).await.is_err(), "there was a place left");
    for _ in 0..3 {
        assert_eq!(timeout(DEADLINE, livez(&served, &kept)).await.unwrap(), "ok");
    }
    drop(silent);
    assert_eq!(timeout(DEADLINE, newcomer).await.unwrap(), "ok");
}
