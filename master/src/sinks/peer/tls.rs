//! TLS to a peer, by the options of the connection.

use std::{path::Path, sync::Arc};

use heapster_shared::tls::{KeyFiles, WhoeverHasTheKey, certificates};
use rustls::{ClientConfig, RootCertStore, crypto::ring, sign::SingleCertAndKey};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{PeerOptions, Verification};

/// The configuration of TLS that these options ask for. The certificates of the machine are only
/// read where they are needed: a machine that writes to a plain address (`encrypted` is false) need
/// not have any.
///
/// # Errors
/// A sentence with the path of the file that is no good.
pub(in crate::sinks) fn client_config(
    options: &PeerOptions,
    encrypted: bool,
) -> Result<ClientConfig, String> {
    let wrong = |error: rustls::Error| format!("cannot set up TLS: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let builder = if options.tls == Verification::Skip {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(WhoeverHasTheKey::new()))
    } else if let Some(path) = &options.ca {
        builder.with_root_certificates(roots(path)?)
    } else if encrypted {
        builder.with_platform_verifier().map_err(wrong)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let (Some(certificate), Some(key)) = (&options.cert, &options.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let files = KeyFiles { certificate: certificate.clone(), key: key.clone() };
    let certified = files.parse(&files.read()?)?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let text = std::fs::read(path);
    let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &text)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(options: &PeerOptions) -> String {
        client_config(options, true).unwrap_err()
    }

    #[test]
    fn files_that_are_no_good_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let ca = PeerOptions { ca: Some(path.clone()), ..PeerOptions::default() };
        assert!(error(&ca).contains("it has no certificate in PEM"));
        let gone = PeerOptions { ca: Some("/nowhere/ca.pem".into()), ..PeerOptions::default() };
        assert!(error(&gone).starts_with("cannot read /nowhere/ca.pem"));
        let tls = Verification::Skip;
        let (cert, key) = (Some(path.clone()), Some(path));
        assert!(error(&PeerOptions { cert, key, tls, ..PeerOptions::default() }).contains("PEM"));
    }

    /// A machine without any certificates can still write to a plain address.
    #[test]
    fn without_encryption_nobody_is_to_be_trusted() {
        assert!(client_config(&PeerOptions::default(), false).is_ok());
    }
}
