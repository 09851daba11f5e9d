//! The options of a connection: certificates, a user, a token.

use std::path::{Path, PathBuf};

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
};
use serde::{Deserialize, de::DeserializeOwned};

/// Whom a sink trusts, and as whom it appears.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::sinks) struct PeerOptions {
    /// File with the certificates, in PEM, of the authorities that may have signed the peer's.
    /// Default those that this machine trusts.
    pub(in crate::sinks) ca: Option<PathBuf>,
    /// File with the client certificate, in PEM. Default none.
    pub(in crate::sinks) cert: Option<PathBuf>,
    /// File with the key to `cert`, in PEM. Default none.
    pub(in crate::sinks) key: Option<PathBuf>,
    /// `verify`, or `skip` to accept any certificate. Default `verify`.
    pub(in crate::sinks) tls: Verification,
    /// User to log in as; `username` is the same. Default none.
    #[serde(alias = "username")]
    pub(in crate::sinks) user: String,
    /// The user's password; `pw` is the same. Default none.
    #[serde(alias = "pw")]
    pub(in crate::sinks) password: Secret,
    /// File with the password instead; it is read again before each attempt to log in.
    /// Default none.
    pub(in crate::sinks) password_file: Option<PathBuf>,
    /// Token instead of a user. Default none.
    pub(in crate::sinks) token: Secret,
    /// File with the token instead; it is read again before each attempt to log in.
    /// Default none.
    pub(in crate::sinks) token_file: Option<PathBuf>,
}

/// Whether the peer's certificate is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::sinks) enum Verification {
    /// It has to be signed by an authority that is trusted, for the name that is connected to.
    #[default]
    Verify,
    /// Any will do.
    Skip,
}

/// As whom a sink appears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::sinks) enum Credentials {
    /// As nobody.
    None,
    /// With a password.
    Password {
        /// The user.
        user: String,
        /// The user's password.
        password: Secret,
    },
    /// With a token.
    Token(Secret),
}

impl PeerOptions {
    /// The names of the options.
    const NAMES: [&'static str; 9] =
        ["ca", "cert", "key", "tls", "user", "password", "password_file", "token", "token_file"];
    /// Other names that some of them have had.
    const ALIASES: [&'static str; 2] = ["username", "pw"];

    /// Takes the options of the connection out of a spec, checks that they go together, and reads
    /// those that are left as `T`.
    ///
    /// # Errors
    /// When one is unknown or wrong.
    pub(in crate::sinks) fn take<T: DeserializeOwned>(
        spec: &mut Spec,
    ) -> Result<(Self, T), SpecError> {
        let names = [&Self::NAMES[..], &Self::ALIASES].concat();
        let options: Self = spec.split_off(&names).options()?;
        options.check().map_err(|message| SpecError(format!("{}: {message}", spec.kind)))?;
        let own = spec.options().map_err(|SpecError(error)| {
            if !error.contains("unknown option") {
                return SpecError(error);
            }
            let names = Self::NAMES.join("`, `");
            SpecError(format!("{error}; or, of the connection, `{names}`"))
        })?;
        Ok((options, own))
    }

    fn check(&self) -> Result<(), String> {
        if self.cert.is_some() != self.key.is_some() {
            return Err("`cert` and `key` go together".to_owned());
        }
        if self.tls == Verification::Skip && self.ca.is_some() {
            return Err("`ca` is of no use with `tls=skip`: leave one of them away".to_owned());
        }
        let passwords =
            usize::from(!self.password.is_empty()) + usize::from(self.password_file.is_some());
        if passwords > 1 {
            return Err("give `password` or `password_file`, not both".to_owned());
        }
        if passwords == 1 && self.user.is_empty() {
            return Err("a password needs `user`".to_owned());
        }
        let tokens = usize::from(!self.token.is_empty()) + usize::from(self.token_file.is_some());
        if tokens > 1 {
            return Err("give `token` or `token_file`, not both".to_owned());
        }
        if tokens == 1 && !self.user.is_empty() {
            return Err("give a token or a user, not both".to_owned());
        }
        Ok(())
    }

    /// As whom to appear, with the secrets that the files have now.
    ///
    /// # Errors
    /// A sentence, when a file cannot be read.
    pub(in crate::sinks) fn credentials(&self) -> Result<Credentials, String> {
        if let Some(path) = &self.token_file {
            return Ok(Credentials::Token(secret("token_file", path)?));
        }
        if !self.token.is_empty() {
            return Ok(Credentials::Token(self.token.clone()));
        }
        if self.user.is_empty() {
            return Ok(Credentials::None);
        }
        let password = match &self.password_file {
            Some(path) => secret("password_file", path)?,
            None => self.password.clone(),
        };
        Ok(Credentials::Password { user: self.user.clone(), password })
    }

    /// Whether they say something that has a meaning for TLS alone.
    pub(in crate::sinks) fn asks_for_tls(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.tls == Verification::Skip
    }

    /// Whether they name a token.
    pub(in crate::sinks) const fn has_token(&self) -> bool {
        self.token_file.is_some() || !self.token.is_empty()
    }

    /// What they name to appear as, for messages.
    pub(in crate::sinks) fn account(&self) -> String {
        if self.has_token() {
            "the token".to_owned()
        } else if self.user.is_empty() {
            "writes without an account".to_owned()
        } else {
            format!("user `{}`", self.user)
        }
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        #[serde(default)]
        index: String,
    }

    fn take(text: &str) -> Result<(PeerOptions, Own), String> {
        PeerOptions::take(&mut text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let (options, own) = take("x:y?index=a&ca=/c&user=u&pw=hunter2").unwrap();
        assert_eq!((own.index.as_str(), options.ca), ("a", Some("/c".into())));
        for (text, expected) in [
            ("x?cert=/a", "`cert` and `key` go together"),
            ("x?ca=/a&tls=skip", "`ca` is of no use"),
            ("x?pw=a", "a password needs `user`"),
            ("x?user=u&pw=a&password_file=/b", "not both"),
            ("x?token=a&token_file=/b", "not both"),
            ("x?token=a&user=u", "a token or a user"),
            ("x?tls=maybe", "unknown variant `maybe`"),
            ("x?nonsense=/a", "expected `index`; or, of the connection, `ca`, `cert`"),
        ] {
            let error = take(text).unwrap_err();
            assert!(error.starts_with("x: ") && error.contains(expected), "{text}: {error}");
        }
    }

    /// Files are read when their secret is needed, so that it can be changed.
    #[test]
    fn secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let (options, _) = take(&format!("x?user=u&password_file={}", file.display())).unwrap();
        assert!(options.credentials().unwrap_err().contains("No such file"));
        std::fs::write(&file, "\n").unwrap();
        assert!(options.credentials().unwrap_err().contains("is empty"));
        for secret in ["one", "two"] {
            std::fs::write(&file, format!("{secret}\n")).unwrap();
            let password = Secret::from(secret.to_owned());
            let expected = Credentials::Password { user: "u".to_owned(), password };
            assert_eq!(options.credentials(), Ok(expected));
        }
        let (options, _) = take(&format!("x?token_file={}", file.display())).unwrap();
        assert_eq!(options.credentials(), Ok(Credentials::Token("two".to_owned().into())));
        assert_eq!(options.account(), "the token");
    }
}
