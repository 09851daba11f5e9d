//! Whom the API server believes, by the config map that it writes for servers behind it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use hyper::{HeaderMap, header::HeaderName};
use percent_encoding::percent_decode_str;
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use heapster_shared::tls::Subject;

use super::User;

/// Authorities, and the headers in which the front proxy says who asks.
pub(super) struct Trust {
    data: BTreeMap<String, String>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    front_proxy: Option<FrontProxy>,
}

struct FrontProxy {
    verifier: Arc<dyn ClientCertVerifier>,
    /// The names that its certificate may have; any where there are none.
    allowed_names: Vec<String>,
    user: Vec<HeaderName>,
    uid: Vec<HeaderName>,
    groups: Vec<HeaderName>,
    /// In small letters.
    extra_prefixes: Vec<String>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    /// Reads the config map's data.
    ///
    /// # Errors
    /// A sentence, when it cannot be read. A part that is not there is no error: a cluster may be
    /// without a front proxy.
    pub(super) fn of(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let clients = verifier(data, "client-ca-file")?;
        let front_proxy = match verifier(data, "requestheader-client-ca-file")? {
            Some(verifier) => Some(FrontProxy::of(data, verifier)?),
            None => None,
        };
        Ok(Self { data: data.clone(), clients, front_proxy })
    }

    /// Whether another one was read from the same data.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.data == other.data
    }

    /// Whom a client certificate stands for, with the headers where it is the front proxy's.
    pub(super) fn user(&self, chain: &[CertificateDer<'_>], headers: &HeaderMap) -> Option<User> {
        let by_proxy = self.front_proxy.as_ref().and_then(|proxy| proxy.user(chain, headers));
        by_proxy.or_else(|| {
            let subject = verified(self.clients.as_deref()?, chain)?;
            let Subject { common_name: name, organizations: groups } = subject;
            (!name.is_empty()).then(|| User { name, groups, ..User::default() })
        })
    }
}

impl FrontProxy {
    fn of(
        data: &BTreeMap<String, String>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, String> {
        let prefixes = list(data, "requestheader-extra-headers-prefix")?;
        Ok(Self {
            verifier,
            allowed_names: list(data, "requestheader-allowed-names")?,
            user: headers(data, "requestheader-username-headers")?,
            uid: headers(data, "requestheader-uid-headers")?,
            groups: headers(data, "requestheader-group-headers")?,
            extra_prefixes: prefixes.iter().map(|prefix| prefix.to_ascii_lowercase()).collect(),
        })
    }

    fn user(&self, chain: &[CertificateDer<'_>], headers: &HeaderMap) -> Option<User> {
        let subject = verified(&*self.verifier, chain)?;
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&subject.common_name) {
            return None;
        }
        let values = |names: &[HeaderName]| {
            let values = names.iter().flat_map(|name| headers.get_all(name));
            let values = values.filter_map(|value| value.to_str().ok()).map(str::to_owned);
            values.filter(|value| !value.is_empty()).collect::<Vec<String>>()
        };
        let name = values(&self.user).into_iter().next()?;
        let uid = values(&self.uid).into_iter().next().unwrap_or_default();
        Some(User { name, uid, groups: values(&self.groups), extra: self.extra(headers) })
    }

    fn extra(&self, headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in headers {
            let mut prefixes = self.extra_prefixes.iter();
            let key = prefixes.find_map(|prefix| name.as_str().strip_prefix(prefix.as_str()));
            let Some((key, value)) = key.zip(value.to_str().ok()) else { continue };
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(value.to_owned());
        }
        extra
    }
}

/// The subject of a certificate, where an authority has signed it for clients and it is valid now.
fn verified(verifier: &dyn ClientCertVerifier, chain: &[CertificateDer<'_>]) -> Option<Subject> {
    let (certificate, intermediates) = chain.split_first()?;
    verifier.verify_client_cert(certificate, intermediates, UnixTime::now()).ok()?;
    Subject::of(certificate)
}

fn verifier(
    data: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let Some(pem) = data.get(key).filter(|pem| !pem.trim().is_empty()) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("`{key}`: {error}"))?;
        roots.add(certificate).map_err(|error| format!("`{key}`: {error}"))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map(Some).map_err(|error| format!("`{key}`: {error}"))
}

/// A list that is written as JSON.
fn list(data: &BTreeMap<String, String>, key: &str) -> Result<Vec<String>, String> {
    let text = data.get(key).map_or("[]", String::as_str);
    serde_json::from_str(text).map_err(|error| format!("`{key}`: {error}"))
}

fn headers(data: &BTreeMap<String, String>, key: &str) -> Result<Vec<HeaderName>, String> {
    let names = list(data, key)?;
    let header = |name: &String| {
        HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("`{key}`: {error}"))
    };
    names.iter().map(header).collect()
}
