//! TLS and credentials towards the API server.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use heapster_buddy::kubernetes::{Cluster, Connector};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::until;

macro_rules! tls {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls/", $name)
    };
}

/// An API server without objects, for those who say the right token.
async fn guarded(token: &'static str) -> SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(tls!("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(tls!("server-key.pem")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust the certificate goes away.
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = service_fn(move |request: Request<Incoming>| {
                let expected = format!("Bearer {token}");
                let said = request.headers().get(header::AUTHORIZATION);
                let right = said.is_some_and(|said| *said == *expected);
                let (status, body) = match right {
                    true => (200, r#"{"metadata":{"resourceVersion":"1"},"items":null}"#),
                    false => (401, r#"{"status":"Failure","message":"Unauthorized","code":401}"#),
                };
                let response = Response::builder().status(status).body(body.to_owned());
                async move { Ok::<_, Infallible>(response.unwrap()) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn connect(spec: &str) -> Arc<Cluster> {
    let connector = Connector::take(&mut spec.parse().unwrap()).unwrap();
    let cluster = Cluster::shared(&connector).await.unwrap();
    cluster.watch_nodes();
    cluster
}

/// With the certificate's signer and the token one is in, by a file or in the spec; skipping the
/// check takes an option that says so.
#[tokio::test]
async fn a_token_and_a_trusted_certificate_let_in() {
    let address = guarded("hunter2").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\n").unwrap();
    let (api, ca) = (format!("kubernetes:https://{address}"), tls!("ca.pem"));
    for spec in [
        format!("{api}?ca={ca}&token_file={}", file.path().display()),
        format!("{api}?ca={ca}&token=hunter2"),
        format!("{api}?tls=skip&token=hunter2"),
    ] {
        let cluster = connect(&spec).await;
        until(&spec, || cluster.metadata().has_nodes()).await;
    }
}

/// Who is not let in is told what to set, and the token is not in what is said.
#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let address = guarded("hunter2").await;
    let (api, ca) = (format!("kubernetes:https://{address}"), tls!("ca.pem"));
    for (spec, expected) in [
        (format!("{api}?token=hunter2"), "name that certificate with `ca`"),
        (format!("{api}?ca={ca}&token=wrong-secret"), "401: Unauthorized; check the token"),
        (format!("kubernetes:http://{address}?token=wrong-secret"), ""),
    ] {
        let cluster = connect(&spec).await;
        until(&spec, || cluster.node_watch_state().failures > 0).await;
        let error = cluster.node_watch_state().last_error;
        assert!(error.contains(expected), "{spec}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("wrong-secret"), "{error}");
    }
}
