//! Certificates of a simulated cluster, and what TLS needs of them.

use std::{sync::Arc, time::SystemTime};

use anyhow::Context;
use heapster_shared::tls::WhoeverHasTheKey;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::CertifiedKey,
};

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// The key as PEM (PKCS 8).
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl ClientIdentity {
    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    pub(super) fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

/// An authority that signs certificates.
pub(crate) struct CertificateAuthority {
    certificate: Certificate,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// All servers have one key: thousands of kubelets need no thousands of keys.
    server_key: KeyPair,
}

impl CertificateAuthority {
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = named(name, None, Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { certificate, pem, issuer, server_key: KeyPair::generate()? })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A client's certificate. Its name and one group are in the subject.
    pub(crate) fn client(&self, name: &str, group: Option<&str>) -> anyhow::Result<ClientIdentity> {
        self.sign_client(named(name, group, Vec::new())?)
    }

    /// A client's certificate that is valid until then, to the second.
    pub(crate) fn client_until(
        &self,
        name: &str,
        until: SystemTime,
    ) -> anyhow::Result<ClientIdentity> {
        let mut params = named(name, None, Vec::new())?;
        params.not_after = until.into();
        self.sign_client(params)
    }

    fn sign_client(&self, mut params: CertificateParams) -> anyhow::Result<ClientIdentity> {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        Ok(ClientIdentity::new(&params.signed_by(&key, &self.issuer)?, &key))
    }

    /// A server's certificate, valid for these DNS names and addresses.
    pub(crate) fn serving(&self, names: &[&str]) -> anyhow::Result<ClientIdentity> {
        let subject = names.first().copied().unwrap_or("nobody");
        let alternatives = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = named(subject, None, alternatives)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&self.server_key, &self.issuer)?;
        Ok(ClientIdentity::new(&certificate, &self.server_key))
    }

    /// The same, in the form that rustls serves.
    pub(crate) fn certified_key(&self, names: &[&str]) -> anyhow::Result<CertifiedKey> {
        let identity = self.serving(names)?;
        let key = ring::sign::any_supported_type(&identity.key_der())?;
        Ok(CertifiedKey::new(vec![identity.certificate], key))
    }

    /// TLS for a server that asks for client certificates of this authority, and also serves who
    /// has none.
    pub(crate) fn server_config(&self, names: &[&str]) -> anyhow::Result<ServerConfig> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
                .allow_unauthenticated()
                .build()?;
        let identity = self.serving(names)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate.clone()], identity.key_der())?;
        // Thousands of servers keep nothing for each of their clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).context("the authority's own certificate")?;
        Ok(roots)
    }
}

/// TLS for a client that shows a certificate and believes any server, as an API server does that
/// is told no authority for kubelets.
pub(crate) fn trust_anything(identity: &ClientIdentity) -> anyhow::Result<ClientConfig> {
    let verifier = Arc::new(WhoeverHasTheKey::new());
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key_der())?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn named(name: &str, group: Option<&str>, names: Vec<String>) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    Ok(params)
}
