//! What stands before a kubelet: TLS, credentials, and what they allow. One port takes TLS and plain
//! connections, and tells them by their first byte.

use std::sync::{Arc, OnceLock};

use anyhow::Context;
use hyper::{Request, StatusCode, body::Incoming};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{CertificateNames, KubeletTls, Truth, cluster::host_address, identity::host_name};
use crate::authority::{AccessRequest, User};

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// TLS and access for all hosts of a cluster.
#[derive(Debug)]
pub(super) struct Gate {
    options: KubeletTls,
    config: Arc<ServerConfig>,
    /// The hosts' certificates, each signed when it is first asked for.
    keys: Vec<OnceLock<Arc<CertifiedKey>>>,
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) enum Caller {
    /// Nobody is asked for credentials.
    Anybody,
    /// Who speaks plain HTTP where TLS is wanted.
    Astray,
    /// A TLS client, with the user of its certificate where it showed one.
    Client(Option<User>),
}

/// A connection after its handshake.
pub(super) enum Opened {
    Plain(TcpStream, Caller),
    Tls(Box<TlsStream<TcpStream>>, Caller),
}

impl Gate {
    pub(super) fn new(options: &KubeletTls) -> anyhow::Result<Self> {
        let config = options.authority.cluster.server_config(&["kubelet"])?;
        Ok(Self { options: options.clone(), config: Arc::new(config), keys: Vec::new() })
    }

    /// The same for so many hosts.
    pub(super) fn for_hosts(mut self, hosts: usize) -> Self {
        self.keys.resize_with(hosts, OnceLock::new);
        self
    }

    /// Finds out what the client speaks, and shakes hands.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        truth: &Truth,
        host: usize,
    ) -> anyhow::Result<Opened> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first[0] != HANDSHAKE {
            let caller = if self.options.plain_too { Caller::Anybody } else { Caller::Astray };
            return Ok(Opened::Plain(stream, caller));
        }
        // Each connection has its host's certificate; all else is shared.
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Always(self.key(truth, host)?));
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let user = certificate
            .and_then(|certificate| self.options.authority.certificate_user(certificate));
        Ok(Opened::Tls(Box::new(stream), Caller::Client(user)))
    }

    fn key(&self, truth: &Truth, host: usize) -> anyhow::Result<Arc<CertifiedKey>> {
        let slot = self.keys.get(host).context("a host of this cluster")?;
        if let Some(key) = slot.get() {
            return Ok(Arc::clone(key));
        }
        let name = host_name(host);
        let address = host_address(truth.config().addressing, host).to_string();
        let names: &[&str] = match self.options.names {
            CertificateNames::NodeName => &[&name],
            CertificateNames::Address => &[&address],
            CertificateNames::Both => &[&name, &address],
        };
        let key = Arc::new(self.options.authority.cluster.certified_key(names)?);
        Ok(Arc::clone(slot.get_or_init(|| key)))
    }

    /// Why a request is not answered: the status and the text that a kubelet has for it.
    pub(super) fn refusal(
        &self,
        caller: &Caller,
        request: &Request<Incoming>,
        host: usize,
    ) -> Option<(StatusCode, String)> {
        let certificate = match caller {
            Caller::Anybody => return None,
            Caller::Astray => {
                let text = "Client sent an HTTP request to an HTTPS server.\n";
                return Some((StatusCode::BAD_REQUEST, text.into()));
            }
            Caller::Client(user) => user.as_ref(),
        };
        let authority = &self.options.authority;
        let recognised = authority.recognise(certificate, request.headers()).ok();
        let Some(user) = recognised.filter(|user| *user != User::anonymous()) else {
            return Some((StatusCode::UNAUTHORIZED, "Unauthorized".into()));
        };
        let subresource = subresource(request.uri().path());
        let text = format!(
            "Forbidden (user={}, verb=get, resource=nodes, subresource={subresource})",
            user.name
        );
        let asked = AccessRequest {
            user: user.name,
            groups: user.groups,
            verb: "get".into(),
            resource: "nodes".into(),
            subresource: subresource.into(),
            name: host_name(host),
            ..AccessRequest::default()
        };
        (!authority.allows(&asked)).then_some((StatusCode::FORBIDDEN, text))
    }
}

/// The part of a node that a kubelet's path stands for.
fn subresource(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("stats") => "stats",
        Some("metrics") => "metrics",
        Some("logs") => "log",
        _ => "proxy",
    }
}

/// Serves one certificate, whatever name the client asks for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
