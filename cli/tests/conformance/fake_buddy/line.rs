//! How the small buddy connects: in plain text, or by TLS with what it is given, believing what its
//! fault lets it believe.

use std::{env, fs, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

/// A connection, and what is shown on it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) channel: Channel,
    token: Option<String>,
}

impl Line {
    /// Connects; nothing where that fails.
    pub(super) async fn connect(master: &str, fault: &str) -> Option<Self> {
        let endpoint = Endpoint::from_shared(master.to_owned()).unwrap();
        let Some(authority) = master.strip_prefix("https://") else {
            return Some(Self { channel: endpoint.connect().await.ok()?, token: None });
        };
        let (host, address) = (authority.rsplit_once(':').unwrap().0, authority.to_owned());
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config(fault)));
        let connect = service_fn(move |_| {
            let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
            async move {
                let stream = TcpStream::connect(address).await?;
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        });
        // TLS is spoken below, so that the URL has to be one without.
        let endpoint = Endpoint::from_shared(format!("http://{authority}")).unwrap();
        let channel = endpoint.connect_with_connector(connect).await.ok()?;
        let token = env::var("HEAPSTER_TOKEN_FILE").ok().filter(|_| fault != "nameless");
        let token = token.map(|path| fs::read_to_string(path).unwrap().trim().to_owned());
        Some(Self { channel, token })
    }

    /// A request that shows the token.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// The same without a token.
    pub(super) fn nameless(mut self) -> Self {
        self.token = None;
        self
    }
}

fn config(fault: &str) -> ClientConfig {
    let ca = fs::read(env::var("HEAPSTER_MASTER_CA").unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = Verifier { right: builder.build().unwrap(), fault: fault.to_owned() };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Verifies rightly but for the fault.
#[derive(Debug)]
struct Verifier {
    right: Arc<WebPkiServerVerifier>,
    fault: String,
}

impl Verifier {
    fn overlooks(&self, error: &Error) -> bool {
        let Error::InvalidCertificate(error) = error else { return false };
        let is_name = matches!(
            error,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        );
        self.fault == "trusting" || self.fault == "misled" && is_name
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.right.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(error) if self.overlooks(&error) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.right.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.right.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.right.supported_verify_schemes()
    }
}
