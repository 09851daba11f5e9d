//! Whose certificates a server believes: those of an authority's.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    CertificateError, Error, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{Subject, certificates, pem};

/// Authorities that sign the certificates of clients.
#[derive(Clone)]
pub struct ClientTrust(Arc<dyn ClientCertVerifier>);

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust").finish_non_exhaustive()
    }
}

/// Why a client's certificate is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Distrust {
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet: is the clock of one side wrong?")]
    NotYet,
    #[error("it is not signed by the authority in the master's --tls-client-ca")]
    Unknown,
    #[error("it is not for clients, or cannot be read")]
    Unfit,
    #[error("it has no common name")]
    Nameless,
}

impl ClientTrust {
    /// Reads the authorities' certificates from a file's text.
    ///
    /// # Errors
    /// A sentence with the path.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, String> {
        let wrong = |error: &dyn fmt::Display| pem::cannot_be_used(path, error);
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, text)? {
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.build().map(Self).map_err(|error| wrong(&error))
    }

    /// The common name in a certificate that is valid at this time. That the client has its key is
    /// for the handshake to find out.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn name(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<String, Distrust> {
        let (certificate, between) = chain.split_first().ok_or(Distrust::Unfit)?;
        self.0.verify_client_cert(certificate, between, now).map_err(|error| match error {
            Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Distrust::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Distrust::NotYet
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Distrust::Unknown
                }
                _ => Distrust::Unfit,
            },
            _ => Distrust::Unfit,
        })?;
        let subject = Subject::of(certificate).ok_or(Distrust::Unfit)?;
        if subject.common_name.is_empty() {
            Err(Distrust::Nameless)
        } else {
            Ok(subject.common_name)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
        IsCa, Issuer, KeyPair, date_time_ymd,
    };

    use super::*;

    fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    fn certificate(
        issuer: &Issuer<'static, KeyPair>,
        name: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.extended_key_usages = vec![usage];
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        let key = KeyPair::generate().unwrap();
        vec![params.signed_by(&key, issuer).unwrap().der().clone()]
    }

    #[test]
    fn only_valid_certificates_of_the_authority_have_a_name() {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let (pem, issuer) = authority("ours");
        let trust = ClientTrust::parse(Path::new("ca.crt"), pem.as_bytes()).unwrap();
        let at = |year: u64| {
            let seconds = (year - 1970) * 31_557_600 + 15_000_000;
            UnixTime::since_unix_epoch(Duration::from_secs(seconds))
        };
        let lab = certificate(&issuer, Some("lab"), ClientAuth);
        assert_eq!(trust.name(&lab, at(2026)), Ok("lab".to_owned()));
        assert_eq!(trust.name(&lab, at(2027)), Err(Distrust::Expired));
        assert_eq!(trust.name(&lab, at(2025)), Err(Distrust::NotYet));
        let theirs = certificate(&authority("theirs").1, Some("lab"), ClientAuth);
        assert_eq!(trust.name(&theirs, at(2026)), Err(Distrust::Unknown));
        // Whoever has the key of an authority of the same name is not that authority.
        let same = certificate(&authority("ours").1, Some("lab"), ClientAuth);
        assert_eq!(trust.name(&same, at(2026)), Err(Distrust::Unknown));
        let server = certificate(&issuer, Some("lab"), ServerAuth);
        assert_eq!(trust.name(&server, at(2026)), Err(Distrust::Unfit));
        let nameless = certificate(&issuer, None, ClientAuth);
        assert_eq!(trust.name(&nameless, at(2026)), Err(Distrust::Nameless));
        assert_eq!(trust.name(&[], at(2026)), Err(Distrust::Unfit));
        assert!(ClientTrust::parse(Path::new("a"), b"x").unwrap_err().contains("a cannot be used"));
    }
}
