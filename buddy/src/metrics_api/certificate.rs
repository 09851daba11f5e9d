//! The certificate that the server shows: from files, which may be exchanged while it runs, or one
//! that it makes for itself when it starts.
//!
//! One of its own is signed by nobody whom the API server could know, and is another one after each
//! start: the APIService then has `insecureSkipTLSVerify: true`. With files it has the authority's
//! certificate as `caBundle`.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use heapster_shared::tls::{KeyFiles, KeyText};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate that is shown now.
pub(super) struct Certificate {
    files: Option<KeyFiles>,
    /// What the files said at first.
    loaded: Option<KeyText>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificate {
    /// That of the files; without files one of its own.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn load(files: Option<KeyFiles>) -> Result<Self, String> {
        let loaded = files.as_ref().map(KeyFiles::read).transpose()?;
        let key = match files.as_ref().zip(loaded.as_ref()) {
            Some((files, loaded)) => files.parse(loaded)?,
            None => self_signed().map_err(|error| format!("cannot make a certificate: {error}"))?,
        };
        Ok(Self { files, loaded, current: RwLock::new(Arc::new(key)) })
    }

    /// Takes over what the files say when they change, until it is stopped. What cannot be used,
    /// such as a certificate that was written before its key, changes nothing.
    pub(super) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let Some(files) = &self.files else { return };
        let mut latest = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let Ok(now) = files.read() else { continue };
            if latest.as_ref().or(self.loaded.as_ref()) == Some(&now) {
                continue;
            }
            match files.parse(&now) {
                Ok(key) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    tracing::info!("took over another certificate for the metrics API");
                    latest = Some(now);
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificate of before is shown further on");
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn self_signed() -> Result<CertifiedKey, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "heapster");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = ring::sign::any_supported_type(&key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(files: &KeyFiles) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(&files.certificate, &pem).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        pem
    }

    fn shown(certificate: &Certificate) -> Vec<u8> {
        certificate.current.read().unwrap().cert[0].to_vec()
    }

    /// Certificates are rotated under a running server. Half of a new pair is not taken.
    #[tokio::test(start_paused = true)]
    async fn exchanged_files_are_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        let files = KeyFiles { certificate, key };
        assert!(Certificate::load(Some(files.clone())).unwrap_err().contains("cannot read"));
        write(&files);
        let certificate = Arc::new(Certificate::load(Some(files.clone())).unwrap());
        let first = shown(&certificate);
        let stop = CancellationToken::new();
        let following = tokio::spawn(Arc::clone(&certificate).follow(stop.clone()));
        tokio::task::yield_now().await;
        let old_key = fs::read(&files.key).unwrap();
        write(&files);
        let new_key = fs::read(&files.key).unwrap();
        fs::write(&files.key, old_key).unwrap();
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert_eq!(shown(&certificate), first, "the key is not the certificate's");
        fs::write(&files.key, new_key).unwrap();
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert_ne!(shown(&certificate), first);
        stop.cancel();
        following.await.unwrap();
    }

    #[test]
    fn a_certificate_of_its_own_is_another_one_each_time() {
        let made = || shown(&Certificate::load(None).unwrap());
        assert_ne!(made(), made());
    }
}
