//! What went wrong with TLS, and what to set.

use heapster_shared::tls::{is_about_client, names};
use rustls::{AlertDescription, CertificateError, Error};

use super::options::Verification;

const NO_CHECK: &str = "or set tls=skip to not check at all";

/// What was expected of a host.
pub(super) struct Expected<'a> {
    /// `host:port`.
    pub(super) at: &'a str,
    /// For whom the certificate must be.
    pub(super) name: &'a str,
    pub(super) verification: Verification,
    /// The names of the authorities; empty when they are the machine's.
    pub(super) authorities: &'a str,
    /// The name of our own certificate.
    pub(super) client: Option<&'a str>,
}

impl Expected<'_> {
    /// One sentence: what is wrong, and what to set.
    pub(super) fn explain(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(error) => self.explain_certificate(error),
            Error::AlertReceived(alert) => self.explain_alert(*alert),
            Error::InvalidMessage(_) => {
                format!("{} speaks no TLS; is the scheme http? ({error})", self.at)
            }
            other => other.to_string(),
        }
    }

    fn explain_certificate(&self, error: &CertificateError) -> String {
        let certificate = format!("the certificate of {}", self.at);
        match error {
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!(
                    "{certificate} names no host at all, so it cannot be verified; give the host one that has alternative names, {NO_CHECK}"
                )
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let (names, name) = (names(presented), self.name);
                format!(
                    "{certificate} is valid for {names}, not for {name}; {}",
                    self.name_advice()
                )
            }
            CertificateError::NotValidForName => {
                format!("{certificate} is not valid for {}; {}", self.name, self.name_advice())
            }
            CertificateError::UnknownIssuer if self.authorities.is_empty() => {
                format!(
                    "{certificate} is signed by an unknown authority; name the cluster's CA with ca=FILE, {NO_CHECK}"
                )
            }
            // An authority that was made anew under its old name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!(
                    "{certificate} is not signed by the authority in {}; name the right one with ca=FILE, {NO_CHECK}",
                    self.authorities()
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!(
                    "{certificate} has expired, or the clock of one side is wrong; let the host renew it, {NO_CHECK} ({error})"
                )
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("{certificate} is not valid yet; is the clock of one side wrong? ({error})")
            }
            other => {
                format!("{certificate} is not accepted: {other}; give the host another, {NO_CHECK}")
            }
        }
    }

    fn authorities(&self) -> &str {
        if self.authorities.is_empty() { "this machine's list" } else { self.authorities }
    }

    fn name_advice(&self) -> String {
        match self.verification {
            Verification::NodeName => {
                format!(
                    "is the node's name right? Set tls=verify to verify its address instead, {NO_CHECK}"
                )
            }
            _ => format!("set tls=node-name if that is the name of the node, {NO_CHECK}"),
        }
    }

    fn explain_alert(&self, alert: AlertDescription) -> String {
        let about_us = is_about_client(alert);
        match self.client {
            None if about_us => {
                format!("{} demands a client certificate; set cert=FILE and key=FILE", self.at)
            }
            // A certificate whose signature does not fit the authority of that name.
            Some(client) if about_us || alert == AlertDescription::DecryptError => {
                format!(
                    "{} does not accept the client certificate {client} ({alert:?}); name one of an authority that it trusts with cert=FILE and key=FILE",
                    self.at
                )
            }
            _ => format!("{} broke it off ({alert:?})", self.at),
        }
    }
}
