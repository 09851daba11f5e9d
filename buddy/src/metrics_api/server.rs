//! Connections: TLS, and what a client may cost.
//!
//! [`ConnectionLimits`] says how many there are and how long each may take for what. Bodies of
//! requests are not read.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, crypto::ring, pki_types::CertificateDer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    certificate::Certificate, handler::Handler, limits::ConnectionLimits, stalled::Impatient,
};

/// After a failure to accept, which mostly is that this process has too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// TLS that shows this certificate, and takes any certificate of a client that has its key. Who has
/// signed it is looked at with each request, so that whom to believe can change while connections
/// stand.
///
/// # Errors
/// Never with the cryptography that this program is built with.
pub(super) fn tls(certificate: Arc<Certificate>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_client_cert_verifier(crate::tls::any_client())
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes connections until it is stopped.
pub(super) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let server = Arc::new(Server { tls, handler, limits, stop });
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = server.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(converse(Arc::clone(&server), stream, place));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// What all connections have in common.
struct Server {
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    limits: ConnectionLimits,
    stop: CancellationToken,
}

/// Serves one connection.
async fn converse(server: Arc<Server>, stream: TcpStream, _place: Option<OwnedSemaphorePermit>) {
    let Server { tls, handler, limits, stop } = &*server;
    let _ = stream.set_nodelay(true);
    let shaken = timeout(limits.handshake_within, tls.accept(stream)).await;
    let Ok(Ok(stream)) = shaken else { return };
    let chain: Arc<[CertificateDer<'static>]> =
        stream.get_ref().1.peer_certificates().unwrap_or_default().into();
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, chain) = (Arc::clone(handler), Arc::clone(&chain));
        async move {
            let (parts, _) = request.into_parts();
            Ok::<_, std::convert::Infallible>(handler.answer(&parts, &chain).await)
        }
    });
    let stream = TokioIo::new(Impatient::new(stream, limits.byte_within));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(limits.head_bytes)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
