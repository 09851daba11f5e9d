//! Requests to the database: one client that keeps its connections, follows no redirect and obeys
//! no proxy variable.

use std::{error::Error as _, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, header, redirect};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{
    answer::Answer,
    body::Precision,
    options::{Credentials, Store, Target},
};
use crate::sinks::SinkError;

/// The longest part of an answer that is read.
const ANSWER_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) target: Target,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(target: Target, any_certificate: bool) -> Result<Self, String> {
        let tls = tls(target.base.scheme() == "https", any_certificate)
            .map_err(|error| format!("cannot set up TLS: {error}"))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(heapster_shared::SOFTWARE)
            .build()
            .map_err(|error| format!("cannot set up HTTP: {error}"))?;
        Ok(Self { http, target })
    }

    /// Writes lines that are packed already.
    pub(super) async fn write(
        &self,
        lines: Bytes,
        precision: Precision,
        gzip: bool,
    ) -> Result<Answer, SinkError> {
        let request = match &self.target.store {
            Store::Database(name) => {
                self.request(Method::POST, "/write").query(&[("db", name.as_str())])
            }
            Store::Bucket { org, bucket } => {
                let request = self.request(Method::POST, "/api/v2/write");
                let request = request.query(&[("bucket", bucket)]);
                // InfluxDB 3 has no organizations.
                if org.is_empty() { request } else { request.query(&[("org", org)]) }
            }
        };
        let request = request.query(&[("precision", precision.name())]);
        let request = request.header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = if gzip { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
        let (answer, _) = self.send(request.body(lines)).await?;
        Ok(answer)
    }

    /// A request with the account.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.target.url(path));
        match &self.target.credentials {
            Credentials::None => request,
            Credentials::Password { user, password } => {
                request.basic_auth(user, Some(password.expose()))
            }
            Credentials::Token(token) => {
                request.header(header::AUTHORIZATION, format!("Token {}", token.expose()))
            }
        }
    }

    /// Sends a request; gives the answer and its body.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(Answer, Vec<u8>), SinkError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let body = read(&mut response).await.map_err(|error| self.unreachable(error))?;
        let answer = Answer::new(response.status(), response.headers(), &body, Timestamp::now());
        Ok((answer, body))
    }

    /// A failure below HTTP. What it says is the innermost cause: the outer ones repeat the URL.
    fn unreachable(&self, error: reqwest::Error) -> SinkError {
        let error = error.without_url();
        let mut cause = error.to_string();
        let mut inner = error.source();
        while let Some(error) = inner {
            cause = error.to_string();
            inner = error.source();
        }
        let place = self.target.place();
        SinkError::Transient {
            message: format!(
                "cannot reach {place}: {cause}; check that it is running and that this is its address"
            ),
            retry_after: None,
        }
    }
}

async fn read(response: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    Ok(body)
}

/// The certificates of the machine are only read where they are needed: a machine that writes to a
/// plain address need not have any.
fn tls(https: bool, any_certificate: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if any_certificate {
        let verifier = Arc::new(AnyCertificate(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else if https {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// Takes whatever certificate the peer shows: what `insecuressl` asks for.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
