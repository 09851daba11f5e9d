//! Why there is no document, in words that a person can act on.

use std::io::{self, ErrorKind};

use heapster_shared::units::ByteSize;

use super::receive::Trouble;

/// Of the first line of a refusal no more is shown than this.
const REFUSAL_CHARS: usize = 200;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host refused, in HTTP.
    #[error("{url} answered {status}{text}{advice}")]
    Status {
        /// What was asked.
        url: String,
        /// The refusal.
        status: u16,
        /// ` ` and what the status means to the host, `: ` and the first line of the body, or
        /// nothing.
        text: String,
        /// `; ` and what to do about it, or nothing.
        advice: String,
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
    pub fn failed(url: &str, reason: impl Into<String>) -> Self {
        Self::Failed { url: url.to_owned(), reason: reason.into() }
    }

    pub(super) fn unreachable(url: &str, reason: impl Into<String>) -> Self {
        Self::Unreachable { url: url.to_owned(), reason: reason.into() }
    }

    /// The status of a refusal in HTTP.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the host answered that it does not know, or cannot do, what was asked; another
    /// version of its API may serve.
    #[must_use]
    pub fn is_not_served(&self) -> bool {
        matches!(self.status(), Some(400 | 404 | 405 | 410 | 500 | 501))
    }

    /// With what a source knows to do about a refusal with this status, as a clause; it is said
    /// after what the fetcher itself knows.
    #[must_use]
    pub fn with_advice(mut self, advise: impl FnOnce(u16) -> Option<String>) -> Self {
        if let Self::Status { status, advice, .. } = &mut self
            && let Some(more) = advise(*status)
        {
            advice.push_str("; ");
            advice.push_str(&more);
        }
        self
    }
}

/// What is known of a refusal in HTTP.
pub(in crate::source) struct Refusal<'a> {
    /// What was asked, for people.
    pub(in crate::source) url: &'a str,
    /// The path that was asked for.
    pub(in crate::source) path: &'a str,
    pub(in crate::source) status: u16,
    pub(in crate::source) reason: &'a str,
    pub(in crate::source) body: &'a [u8],
    /// What was sent to say who asks, for people.
    pub(in crate::source) sent: Option<&'a str>,
    /// It was asked by TLS.
    pub(in crate::source) secure: bool,
}

impl From<Refusal<'_>> for FetchError {
    fn from(refusal: Refusal<'_>) -> Self {
        let Refusal { url, path, status, reason, body, sent, secure } = refusal;
        let space = if reason.is_empty() { "" } else { " " };
        Self::Status {
            url: url.to_owned(),
            status,
            text: format!("{space}{reason}{}", first_line(body)),
            advice: credentials_advice(status, path, sent, secure),
        }
    }
}

/// `: ` and the first line of a text, cut, without control characters; empty when there is none.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.is_empty() {
        return String::new();
    }
    let shown: String = line.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS).collect();
    format!(": {shown}")
}

/// A failure of the machine or the network, in words.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "connection refused; nothing listens on that port".to_owned()
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "no route to the host".to_owned()
        }
        ErrorKind::TimedOut => "the connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

/// That a name has no address, in words.
pub(super) fn resolve_words(error: &io::Error) -> String {
    format!("the name of the host cannot be resolved: {error}")
}

/// What is wrong with an answer, in words.
pub(super) fn answer_words(trouble: &Trouble, limit: usize) -> String {
    let closed = || "it closed the connection".to_owned();
    let words = |error: &Option<io::Error>| error.as_ref().map_or_else(closed, io_words);
    let no_answer = "the host closed the connection or gave no HTTP answer";
    match trouble {
        Trouble::NoAnswer(error) => format!("{no_answer}: {}", words(error)),
        Trouble::NoHead(error) => format!("{no_answer}: in the head {}", words(error)),
        Trouble::BrokeOff(bytes, error) => {
            format!("the answer broke off after {bytes} bytes: {}", words(error))
        }
        Trouble::Invalid(what) => {
            format!("the host gave no HTTP answer that is safe to read: {what}")
        }
        Trouble::Encoded(encoding) => {
            format!("the answer is encoded as {encoding:?}, which was not asked for")
        }
        Trouble::TooLarge => {
            format!("the answer is larger than the limit of {}", ByteSize(limit as u64))
        }
    }
}

/// What to do about a refusal for who asks; `path` is what was asked for, `token` the name of what
/// was sent, and `secure` whether it was by TLS.
fn credentials_advice(status: u16, path: &str, sent: Option<&str>, secure: bool) -> String {
    match (status, sent) {
        (401, None) if secure => {
            "; it wants to know who asks: set token_file=FILE, or cert=FILE and key=FILE".to_owned()
        }
        (401, None) => {
            "; it wants to know who asks, and credentials are sent by TLS only: use https"
                .to_owned()
        }
        (401, Some(sent)) => format!(
            "; it does not accept {sent}: has it expired, or is it of another cluster? A kubelet accepts tokens only with webhook authentication turned on"
        ),
        (403, _) if secure => match resource(path) {
            Some(resource) => format!(
                "; whom it took us for may not read this: allow `get` on {resource} in a ClusterRole"
            ),
            None => "; whom it took us for may not read this".to_owned(),
        },
        _ => String::new(),
    }
}

/// The resource of Kubernetes that stands for a path of a kubelet, or of the API server in front.
fn resource(path: &str) -> Option<&'static str> {
    let begins = |start: &str| path.starts_with(start);
    if begins("/api/v1/nodes/") && path.contains("/proxy/") {
        return Some("nodes/proxy");
    }
    match () {
        () if begins("/stats/") => Some("nodes/stats"),
        () if begins("/metrics") => Some("nodes/metrics"),
        () if begins("/pods") || begins("/runningpods") => Some("nodes/proxy"),
        () => None,
    }
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

    #[test]
    fn what_a_role_must_allow() {
        let advice = |path| credentials_advice(403, path, Some("the token"), true);
        assert!(advice("/stats/summary").contains("`get` on nodes/stats"));
        assert!(advice("/metrics/cadvisor").contains("`get` on nodes/metrics"));
        assert!(advice("/api/v1/nodes/a/proxy/stats/summary").contains("`get` on nodes/proxy"));
        assert!(!advice("/api/v2.1/stats/").contains("nodes/"));
        assert_eq!(credentials_advice(404, "/stats/summary", None, true), "");
    }

    #[test]
    fn a_source_says_what_it_knows() {
        let status = |status| FetchError::Status {
            url: "http://h/".to_owned(),
            status,
            text: " Forbidden".to_owned(),
            advice: "; a".to_owned(),
        };
        let advise = |status| (status == 403).then(|| "b".to_owned());
        assert_eq!(
            status(403).with_advice(advise).to_string(),
            "http://h/ answered 403 Forbidden; a; b"
        );
        assert_eq!(
            status(500).with_advice(advise).to_string(),
            "http://h/ answered 500 Forbidden; a"
        );
    }
}
