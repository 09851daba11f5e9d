//! What went wrong with TLS to a master, and what to set.

use std::{error::Error as StdError, io, path::Path};

use rustls::{AlertDescription, CertificateError, Error};

/// Of the names in a certificate no more are shown than this.
const NAMES_SHOWN: usize = 5;

/// What was expected of the master.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `HOST:PORT`.
    pub at: &'a str,
    /// For whom the certificate must be.
    pub name: &'a str,
    /// The file of the authorities; none when they are the machine's.
    pub authorities: Option<&'a Path>,
    /// The file of our own certificate.
    pub client: Option<&'a Path>,
}

/// The error of TLS in the causes of another one, where there is one.
#[must_use]
pub fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // What an I/O error is made of is not among its sources.
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match within {
        Some(within) => tls_error(within),
        None => tls_error(error.source()?),
    }
}

impl Expected<'_> {
    /// One sentence: what is wrong, and what to set.
    #[must_use]
    pub fn explain(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(error) => self.explain_certificate(error),
            Error::AlertReceived(alert) => self.explain_alert(*alert),
            Error::InvalidMessage(_) => format!(
                "what answers at {} does not speak TLS: a master that runs with --insecure is --master http://{} with --insecure",
                self.at, self.at
            ),
            Error::PeerIncompatible(_) => {
                format!("{} speaks another kind of TLS ({error}): is it a master?", self.at)
            }
            other => other.to_string(),
        }
    }

    fn explain_certificate(&self, error: &CertificateError) -> String {
        let certificate = format!("the certificate of the master at {}", self.at);
        match error {
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = match presented.as_slice() {
                    [] => "no name at all".to_owned(),
                    presented => names(presented),
                };
                let name = self.name;
                format!(
                    "{certificate} is for {names}, not for {name}: connect to a name that it has, or say with --master-name which one it must have"
                )
            }
            CertificateError::NotValidForName => format!(
                "{certificate} is not for {}: say with --master-name which name it must have",
                self.name
            ),
            // An authority that was made anew under its old name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                match self.authorities {
                    None => format!(
                        "{certificate} is signed by an authority that this machine does not know: give that authority's certificate with --master-ca FILE; `heapster cert new` writes it to ca.crt"
                    ),
                    Some(file) => format!(
                        "{certificate} is not signed by the authority in {}: give the one that signed it with --master-ca FILE; `heapster cert new` writes it to ca.crt",
                        file.display()
                    ),
                }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "{certificate} has expired, or the clock here is wrong: have the master given a new one, see `heapster cert new --help` ({error})"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("{certificate} is not valid yet: is the clock here wrong? ({error})")
            }
            other => format!("{certificate} is not accepted: {other}"),
        }
    }

    fn explain_alert(&self, alert: AlertDescription) -> String {
        let about_us = is_about_client(alert) || alert == AlertDescription::DecryptError;
        match self.client {
            _ if !about_us => format!("{} broke it off ({alert:?})", self.at),
            None => {
                format!("{} wants a client certificate: give --cert FILE and --key FILE", self.at)
            }
            Some(file) => format!(
                "{} does not accept the client certificate {} ({alert:?}): give another with --cert FILE and --key FILE",
                self.at,
                file.display()
            ),
        }
    }
}

/// Whether a server means by this alert that it wants a client certificate, or another one.
#[must_use]
pub const fn is_about_client(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::NoCertificate
    )
}

/// The names as rustls gives them, such as `DnsName("node-a")` or `IpAddress(10.0.0.7)`.
#[must_use]
pub fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let mut shown: Vec<String> = presented.iter().take(NAMES_SHOWN).map(plain).collect();
    if presented.len() > NAMES_SHOWN {
        shown.push(format!("{} others", presented.len() - NAMES_SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    fn expected() -> Expected<'static> {
        Expected { at: "h:8085", name: "h", authorities: None, client: None }
    }

    #[test]
    fn each_mistake_has_its_own_advice() {
        let wrong = |error| Error::InvalidCertificate(error);
        let name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("h").unwrap().to_owned(),
            presented: vec!["DnsName(\"a\")".into(), "IpAddress(10.0.0.7)".into()],
        };
        let said = expected().explain(&wrong(name));
        assert!(said.contains("is for a, 10.0.0.7, not for h: ") && said.contains("--master-name"));
        let unknown = wrong(CertificateError::UnknownIssuer);
        assert!(expected().explain(&unknown).contains("does not know: give that authority"));
        let file = Some(Path::new("other.crt"));
        let said = Expected { authorities: file, ..expected() }.explain(&unknown);
        assert!(said.contains("not signed by the authority in other.crt"), "{said}");
        assert!(expected().explain(&wrong(CertificateError::Expired)).contains("has expired"));
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert!(expected().explain(&alert).contains("give --cert FILE and --key FILE"));
        let ours = Expected { client: Some(Path::new("me.crt")), ..expected() };
        assert!(ours.explain(&alert).contains("does not accept the client certificate me.crt"));
    }

    #[test]
    fn the_error_is_found_within_others() {
        let inner = Error::InvalidCertificate(CertificateError::Expired);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert!(tls_error(&outer).is_some());
        assert!(tls_error(&io::Error::other("x")).is_none());
    }
}
