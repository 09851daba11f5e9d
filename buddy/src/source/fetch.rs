//! One HTTP fetch for all sources: connections kept alive, answers bounded in size, and each
//! failure told as a sentence that a person can act on.
//!
//! There is no timeout for the whole: the poller has a deadline, and dropping the future closes the
//! connection.

use std::{error::Error, io::ErrorKind, sync::Arc, time::Duration};

use heapster_shared::units::ByteSize;
use reqwest::{Client, RequestBuilder, Response, StatusCode, header};

/// Longer than this nobody waits for a TCP or TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the usual resolutions, so that a connection lives from poll to poll.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// Of the body of a refusal no more is read than this; its first line is shown.
const REFUSAL_BYTES: usize = 4096;
/// Of that line no more is shown than this.
const REFUSAL_CHARS: usize = 200;

/// Fetches documents from many hosts.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client,
    limit: usize,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
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
    pub(super) fn failed(url: &str, reason: impl Into<String>) -> Self {
        Self::Failed { url: url.to_owned(), reason: reason.into() }
    }

    /// Whether the host answered that it does not know, or cannot do, what was asked; another
    /// version of its API may serve.
    pub(super) fn is_not_served(&self) -> bool {
        let Self::Status { status, .. } = self else { return false };
        matches!(status.as_u16(), 400 | 404 | 405 | 410 | 500 | 501)
    }
}

impl Fetcher {
    /// A fetcher that takes answers of at most `limit` bytes, decompressed.
    ///
    /// # Errors
    /// A sentence, when TLS or the client cannot be set up.
    pub(super) fn new(limit: ByteSize) -> Result<Self, String> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .user_agent(heapster_shared::SOFTWARE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(2)
            .build()
            .map_err(|error| format!("cannot set up the HTTP client: {}", innermost(&error)))?;
        Ok(Self { client, limit: limit.bytes() })
    }

    /// Gets a document.
    ///
    /// # Errors
    /// When there is no complete answer with status 200 and a text in UTF-8 within the limit.
    pub(super) async fn get(&self, url: &str) -> Result<String, FetchError> {
        self.fetch(url, self.client.get(url)).await
    }

    /// Gets a document that is asked for with a JSON body.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub(super) async fn post(&self, url: &str, json: &'static str) -> Result<String, FetchError> {
        let request = self.client.post(url).header(header::CONTENT_TYPE, "application/json");
        self.fetch(url, request.body(json)).await
    }

    async fn fetch(&self, url: &str, request: RequestBuilder) -> Result<String, FetchError> {
        // A compressed answer is understood, but not asked for: hosts are near, and CPU is dear.
        let request = request.header(header::ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| no_answer(url, &error))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(url, response).await);
        }
        let body = self.body(url, response).await?;
        String::from_utf8(body).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            FetchError::failed(url, format!("the answer is no UTF-8 text, from byte {at} on"))
        })
    }

    /// The whole body, if it is within the limit; more than that is never read.
    async fn body(&self, url: &str, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let too_large = || {
            let limit = ByteSize(self.limit as u64);
            FetchError::failed(url, format!("the answer is larger than the limit of {limit}"))
        };
        let declared = response.content_length().unwrap_or(0);
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        if declared > self.limit {
            return Err(too_large());
        }
        // What is declared is believed up to a mebibyte; room for more is made when it has come.
        let mut body = Vec::with_capacity(declared.min(1 << 20));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > self.limit - body.len() => return Err(too_large()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    let reason = innermost(&error);
                    let got = body.len();
                    let reason = format!("the answer broke off after {got} bytes: {reason}");
                    return Err(FetchError::failed(url, reason));
                }
            }
        }
    }
}

fn tls_config() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))?;
    Ok(builder.with_root_certificates(crate::tls::system_roots()).with_no_client_auth())
}

async fn refusal(url: &str, mut response: Response) -> FetchError {
    let status = response.status();
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        let line = format!(" and sends on to {location}; name that address instead");
        return FetchError::Status { url: url.to_owned(), status, line };
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_BYTES)]);
        if body.len() >= REFUSAL_BYTES {
            break;
        }
    }
    FetchError::Status { url: url.to_owned(), status, line: first_line(&body) }
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

/// Why no answer came at all, in words.
fn no_answer(url: &str, error: &reqwest::Error) -> FetchError {
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
        _ if error.is_timeout() && error.is_connect() => {
            format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())
        }
        Some(ErrorKind::TimedOut) => "the connection timed out".to_owned(),
        _ if causes(error).any(|cause| cause.to_string().contains("dns error")) => {
            format!("the name of the host cannot be resolved: {inner}")
        }
        _ if causes(error).any(|cause| cause.is::<rustls::Error>()) => {
            format!("no TLS connection: {inner}")
        }
        _ if error.is_builder() => format!("no valid address: {inner}"),
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
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The cause at the bottom: those above it only say that something failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
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

    /// A name that cannot be resolved is told from a host that is down.
    #[tokio::test]
    async fn an_unknown_host_is_said_to_be_unknown() {
        let fetcher = Fetcher::new(ByteSize::mib(1)).unwrap();
        let error = fetcher.get("http://no-such-host.invalid:1/").await.unwrap_err().to_string();
        assert!(error.contains("cannot be resolved"), "{error}");
    }
}
