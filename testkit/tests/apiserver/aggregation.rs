//! The aggregation layer: `kubectl top` through the API server to a server of `metrics.k8s.io`, which
//! here gives recorded answers.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::Authority,
};
use http_body_util::Full;
use hyper::{HeaderMap, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::kubectl::{kubectl, try_kubectl};

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// TLS that wants a client certificate of the front proxy's authority.
fn tls(authority: &Authority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let front_proxy = authority.front_proxy_ca_pem().as_bytes();
    roots.add(CertificateDer::from_pem_slice(front_proxy).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let identity = authority.serving(&["metrics.kube-system.svc"]).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// A server that gives the answers of a recorded metrics-server.
async fn metrics_server(authority: &Authority, seen: Seen) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(tls(authority)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request| answer(request, Arc::clone(&seen)));
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn answer(
    request: Request<Incoming>,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match request.uri().path() {
        "/apis/metrics.k8s.io/v1beta1/nodes" => {
            include_str!("../../testdata/metrics-server-0.8-nodes.json")
        }
        "/apis/metrics.k8s.io/v1beta1/pods" => {
            include_str!("../../testdata/metrics-server-0.8-pods.json")
        }
        _ => include_str!("../../testdata/metrics-server-0.8-resources.json"),
    };
    seen.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    Ok(response)
}

/// The server behind learns who asks from the front proxy alone, and never sees a credential.
#[tokio::test]
async fn top_goes_through_the_aggregation_layer() {
    let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
    let (none, error) = try_kubectl(&api, &["top", "nodes"]).await;
    assert!(!none && error.contains("Metrics API not available"), "{error}");
    let seen = Seen::default();
    let address = metrics_server(api.authority(), Arc::clone(&seen)).await;
    api.aggregate_metrics(address).unwrap();
    let services = kubectl(&api, &["get", "apiservices"]).await;
    assert!(services.contains("v1beta1.metrics.k8s.io"), "{services}");
    let nodes = kubectl(&api, &["--context=heapster", "top", "nodes"]).await;
    assert!(nodes.contains("node-a") && nodes.contains('%'), "{nodes}");
    let pods = kubectl(&api, &["top", "pods", "-A", "--containers"]).await;
    assert!(pods.contains("hostnet") && pods.contains("Mi"), "{pods}");

    let seen = seen.lock().unwrap();
    let (_, headers) = seen.iter().find(|(uri, _)| uri.contains("/nodes")).unwrap();
    assert_eq!(headers["x-remote-user"], "system:serviceaccount:kube-system:heapster");
    let groups: Vec<_> = headers.get_all("x-remote-group").iter().collect();
    assert!(groups.iter().any(|group| *group == "system:authenticated"), "{groups:?}");
    assert!(seen.iter().all(|(_, headers)| !headers.contains_key("authorization")));
}

/// A server that is away makes its group unavailable, and nothing else.
#[tokio::test]
async fn an_absent_server_is_unavailable() {
    let api = super::recorded().await;
    let [port] = heapster_testkit::peer::free_ports().unwrap();
    api.aggregate_metrics(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let answer = super::ask(&api, "/apis/metrics.k8s.io/v1beta1/nodes").await;
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("ServiceUnavailable"), "{text}");
    assert_eq!(super::ask(&api, "/api/v1/nodes").await.status(), 200);
}
