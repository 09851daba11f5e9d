//! Fetches by TLS from hosts with certificates as kubelets have them: whom to trust is what the
//! options say, and what is wrong is said with what to set.

#![allow(clippy::unwrap_used)]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use heapster_buddy::source::fetch::{
    Body, ClientCertificate, FetchError, FetchOptions, Fetcher, Pem, Request, TlsOptions,
    TokenSource, Verification,
};
use heapster_shared::{secret::Secret, units::ByteSize};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    fn issue_with(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Identity { cert: cert.pem(), key: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

impl Identity {
    fn server_config(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.cert.as_bytes()).map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(chain.collect(), key).unwrap())
    }
}

/// Answers each request with the name that was asked for and the token, or refuses.
struct Host {
    url: String,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    /// Closes connections after an answer, so that the next fetch opens one.
    status: Arc<Mutex<&'static str>>,
}

impl Host {
    async fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/stats/summary", listener.local_addr().unwrap());
        let config = Arc::new(Mutex::new(config));
        let status = Arc::new(Mutex::new("200 OK"));
        let host = Self { url, config: Arc::clone(&config), status: Arc::clone(&status) };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&config.lock().unwrap()));
                let status = Arc::clone(&status);
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                    let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                    while answer(&mut stream, &name, &status).await.is_some() {}
                });
            }
        });
        host
    }

    async fn fetch(&self, options: FetchOptions) -> Result<Body, FetchError> {
        fetch(&Fetcher::new(options).unwrap(), &self.url).await
    }

    /// What is wrong, without the address in front.
    async fn error(&self, options: FetchOptions) -> String {
        let error = self.fetch(options).await.unwrap_err().to_string();
        error.strip_prefix(&self.url).unwrap_or_else(|| panic!("{error}")).to_owned()
    }
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Body, FetchError> {
    let fetching = fetcher.fetch(Request::get(url).of_node("node-a"));
    tokio::time::timeout(Duration::from_secs(20), fetching).await.expect("an answer in time")
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    name: &str,
    status: &Mutex<&'static str>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: "));
    let body = format!("{name} {}", token.unwrap_or("-"));
    let status = *status.lock().unwrap();
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

fn options() -> FetchOptions {
    let mut options = FetchOptions::new(ByteSize::mib(1));
    options.reread_interval = Duration::ZERO;
    options
}

fn trusting(authority: &Authority) -> FetchOptions {
    FetchOptions { authorities: vec![text(authority.pem())], ..options() }
}

fn text(pem: String) -> Pem {
    Pem::Text(Secret::from(pem))
}

fn written(directory: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = directory.path().join(name);
    let new = directory.path().join("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, &path).unwrap();
    path
}

/// With the authority that signed, by text or by file, it is verified, and the connection stays.
#[tokio::test]
async fn a_host_with_the_right_certificate_is_trusted() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&["127.0.0.1"]).server_config(None)).await;
    assert_eq!(&*host.fetch(trusting(&authority)).await.unwrap(), "- -");
    let directory = tempfile::tempdir().unwrap();
    let ca = Some(written(&directory, "ca.pem", &authority.pem()));
    let fetcher =
        Fetcher::new(options().with(&TlsOptions { ca, ..TlsOptions::default() }).unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(&*fetch(&fetcher, &host.url).await.unwrap(), "- -");
    }
}

/// An authority that is not known, or another than the one that was named, even one of its name.
#[tokio::test]
async fn a_host_with_the_wrong_authority_is_not_trusted() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&["127.0.0.1"]).server_config(None)).await;
    let error = host.error(options()).await;
    assert!(
        error.contains(
            "is signed by an unknown authority; name the cluster's CA with ca=FILE, or set tls=skip"
        ),
        "{error}"
    );
    let error = host.error(trusting(&Authority::new())).await;
    assert!(error.contains("is not signed by the authority in the one that was given; name the right one with ca=FILE"), "{error}");
    let skipping = FetchOptions { verification: Verification::Skip, ..options() };
    assert_eq!(&*host.fetch(skipping).await.unwrap(), "- -");
}

/// The commonest trouble with kubelets: the certificate is for the node's name, not its address.
#[tokio::test]
async fn a_certificate_for_the_name_of_the_node() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&["node-a"]).server_config(None)).await;
    let error = host.error(trusting(&authority)).await;
    let at = host.url.strip_prefix("https://").unwrap().split('/').next().unwrap();
    let expected = format!(
        "the certificate of {at} is valid for node-a, not for 127.0.0.1; set tls=node-name if that is the name of the node"
    );
    assert!(error.contains(&expected), "{error}");

    let by_name = FetchOptions { verification: Verification::NodeName, ..trusting(&authority) };
    let fetcher = Fetcher::new(by_name.clone()).unwrap();
    assert_eq!(&*fetch(&fetcher, &host.url).await.unwrap(), "node-a -");
    let other = fetcher.fetch(Request::get(&host.url).of_node("node-b")).await;
    let error = other.unwrap_err().to_string();
    assert!(
        error.contains("is valid for node-a, not for node-b; is the node's name right?"),
        "{error}"
    );
    let error = fetcher.get(&host.url).await.unwrap_err().to_string();
    assert!(error.contains("no name of a node is known"), "{error}");
    let wrong =
        FetchOptions { verification: Verification::NodeName, ..trusting(&Authority::new()) };
    assert!(host.error(wrong).await.contains("is not signed by the authority"));
}

#[tokio::test]
async fn a_certificate_without_names_and_one_that_expired() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&[]).server_config(None)).await;
    let error = host.error(trusting(&authority)).await;
    assert!(error.contains("names no host at all"), "{error}");
    let old = authority.issue_with(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let host = Host::start(old.server_config(None)).await;
    let error = host.error(trusting(&authority)).await;
    assert!(error.contains("has expired"), "{error}");
}

/// A host that wants to see a certificate says so, and is shown it.
#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let authority = Authority::new();
    let server = authority.issue(&["127.0.0.1"]);
    let host = Host::start(server.server_config(Some(&authority))).await;
    let error = host.error(trusting(&authority)).await;
    assert!(error.contains("demands a client certificate; set cert=FILE and key=FILE"), "{error}");

    let shown = |identity: Identity| FetchOptions {
        client: Some(ClientCertificate { chain: text(identity.cert), key: text(identity.key) }),
        ..trusting(&authority)
    };
    assert_eq!(&*host.fetch(shown(authority.issue(&["buddy"]))).await.unwrap(), "- -");
    let error = host.error(shown(Authority::new().issue(&["buddy"]))).await;
    assert!(error.contains("does not accept the client certificate"), "{error}");
    let mixed = Identity { cert: authority.issue(&["a"]).cert, key: authority.issue(&["b"]).key };
    let error = host.error(shown(mixed)).await;
    assert!(error.contains("cannot be used"), "{error}");
}

/// A service account's token is exchanged while we run; the connection stays.
#[tokio::test]
async fn a_token_that_is_rotated() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&["127.0.0.1"]).server_config(None)).await;
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, "token", "first\n");
    let fetcher = Fetcher::new(FetchOptions {
        token: Some(TokenSource::File(path.clone())),
        ..trusting(&authority)
    })
    .unwrap();
    assert_eq!(&*fetch(&fetcher, &host.url).await.unwrap(), "- Bearer first");
    written(&directory, "token", "other");
    assert_eq!(&*fetch(&fetcher, &host.url).await.unwrap(), "- Bearer other");

    *host.status.lock().unwrap() = "401 Unauthorized";
    let error = fetch(&fetcher, &host.url).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("it does not accept the token in {}", path.display())),
        "{error}"
    );
    *host.status.lock().unwrap() = "403 Forbidden";
    let error = fetch(&fetcher, &host.url).await.unwrap_err().to_string();
    assert!(error.contains("allow `get` on nodes/stats in a ClusterRole"), "{error}");
    *host.status.lock().unwrap() = "401 Unauthorized";
    let error = host.error(trusting(&authority)).await;
    assert!(error.contains("set token_file=FILE, or cert=FILE and key=FILE"), "{error}");
}

/// A cluster's authority is exchanged while we run: what the old one signed is trusted no more, not
/// even over a connection that was kept, and a half-written file changes nothing.
#[tokio::test]
async fn an_authority_that_is_rotated() {
    let (old, new) = (Authority::new(), Authority::new());
    let host = Host::start(old.issue(&["127.0.0.1"]).server_config(None)).await;
    let directory = tempfile::tempdir().unwrap();
    let ca = written(&directory, "ca.pem", &old.pem());
    let fetcher =
        Fetcher::new(FetchOptions { authorities: vec![Pem::File(ca)], ..options() }).unwrap();
    assert!(fetch(&fetcher, &host.url).await.is_ok());
    written(&directory, "ca.pem", "-----BEGIN CERT");
    assert!(fetch(&fetcher, &host.url).await.is_ok());
    written(&directory, "ca.pem", &new.pem());
    let error = fetch(&fetcher, &host.url).await.unwrap_err().to_string();
    assert!(error.contains("is not signed by the authority in"), "{error}");
    *host.config.lock().unwrap() = new.issue(&["127.0.0.1"]).server_config(None);
    assert!(fetch(&fetcher, &host.url).await.is_ok());
}

/// Files that are not there, or have nothing of use, are named.
#[tokio::test]
async fn files_that_are_of_no_use() {
    let authority = Authority::new();
    let host = Host::start(authority.issue(&["127.0.0.1"]).server_config(None)).await;
    let missing = Pem::File("/nonexistent/ca.pem".into());
    let error = host.error(FetchOptions { authorities: vec![missing], ..options() }).await;
    assert!(error.contains("cannot read /nonexistent/ca.pem"), "{error}");
    let empty = text("nothing".to_owned());
    let error = host.error(FetchOptions { authorities: vec![empty], ..options() }).await;
    assert!(error.contains("there is no certificate in the one that was given"), "{error}");
    let token = Some(TokenSource::File("/nonexistent/token".into()));
    let error = host.error(FetchOptions { token, ..trusting(&authority) }).await;
    assert!(error.contains("cannot read /nonexistent/token"), "{error}");
}

/// Answers of many TLS records come whole, over one connection.
#[tokio::test]
async fn large_answers_come_whole() {
    let authority = Authority::new();
    let config = authority.issue(&["127.0.0.1"]).server_config(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let body = "0123456789".repeat(50_000);
    let sent = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(config).accept(tcp).await.unwrap();
        let mut request = [0; 4096];
        while stream.read(&mut request).await.unwrap_or(0) > 0 {
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    let fetcher = Fetcher::new(trusting(&authority)).unwrap();
    for _ in 0..3 {
        assert_eq!(*fetch(&fetcher, &url).await.unwrap(), *body);
    }
}
