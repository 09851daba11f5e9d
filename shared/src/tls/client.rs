//! What a client needs to connect to a master by TLS: options, and what their files say.

use std::{fmt, path::PathBuf};

use clap::Args;
use rustls::{RootCertStore, pki_types::ServerName};

use super::{KeyFiles, KeyText, certificates, pem, system_roots};
use crate::access::Token;

/// Whom to believe to be the master, and as whom to appear.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct ClientTls {
    /// Certificates, in PEM, of the authorities that may have signed the master's [default: those
    /// that this machine trusts]
    #[arg(long, value_name = "FILE")]
    pub master_ca: Option<PathBuf>,
    /// The name that the master's certificate must have [default: the host in the URL]
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub master_name: Option<String>,
    /// A client certificate, in PEM, that says who connects
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A file with the token that says who connects
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// What the files said when they were read.
#[derive(Clone)]
pub struct MasterIdentity {
    /// Whom to believe.
    pub roots: RootCertStore,
    /// The client certificate and its key, in PEM.
    pub client: Option<KeyText>,
    /// The token.
    pub token: Option<Token>,
}

impl fmt::Debug for MasterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterIdentity").finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Whether the options go together; `encrypted` is whether TLS is spoken.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(&self, encrypted: bool) -> Result<(), String> {
        if self.cert.is_some() != self.key.is_some() {
            return Err("--cert and --key go together: give both, or neither".to_owned());
        }
        let tls = [
            (self.master_ca.is_some(), "--master-ca"),
            (self.master_name.is_some(), "--master-name"),
            (self.cert.is_some(), "--cert"),
        ];
        if let Some((_, option)) = tls.iter().find(|(given, _)| *given && !encrypted) {
            return Err(format!("{option} is for TLS: write https:// for the master"));
        }
        if let Some(name) = &self.master_name
            && ServerName::try_from(name.as_str()).is_err()
        {
            return Err(format!("--master-name {name}: no certificate can have such a name"));
        }
        Ok(())
    }

    /// Reads the files; without TLS (`encrypted`) nobody has to be believed.
    ///
    /// # Errors
    /// A sentence with the path.
    pub fn read(&self, encrypted: bool) -> Result<MasterIdentity, String> {
        let roots = match &self.master_ca {
            None if encrypted => system_roots(),
            None => RootCertStore::empty(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, &pem::read(path)?)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| pem::cannot_be_used(path, &error))?;
                }
                roots
            }
        };
        Ok(MasterIdentity { roots, client: self.client()?, token: self.token()? })
    }

    fn client(&self) -> Result<Option<KeyText>, String> {
        let (Some(certificate), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        let files = KeyFiles { certificate: certificate.clone(), key: key.clone() };
        let text = files.read()?;
        files.parse(&text)?;
        Ok(Some(text))
    }

    /// The token in its file.
    ///
    /// # Errors
    /// A sentence with the path.
    pub fn token(&self) -> Result<Option<Token>, String> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = pem::read(path)?;
        let wrong = |what| format!("the token in {} {what}", path.display());
        let text = std::str::from_utf8(&text);
        let text = text.map_err(|_| wrong("has a character that no token has"))?;
        Token::new(text).map(Some).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_told() {
        let given = || Some(PathBuf::from("f"));
        let half = ClientTls { cert: given(), ..ClientTls::default() };
        assert!(half.check(true).unwrap_err().contains("--cert and --key go together"));
        let plain = ClientTls { master_ca: given(), ..ClientTls::default() };
        assert!(plain.check(false).unwrap_err().contains("--master-ca is for TLS"));
        let name = ClientTls { master_name: Some("a b".to_owned()), ..ClientTls::default() };
        assert!(name.check(true).unwrap_err().contains("--master-name a b"));
        let token = ClientTls { token_file: given(), ..ClientTls::default() };
        assert_eq!(token.check(false), Ok(()));
        assert!(token.read(false).unwrap_err().contains("cannot read f"));
    }

    /// What is in the file is not said.
    #[test]
    fn a_token_that_is_none_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options =
            ClientTls { token_file: Some(file.path().to_owned()), ..ClientTls::default() };
        assert!(options.token().unwrap_err().contains("is empty"));
        for bytes in [b"hunter2 hunter3".as_slice(), b"hunter2\xff"] {
            std::fs::write(file.path(), bytes).unwrap();
            let error = options.token().unwrap_err();
            assert!(error.contains("no token has") && !error.contains("hunter"), "{error}");
        }
    }
}
