//! Who may connect: what the options and the files say, and how it is taken over when a file
//! changes.
//!
//! `Door` holds the rules as they are now. Whoever serves a connection asks it who has come
//! ([`Rules::recognise`]) and what he may do, and is told when the rules change.

mod follow;
mod listen;
mod patience;
mod rules;
mod shares;
mod shown;
mod validity;

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, anyhow};
use heapster_shared::{
    access::Credentials,
    tls::{ClientTrust, WhoeverHasTheKey},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use listen::Within;
pub(crate) use listen::{Connections, Entrance, Peer, accept, connections};
pub(crate) use patience::OpenStream;
pub use rules::{BuddyDenied, Rules, Who};
pub(crate) use shares::{Share, Shares, origin};
pub use shown::{Shown, bearer};
pub(crate) use validity::Validity;

use crate::args::MasterArgs;
use follow::Follow;

/// The rules as they are now, and the certificate that the master shows.
pub struct Door {
    rules: watch::Sender<Arc<Rules>>,
    certificate: Option<Arc<ServerCertificate>>,
    asks_for_certificates: bool,
    files: std::sync::Mutex<Option<Follow>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn open(args: &MasterArgs) -> anyhow::Result<Self> {
        let sentence = |error: String| anyhow!(error);
        let mut follow = Follow::default();
        let mut rules = Rules { allowed_users: args.access.allowed_users(), ..Rules::default() };
        let key_files = args.access.key_files();
        let certificate = match key_files.clone() {
            None => None,
            Some(files) => {
                let text = files.read().map_err(sentence).context("--tls-cert, --tls-key")?;
                let key = files.parse(&text).map_err(sentence).context("--tls-cert, --tls-key")?;
                let certificate = Arc::new(ServerCertificate(RwLock::new(Arc::new(key))));
                follow.certificate(files, text, Arc::clone(&certificate));
                Some(certificate)
            }
        };
        if let Some(path) = &args.access.tls_client_ca {
            let text = follow::read(path).map_err(sentence).context("--tls-client-ca")?;
            rules.clients =
                Some(ClientTrust::parse(path, &text).map_err(sentence).context("--tls-client-ca")?);
            follow.client_ca(path.clone(), text);
        }
        if let Some(path) = &args.access.credentials {
            let text = follow::read(path).map_err(sentence).context("--credentials")?;
            let credentials = follow::credentials(path, &text);
            let credentials = credentials.map_err(sentence).context("--credentials")?;
            warn_if_empty(&credentials);
            rules.credentials = Some(credentials);
            follow.credentials(path.clone(), text);
        }
        Ok(Self {
            rules: watch::Sender::new(Arc::new(rules)),
            certificate,
            asks_for_certificates: args.access.tls_client_ca.is_some(),
            files: std::sync::Mutex::new(Some(follow)),
        })
    }

    /// A door that is open to everybody, in plain text.
    #[must_use]
    pub fn wide_open() -> Self {
        Self {
            rules: watch::Sender::new(Arc::default()),
            certificate: None,
            asks_for_certificates: false,
            files: std::sync::Mutex::new(None),
        }
    }

    /// The rules as they are now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// Tells of each change of the rules.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Rules>> {
        self.rules.subscribe()
    }

    /// TLS as it is to be served, with these protocols; none for plain text. The certificate that it
    /// shows is always the newest. Clients' certificates are looked at later, so that who shows a
    /// wrong one is told so in words.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn tls(&self, protocols: &[&[u8]]) -> anyhow::Result<Option<ServerConfig>> {
        let Some(certificate) = &self.certificate else { return Ok(None) };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match self.asks_for_certificates {
            true => builder.with_client_cert_verifier(Arc::new(WhoeverHasTheKey::new())),
            false => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_cert_resolver(Arc::<ServerCertificate>::clone(certificate) as _);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // A session that is resumed would bring a certificate of before.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Some(config))
    }

    /// Takes over what the files say when they change, until it is stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(files) = files {
            files.run(&self.rules, stop).await;
        }
    }
}

fn warn_if_empty(credentials: &Credentials) {
    if credentials.is_empty() {
        tracing::warn!(
            "the file of credentials has no entry, so nobody may connect: add one with `heapster token new`"
        );
    }
}

/// The certificate that is shown now.
pub(crate) struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
