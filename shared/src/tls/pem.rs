//! Certificates and keys as files in PEM.

use std::{fmt, fs, path::Path, path::PathBuf};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

/// The files of a certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What such files say, to be compared.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText").finish_non_exhaustive()
    }
}

impl KeyText {
    /// The texts of the certificate and the key.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.certificate, self.key)
    }
}

impl KeyFiles {
    /// What the files say now.
    ///
    /// # Errors
    /// A sentence with the path.
    pub fn read(&self) -> Result<KeyText, String> {
        Ok(KeyText { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// The certificate with its key, which has to be its own.
    ///
    /// # Errors
    /// A sentence with the path.
    pub fn parse(&self, text: &KeyText) -> Result<CertifiedKey, String> {
        let chain = certificates(&self.certificate, &text.certificate)?;
        let wrong = |error: &dyn fmt::Display| cannot_be_used(&self.key, error);
        let key = PrivateKeyDer::from_pem_slice(&text.key).map_err(|error| wrong(&error))?;
        let key = ring::sign::any_supported_type(&key).map_err(|error| wrong(&error))?;
        let certified = CertifiedKey::new(chain, key);
        certified
            .keys_match()
            .map_err(|_| wrong(&format!("it is not the key of {}", self.certificate.display())))?;
        Ok(certified)
    }
}

/// The certificates in a file's text, at least one.
///
/// # Errors
/// A sentence with the path.
pub fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| cannot_be_used(path, &error))?;
    if found.is_empty() {
        return Err(cannot_be_used(path, &"it has no certificate in PEM"));
    }
    Ok(found)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

pub(super) fn cannot_be_used(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{} cannot be used: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// Of two pairs of files the halves do not go together, and neither does something else.
    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let signed = CertificateParams::new(vec!["a".to_owned()]).unwrap();
            let files = KeyFiles {
                certificate: folder.path().join(format!("{name}.crt")),
                key: folder.path().join(format!("{name}.key")),
            };
            fs::write(&files.certificate, signed.self_signed(&key).unwrap().pem()).unwrap();
            fs::write(&files.key, key.serialize_pem()).unwrap();
            files
        };
        let (one, other) = (write("one"), write("other"));
        one.parse(&one.read().unwrap()).unwrap();
        let error = |files: &KeyFiles| {
            files.read().and_then(|text| files.parse(&text).map(drop)).unwrap_err()
        };
        let mixed = KeyFiles { key: other.key.clone(), ..one.clone() };
        assert!(error(&mixed).contains("other.key cannot be used: it is not the key of"));
        let swapped = KeyFiles { certificate: one.key.clone(), key: one.certificate.clone() };
        assert!(error(&swapped).contains("no certificate in PEM"));
        fs::write(&other.key, "nothing").unwrap();
        assert!(error(&other).contains("other.key cannot be used"));
        let gone = KeyFiles { key: folder.path().join("gone"), ..one };
        assert!(error(&gone).starts_with("cannot read "));
    }
}
