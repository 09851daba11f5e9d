//! What a fetcher is told: limits, whom to trust, and who it is itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
    units::ByteSize,
};
use serde::Deserialize;

use crate::rotated;

/// How the certificate of a host is verified.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// By the authorities that are trusted, for the host of the address.
    #[default]
    Verify,
    /// By the authorities that are trusted, for the name of the node, whatever its address: the
    /// serving certificates of kubelets often name no IP address.
    NodeName,
    /// Not at all: whoever is between sees all, tokens included, and may answer what he likes.
    Skip,
}

/// The options of TLS and credentials, as every source that polls hosts has them: taken out of a
/// spec with [`TlsOptions::split_off`] before its own options are read. (Flattened into the options
/// of a source, serde could not name the known ones to who mistypes one.)
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// File with the certificates, in PEM, of the authorities that hosts' certificates are signed
    /// by. Default: the authorities that this machine trusts.
    pub ca: Option<PathBuf>,
    /// File with the client certificate, in PEM, and those between it and its authority. Default:
    /// none is shown.
    pub cert: Option<PathBuf>,
    /// File with the key of the client certificate, in PEM.
    pub key: Option<PathBuf>,
    /// `verify` checks hosts' certificates for their addresses, `node-name` for the names of nodes
    /// (kubelets only), `skip` not at all: whoever is between may then read and answer as he likes.
    /// Default: `verify`.
    #[serde(default)]
    pub tls: Verification,
    /// File with a token that is sent as `authorization: Bearer`, over TLS only. Default: none.
    pub token_file: Option<PathBuf>,
}

impl TlsOptions {
    /// The names of the options.
    pub const NAMES: [&str; 5] = ["ca", "cert", "key", "tls", "token_file"];

    /// Takes these options out of a spec, which keeps those that are the source's own.
    ///
    /// # Errors
    /// When one has a wrong value.
    pub fn split_off(spec: &mut Spec) -> Result<Self, SpecError> {
        spec.split_off(&Self::NAMES).options()
    }
}

/// A document in PEM.
#[derive(Clone, Debug)]
pub enum Pem {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// As it is, such as out of a kubeconfig.
    Text(Secret),
}

impl Pem {
    /// The text as it is now.
    pub(super) fn read(&self) -> Result<Secret, String> {
        match self {
            Self::File(path) => rotated::read(path).map(Secret::from),
            Self::Text(text) => Ok(text.clone()),
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Text(_) => None,
        }
    }

    /// Which one it is, in words; never what it has.
    pub(super) fn name(&self) -> String {
        let name = self.path().map(|path| path.display().to_string());
        name.unwrap_or_else(|| "the one that was given".to_owned())
    }
}

/// A token, or where it is.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// As it is.
    Text(Secret),
}

/// Shown to hosts that ask who connects.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub chain: Pem,
    /// Its key.
    pub key: Pem,
}

/// What a [`Fetcher`](super::Fetcher) is made from. Files are read when they are needed first, and
/// again when they change.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The largest body of an answer.
    pub max_body_size: ByteSize,
    /// Authorities to trust. When there are none, those that this machine trusts.
    pub authorities: Vec<Pem>,
    /// Whether those that this machine trusts are trusted beside `authorities`.
    pub system_authorities: bool,
    /// Who connects, as a certificate.
    pub client: Option<ClientCertificate>,
    /// How the certificates of hosts are verified.
    pub verification: Verification,
    /// Who asks, as a token; sent over TLS only.
    pub token: Option<TokenSource>,
    /// How often files are looked at.
    pub reread_interval: Duration,
}

impl FetchOptions {
    /// Answers of at most so many bytes; the authorities that this machine trusts; no credentials.
    #[must_use]
    pub const fn new(max_body_size: ByteSize) -> Self {
        Self {
            max_body_size,
            authorities: Vec::new(),
            system_authorities: false,
            client: None,
            verification: Verification::Verify,
            token: None,
            reread_interval: rotated::LOOK_EVERY,
        }
    }

    /// With the options of a source; what they leave open stays as it is.
    ///
    /// # Errors
    /// A sentence, when they do not go together.
    pub fn with(mut self, options: &TlsOptions) -> Result<Self, String> {
        if let Some(ca) = &options.ca {
            if options.tls == Verification::Skip {
                return Err("`ca` is of no use with tls=skip; leave one of them out".to_owned());
            }
            self.authorities = vec![Pem::File(ca.clone())];
        }
        match (&options.cert, &options.key) {
            (None, None) => {}
            (Some(cert), Some(key)) => {
                let (chain, key) = (Pem::File(cert.clone()), Pem::File(key.clone()));
                self.client = Some(ClientCertificate { chain, key });
            }
            (Some(_), None) => return Err("`cert` needs its `key`".to_owned()),
            (None, Some(_)) => return Err("`key` needs its `cert`".to_owned()),
        }
        if options.tls != Verification::Verify {
            self.verification = options.tls;
        }
        if let Some(file) = &options.token_file {
            self.token = Some(TokenSource::File(file.clone()));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<TlsOptions, SpecError> {
        TlsOptions::split_off(&mut text.parse().unwrap())
    }

    /// All the names are taken out of a spec, and no other.
    #[test]
    fn options_of_a_spec() {
        let text = "x?ca=/a&port=7&cert=/b&key=/c&tls=node-name&token_file=/d";
        let mut spec: Spec = text.parse().unwrap();
        let tls = TlsOptions::split_off(&mut spec).unwrap();
        assert_eq!(spec.options, [("port".to_owned(), "7".to_owned())]);
        let fetch = FetchOptions::new(ByteSize(1)).with(&tls).unwrap();
        assert_eq!(fetch.verification, Verification::NodeName);
        assert!(matches!(&fetch.authorities[..], [Pem::File(path)] if path == Path::new("/a")));
        assert!(fetch.client.is_some() && matches!(fetch.token, Some(TokenSource::File(_))));
        assert_eq!(options("x").unwrap(), TlsOptions::default());
        let error = options("x?tls=maybe").unwrap_err().to_string();
        assert!(error.contains("`verify`, `node-name`, `skip`"), "{error}");
    }

    #[test]
    fn options_that_do_not_go_together() {
        for (text, expected) in [
            ("x?cert=/a", "`cert` needs its `key`"),
            ("x?key=/a", "`key` needs its `cert`"),
            ("x?ca=/a&tls=skip", "`ca` is of no use"),
        ] {
            let tls = options(text).unwrap();
            let error = FetchOptions::new(ByteSize(1)).with(&tls).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let key = Pem::Text(Secret::from("PRIVATE".to_owned()));
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
