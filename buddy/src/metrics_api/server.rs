//! Connections: TLS, and what a client may cost.
//!
//! At most [`CONNECTIONS`] at a time, more wait to be accepted; one that has not shaken hands within
//! ten seconds, sent a request's head within thirty (be it an idle one), or taken a byte of its answer
//! within thirty is closed. A head is 64 KB at most. Bodies of requests are not read.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{certificate::Certificate, handler::Handler, stalled::Impatient};

const CONNECTIONS: usize = 512;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const BYTE_WITHIN: Duration = Duration::from_secs(30);
const HEAD_BYTES: usize = 64 * 1024;
/// After a failure to accept, which mostly is that this process has too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// TLS that shows this certificate.
///
/// # Errors
/// Never with the cryptography that this program is built with.
pub(super) fn tls(certificate: Arc<Certificate>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let clients = Arc::new(WhoeverHasTheKey(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes connections until it is stopped.
pub(super) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, handler, stop) = (tls.clone(), Arc::clone(&handler), stop.clone());
                tokio::spawn(converse(stream, tls, handler, stop, place));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Serves one connection.
async fn converse(
    stream: TcpStream,
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    stop: CancellationToken,
    _place: Option<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await else { return };
    let chain: Arc<[CertificateDer<'static>]> =
        stream.get_ref().1.peer_certificates().unwrap_or_default().into();
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, chain) = (Arc::clone(&handler), Arc::clone(&chain));
        async move {
            let (parts, _) = request.into_parts();
            Ok::<_, std::convert::Infallible>(handler.answer(&parts, &chain).await)
        }
    });
    let stream = TokioIo::new(Impatient::new(stream, BYTE_WITHIN));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Takes any certificate of a client that has its key. Who has signed it is looked at with each
/// request, so that whom to believe can change while connections stand.
#[derive(Debug)]
struct WhoeverHasTheKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for WhoeverHasTheKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
