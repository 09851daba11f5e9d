//! The options that say who may connect, and by what.

use std::path::PathBuf;

use clap::Args;
use heapster_shared::tls::KeyFiles;

/// Who may connect, and by what.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Who may connect")]
pub struct AccessArgs {
    /// The master's certificate, in PEM, for buddies and HTTP; `heapster cert new` makes one. It is
    /// taken over when it changes, and so are the other files here
    #[arg(long, alias = "tls_cert", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, alias = "tls_key", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// The authority that signs the certificates of buddies and people, in PEM; without --credentials
    /// each of them may speak for any cluster
    #[arg(long, alias = "tls_client_ca", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Who may connect, with what, and as what; `heapster token new` writes it
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Names in client certificates that may do everything by HTTP, separated by commas
    #[arg(long, alias = "allowed_users", hide_short_help = true, value_name = "NAMES")]
    pub allowed_users: Option<String>,
    /// Ask nobody who he is: whoever can connect may look at everything, and send what he likes
    #[arg(long)]
    pub anonymous: bool,
}

impl AccessArgs {
    /// The files of the master's certificate, where it has one.
    #[must_use]
    pub fn key_files(&self) -> Option<KeyFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(KeyFiles { certificate, key })
    }

    /// The names that may do everything by HTTP.
    #[must_use]
    pub fn allowed_users(&self) -> Vec<String> {
        let names = self.allowed_users.iter().flat_map(|names| names.split(','));
        names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Whether somebody who connects is asked who he is.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.credentials.is_some() || self.tls_client_ca.is_some()
    }

    /// Whether the options go together, with `insecure` for plain text and `http_for_all` where others
    /// than this machine reach HTTP.
    pub(super) fn check(&self, insecure: bool, http_for_all: bool) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together: give both, or neither".to_owned());
        }
        let tls = self.tls_cert.is_some();
        match (tls, insecure) {
            (true, true) => {
                return Err(
                    "--insecure is plain text and --tls-cert is TLS: leave one of them out"
                        .to_owned(),
                );
            }
            (false, false) => return Err(NOT_ENCRYPTED.to_owned()),
            _ => {}
        }
        if self.tls_client_ca.is_some() && !tls {
            return Err("--tls-client-ca is for TLS: give --tls-cert and --tls-key too".to_owned());
        }
        if self.allowed_users.is_some() && self.tls_client_ca.is_none() {
            return Err(
                "--allowed-users are names in client certificates: give --tls-client-ca too"
                    .to_owned(),
            );
        }
        if self.anonymous && self.asks() {
            return Err(
                "--anonymous asks nobody who he is: leave it out, or --credentials and --tls-client-ca"
                    .to_owned(),
            );
        }
        if self.asks() || self.anonymous {
            return Ok(());
        }
        if tls {
            return Err(format!("TLS alone keeps nobody out: {HOW_TO_ASK}"));
        }
        if http_for_all {
            return Err(format!("--listen is open to others than this machine: {HOW_TO_ASK}"));
        }
        Ok(())
    }
}

const NOT_ENCRYPTED: &str = "no certificate for TLS: make one with `heapster cert new DIR --host NAME` and give --tls-cert DIR/master.crt --tls-key DIR/master.key, or give --insecure to talk in plain text on a network that you trust";
const HOW_TO_ASK: &str = "say who may connect with --credentials FILE (`heapster token new` writes it) or --tls-client-ca FILE, or give --anonymous to let in whoever can connect";

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Option<PathBuf> {
        Some(PathBuf::from("f"))
    }

    fn encrypted() -> AccessArgs {
        AccessArgs { tls_cert: file(), tls_key: file(), ..AccessArgs::default() }
    }

    /// Nothing is open to others unless somebody said so in so many words.
    #[test]
    fn what_is_open_was_said_to_be() {
        let error = |args: &AccessArgs, insecure, all| args.check(insecure, all).unwrap_err();
        let none = AccessArgs::default();
        let said = error(&none, false, false);
        assert!(said.contains("heapster cert new") && said.contains("--insecure"), "{said}");
        assert_eq!(none.check(true, false), Ok(()));
        assert!(error(&none, true, true).contains("--anonymous"));
        assert!(error(&encrypted(), false, false).contains("TLS alone keeps nobody out"));
        for args in [
            AccessArgs { anonymous: true, ..encrypted() },
            AccessArgs { credentials: file(), ..encrypted() },
            AccessArgs { tls_client_ca: file(), ..encrypted() },
        ] {
            assert_eq!(args.check(false, true), Ok(()));
            assert!(error(&args, true, true).contains("leave one of them out"));
        }
        for args in [
            AccessArgs { anonymous: true, ..AccessArgs::default() },
            AccessArgs { credentials: file(), ..AccessArgs::default() },
        ] {
            assert_eq!(args.check(true, true), Ok(()));
        }
    }

    #[test]
    fn halves_and_contradictions_are_told() {
        let error = |args: AccessArgs, insecure| args.check(insecure, false).unwrap_err();
        let half = AccessArgs { tls_cert: file(), ..AccessArgs::default() };
        assert!(error(half, false).contains("go together"));
        let plain = AccessArgs { tls_client_ca: file(), ..AccessArgs::default() };
        assert!(error(plain, true).contains("--tls-client-ca is for TLS"));
        let both = AccessArgs { anonymous: true, credentials: file(), ..encrypted() };
        assert!(error(both, false).contains("--anonymous asks nobody"));
        let users = AccessArgs { allowed_users: Some("a, b,".to_owned()), ..encrypted() };
        assert_eq!(users.allowed_users(), ["a", "b"]);
        assert!(error(users, false).contains("give --tls-client-ca too"));
    }
}
