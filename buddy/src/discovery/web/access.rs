//! How an API lets a discovery in: certificates, a user, a token.

use std::path::{Path, PathBuf};

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
    units::ByteSize,
};
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};

use super::endpoint::Endpoint;
use crate::source::fetch::{FetchOptions, TlsOptions, client_config};

/// The options of the connection, taken out of a spec before those that a discovery has for itself.
#[derive(Deserialize, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub(in crate::discovery) struct Options {
    /// File with the certificates, in PEM, of the authorities that sign for `https` endpoints.
    /// Default: the authorities that this machine trusts.
    pub(in crate::discovery) ca: Option<PathBuf>,
    /// File with the client certificate, in PEM. Default: none is shown.
    pub(in crate::discovery) cert: Option<PathBuf>,
    /// File with the key to `cert`, in PEM.
    pub(in crate::discovery) key: Option<PathBuf>,
    /// User to log in as. Default: none.
    #[serde(default)]
    pub(in crate::discovery) username: String,
    /// File with the user's password; it is read again when a login failed.
    pub(in crate::discovery) password_file: Option<PathBuf>,
}

/// How an API lets a discovery in.
#[derive(Clone, Default, Debug)]
pub(in crate::discovery) struct Access {
    /// As the user has them.
    pub(in crate::discovery) options: Options,
    /// A token, where the API has such.
    token: Option<Token>,
}

/// A token in a file, and how it is sent.
#[derive(Clone, Debug)]
struct Token {
    header: HeaderName,
    /// What stands before the token.
    prefix: &'static str,
    file: PathBuf,
}

impl Access {
    /// The names of the options.
    const NAMES: [&'static str; 5] = ["ca", "cert", "key", "username", "password_file"];

    /// Takes the options of the connection out of a spec, and reads those that are left as `T`.
    ///
    /// # Errors
    /// When one is unknown or wrong.
    pub(in crate::discovery) fn take<T: DeserializeOwned>(
        spec: &mut Spec,
    ) -> Result<(Self, T), SpecError> {
        let options = spec.split_off(&Self::NAMES).options()?;
        let own = spec.options().map_err(|SpecError(error)| {
            if !error.contains("unknown option") {
                return SpecError(error);
            }
            let names = Self::NAMES.join("`, `");
            SpecError(format!("{error}; or, of the connection, `{names}`"))
        })?;
        Ok((Self { options, token: None }, own))
    }

    /// With a token, where a file is named.
    pub(in crate::discovery) fn with_token(
        mut self,
        header: &'static str,
        prefix: &'static str,
        file: Option<PathBuf>,
    ) -> Self {
        let header = HeaderName::from_static(header);
        self.token = file.map(|file| Token { header, prefix, file });
        self
    }

    /// Checks that the options go together and with the endpoints.
    ///
    /// # Errors
    /// A sentence for their author.
    pub(in crate::discovery) fn check(&self, endpoints: &[Endpoint]) -> Result<(), String> {
        if self.options.cert.is_some() != self.options.key.is_some() {
            return Err("`cert` and `key` go together".to_owned());
        }
        if self.names_certificates() && !endpoints.iter().any(Endpoint::is_tls) {
            return Err("`ca`, `cert` and `key` are for endpoints with https".to_owned());
        }
        if self.options.username.is_empty() != self.options.password_file.is_none() {
            return Err("`username` and `password_file` go together".to_owned());
        }
        if self.token.is_some() && !self.options.username.is_empty() {
            return Err("give a token or a user, not both".to_owned());
        }
        Ok(())
    }

    /// Whether there are files that only TLS needs.
    pub(in crate::discovery) const fn names_certificates(&self) -> bool {
        self.options.ca.is_some() || self.options.cert.is_some()
    }

    /// The user and the password, as its file is now.
    ///
    /// # Errors
    /// A sentence, when the file cannot be read.
    pub(in crate::discovery) fn login(&self) -> Result<Option<(String, Secret)>, String> {
        let Some(path) = &self.options.password_file else { return Ok(None) };
        Ok(Some((self.options.username.clone(), secret("password_file", path)?)))
    }

    /// The header with the token, as its file is now.
    pub(super) fn token_header(&self) -> Result<Option<(HeaderName, HeaderValue)>, String> {
        let Some(Token { header, prefix, file }) = &self.token else { return Ok(None) };
        let text = secret("token_file", file)?;
        let value = HeaderValue::from_str(&format!("{prefix}{}", text.expose()));
        let mut value =
            value.map_err(|_| format!("what `token_file` {} has is no token", file.display()))?;
        value.set_sensitive(true);
        Ok(Some((header.clone(), value)))
    }

    /// TLS, as the files are now; without any trust for an endpoint that speaks none.
    pub(super) fn tls(&self, endpoint: &Endpoint) -> Result<rustls::ClientConfig, String> {
        if !endpoint.is_tls() {
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| format!("cannot set up TLS: {error}"))?;
            let roots = rustls::RootCertStore::empty();
            return Ok(config.with_root_certificates(roots).with_no_client_auth());
        }
        let files = TlsOptions {
            ca: self.options.ca.clone(),
            cert: self.options.cert.clone(),
            key: self.options.key.clone(),
            ..TlsOptions::default()
        };
        client_config(&FetchOptions::new(ByteSize(0)).with(&files)?)
    }
}

/// The first line of a file that an option names.
fn secret(option: &str, path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("`{option}` {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(format!("`{option}` {} is empty", path.display()));
    }
    Ok(Secret::from(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Own {
        #[serde(default)]
        prefix: String,
    }

    fn checked(text: &str, endpoint: &str) -> Result<(Access, Own), String> {
        let mut spec: Spec = text.parse().unwrap();
        let (access, own) = Access::take(&mut spec).map_err(|error| error.to_string())?;
        let ports = super::super::endpoint::Ports::both(&[]);
        access.check(&super::super::endpoints(endpoint, "", ports).unwrap())?;
        Ok((access, own))
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let (access, own) = checked("x?prefix=/p&ca=/c", "https://a").unwrap();
        assert_eq!((own.prefix.as_str(), access.options.ca), ("/p", Some("/c".into())));
        for (text, expected) in [
            ("x?cert=/a", "go together"),
            ("x?ca=/a", "for endpoints with https"),
            ("x?username=a", "go together"),
            ("x?password_file=/a", "go together"),
            ("x?nonsense=/a", "expected `prefix`; or, of the connection, `ca`, `cert`"),
        ] {
            let error = checked(text, "http://a").unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// What is in the files is read when it is needed, and never shown.
    #[test]
    fn secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let text = format!("x?username=u&password_file={}", file.display());
        let (access, _) = checked(&text, "http://a").unwrap();
        assert!(access.login().unwrap_err().contains("No such file"));
        std::fs::write(&file, "\n").unwrap();
        assert!(access.login().unwrap_err().contains("is empty"));
        std::fs::write(&file, "sesame\n").unwrap();
        assert_eq!(access.login().unwrap().unwrap().1.expose(), "sesame");
        let access = access.with_token("x-token", "Bearer ", Some(file.clone()));
        let (name, value) = access.token_header().unwrap().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-token", &b"Bearer sesame"[..]));
        assert!(!format!("{value:?}").contains("sesame"));
        std::fs::write(&file, "a\u{1}b").unwrap();
        let error = access.token_header().unwrap_err();
        assert!(error.ends_with("is no token") && !error.contains('\u{1}'), "{error}");
    }
}
