//! Whom to trust, and as whom to appear: TLS from options and files, made anew when a file changes.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{
    address::Address,
    options::{ClientCertificate, FetchOptions, Pem, Verification},
    tls_words::Expected,
};
use crate::rotated::{LookedAt, Stamp};

/// Knows the TLS of a fetcher.
#[derive(Debug)]
pub(super) struct Trust {
    options: FetchOptions,
    known: Mutex<Option<Known>>,
}

/// What was made from the files.
#[derive(Debug)]
struct Known {
    looked_at: LookedAt,
    stamps: Vec<Option<Stamp>>,
    config: Arc<ClientConfig>,
    version: u64,
}

/// Who is expected at the other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) config: Arc<ClientConfig>,
    /// Which version of the files this is from.
    pub(super) version: u64,
    /// Whose certificate it must be; also what the host is told to be wanted.
    pub(super) name: ServerName<'static>,
    verification: Verification,
    /// The names of the authorities, for people; empty when they are the machine's.
    authorities: String,
    /// The name of the client certificate, for people.
    client: Option<String>,
}

impl Trust {
    pub(super) fn new(options: FetchOptions) -> Self {
        Self { options, known: Mutex::default() }
    }

    /// Whom to expect at an address that is that of this node, when it is known to be a node's.
    ///
    /// # Errors
    /// A sentence, when a file cannot be used, or there is no name to verify.
    pub(super) fn peer(&self, address: &Address<'_>, node: Option<&str>) -> Result<Peer, String> {
        let (config, version) = self.current()?;
        let names: Vec<String> = self.options.authorities.iter().map(Pem::name).collect();
        Ok(Peer {
            config,
            version,
            name: self.server_name(address, node)?,
            verification: self.options.verification,
            authorities: names.join(", "),
            client: self.options.client.as_ref().map(|client| client.chain.name()),
        })
    }

    fn server_name(
        &self,
        address: &Address<'_>,
        node: Option<&str>,
    ) -> Result<ServerName<'static>, String> {
        let name = match (self.options.verification, node) {
            (Verification::NodeName, Some(node)) => node,
            (Verification::NodeName, None) => {
                return Err("tls=node-name, but no name of a node is known here".to_owned());
            }
            _ => address.host,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_owned();
        ServerName::try_from(name)
            .map_err(|_| "no certificate can be for this name of the host".to_owned())
    }

    /// TLS as the files have it now. While a changed file cannot be used, TLS stays as it was.
    fn current(&self) -> Result<(Arc<ClientConfig>, u64), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = &mut *known else {
            // Looked at before they are read: a change in between is seen the next time.
            let stamps = self.stamps();
            let config = Arc::new(client_config(&self.options)?);
            let looked_at = LookedAt::now();
            *known = Some(Known { looked_at, stamps, config: Arc::clone(&config), version: 0 });
            return Ok((config, 0));
        };
        if old.looked_at.is_due(self.options.reread_interval) {
            let stamps = self.stamps();
            if stamps != old.stamps {
                match client_config(&self.options) {
                    Ok(config) => {
                        (old.stamps, old.config) = (stamps, Arc::new(config));
                        old.version += 1;
                    }
                    Err(error) => tracing::warn!(%error, "keeping the old certificates"),
                }
            }
        }
        Ok((Arc::clone(&old.config), old.version))
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let client = self.options.client.iter().flat_map(|client| [&client.chain, &client.key]);
        let all = self.options.authorities.iter().chain(client);
        all.filter_map(Pem::path).map(Stamp::of).collect()
    }
}

impl Peer {
    /// By what connections to an address are kept: with another name it is another host.
    pub(super) fn waits_as(&self, address: &Address<'_>) -> Option<String> {
        let name = self.name.to_str();
        (name != address.host).then(|| format!("{} as {name}", address.origin))
    }

    /// What went wrong with TLS, and what to do about it; none when it was not TLS.
    pub(super) fn explain(&self, error: &io::Error, address: &Address<'_>) -> Option<String> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let expected = Expected {
            at: address.authority,
            name: &self.name.to_str(),
            verification: self.verification,
            authorities: &self.authorities,
            client: self.client.as_deref(),
        };
        Some(format!("no TLS connection: {}", expected.explain(error)))
    }
}

/// TLS by these options, as their files are now.
///
/// # Errors
/// A sentence, when a file cannot be used.
pub(crate) fn client_config(options: &FetchOptions) -> Result<ClientConfig, String> {
    let told = |error: rustls::Error| format!("cannot set up TLS: {error}");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(told)?;
    let builder = match options.verification {
        Verification::Skip => {
            builder.dangerous().with_custom_certificate_verifier(crate::tls::anybody())
        }
        _ => builder.with_root_certificates(authorities(options)?),
    };
    let Some(client) = &options.client else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = client_certificate(client)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let (chain, key) = (client.chain.name(), client.key.name());
        format!("the client certificate {chain} and the key {key} cannot be used: {error}")
    })
}

fn authorities(options: &FetchOptions) -> Result<RootCertStore, String> {
    let mut roots = match options.authorities.is_empty() || options.system_authorities {
        true => crate::tls::system_roots(),
        false => RootCertStore::empty(),
    };
    for pem in &options.authorities {
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(|error| {
                format!("a certificate in {} cannot be used: {error}", pem.name())
            })?;
        }
    }
    Ok(roots)
}

fn client_certificate(
    client: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let key = client.key.read()?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|error| format!("there is no key in {}: {error}", client.key.name()))?;
    Ok((certificates(&client.chain)?, key))
}

/// The certificates in a document, at least one.
fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = pem.read()?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose().as_bytes()).collect();
    let wrong = |what: String| format!("there is no certificate in {}: {what}", pem.name());
    let all = all.map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() { Err(wrong("it has none in PEM".to_owned())) } else { Ok(all) }
}
