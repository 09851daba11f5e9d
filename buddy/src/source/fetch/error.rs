//! Why there is no document, in words that a person can act on.

use std::{error::Error as StdError, io::ErrorKind, time::Duration};

use hyper::StatusCode;
use hyper_util::client::legacy::Error;

/// Of the first line of a refusal no more is shown than this.
const REFUSAL_CHARS: usize = 200;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(in crate::source) enum FetchError {
    /// The host refused, in HTTP.
    #[error("{url} answered {status}{line}")]
    Status {
        /// What was asked.
        url: String,
        /// The refusal.
        status: StatusCode,
        /// `: ` and the first line of the body, or nothing.
        line: String,
    },
    /// There is no connection; another address of the host may serve.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// There was no answer, or no complete and valid one.
    #[error("{url}: {reason}")]
    Failed {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

impl FetchError {
    /// An answer that is of no use.
    pub(in crate::source) fn failed(url: &str, reason: impl Into<String>) -> Self {
        Self::Failed { url: url.to_owned(), reason: reason.into() }
    }

    /// Whether the host answered that it does not know, or cannot do, what was asked; another
    /// version of its API may serve.
    pub(in crate::source) fn is_not_served(&self) -> bool {
        let Self::Status { status, .. } = self else { return false };
        matches!(status.as_u16(), 400 | 404 | 405 | 410 | 500 | 501)
    }
}

/// `: ` and the first line of a text, cut, without control characters; empty when there is none.
pub(super) fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.is_empty() {
        return String::new();
    }
    let shown: String = line.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS).collect();
    format!(": {shown}")
}

/// Why no answer came at all, in words.
pub(super) fn no_answer(url: &str, error: &Error, connect_timeout: Duration) -> FetchError {
    let io_kind = causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind))
        .find(|kind| *kind != ErrorKind::Other);
    let inner = innermost(error);
    let reason = match io_kind {
        Some(ErrorKind::ConnectionRefused) => {
            "connection refused; nothing listens on that port".to_owned()
        }
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            "no route to the host".to_owned()
        }
        Some(ErrorKind::TimedOut) if error.is_connect() => {
            format!("no connection within {} s", connect_timeout.as_secs())
        }
        Some(ErrorKind::TimedOut) => "the connection timed out".to_owned(),
        _ if causes(error).any(|cause| cause.to_string().contains("dns error")) => {
            format!("the name of the host cannot be resolved: {inner}")
        }
        _ if causes(error).any(|cause| cause.is::<rustls::Error>()) => {
            format!("no TLS connection: {inner}")
        }
        _ if error.is_connect() => format!("no connection: {inner}"),
        _ => format!("the host closed the connection or gave no HTTP answer: {inner}"),
    };
    if error.is_connect() {
        return FetchError::Unreachable { url: url.to_owned(), reason };
    }
    FetchError::failed(url, reason)
}

/// The error, its cause, and so on down. What is wrapped in an I/O error counts as its cause,
/// although the standard library skips it: that is where rustls is found.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The cause at the bottom: those above it only say that something failed.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_its_first_line_only() {
        assert_eq!(first_line(b"\n unknown container \"/x\"\nmore"), ": unknown container \"/x\"");
        assert_eq!(first_line(b""), "");
        assert_eq!(first_line("é".repeat(500).as_bytes()).chars().count(), 202);
        assert_eq!(first_line(b"a\x1b[31mb\xff"), ": a[31mb\u{fffd}");
    }
}
