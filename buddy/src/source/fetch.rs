//! One HTTP fetch for all sources: connections kept alive, answers bounded in size, and each
//! failure told as a sentence that a person can act on.
//!
//! There is no timeout for the whole: the poller has a deadline, and dropping the future closes the
//! connection.
//!
//! This is hyper's client and not reqwest's: an idle connection keeps the buffer that it read its
//! last answer into, which by itself grows to a quarter of a megabyte a host, and only hyper's
//! client has the option that bounds it.

mod error;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use heapster_shared::units::ByteSize;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    header,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

pub(super) use error::FetchError;
use error::{first_line, innermost, no_answer};

/// Longer than this nobody waits for a TCP or TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the usual resolutions, so that a connection lives from poll to poll.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// What a connection keeps in memory; heads of answers have to fit.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Of the body of a refusal no more is read than this; its first line is shown.
const REFUSAL_BYTES: usize = 4096;

/// Fetches documents from many hosts.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    limit: usize,
}

impl Fetcher {
    /// A fetcher that takes answers of at most `limit` bytes, decompressed.
    ///
    /// # Errors
    /// A sentence, when TLS or the client cannot be set up.
    pub(super) fn new(limit: ByteSize) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .http1_read_buf_exact_size(READ_BUFFER_BYTES)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self { client, limit: limit.bytes() })
    }

    /// Gets a document.
    ///
    /// # Errors
    /// When there is no complete answer with status 200 and a text in UTF-8 within the limit.
    pub(super) async fn get(&self, url: &str) -> Result<String, FetchError> {
        self.fetch(url, Method::GET, "").await
    }

    /// Gets a document that is asked for with a JSON body.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub(super) async fn post(&self, url: &str, json: &'static str) -> Result<String, FetchError> {
        self.fetch(url, Method::POST, json).await
    }

    async fn fetch(
        &self,
        url: &str,
        method: Method,
        json: &'static str,
    ) -> Result<String, FetchError> {
        let request = request(url, method, json)?;
        let answer = self.client.request(request).await;
        let response = answer.map_err(|error| no_answer(url, &error, CONNECT_TIMEOUT))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(url, response).await);
        }
        if let Some(encoding) = response.headers().get(header::CONTENT_ENCODING) {
            let reason = format!("the answer is encoded as {encoding:?}, which was not asked for");
            return Err(FetchError::failed(url, reason));
        }
        let body = self.body(url, response.into_body()).await?;
        String::from_utf8(body).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            FetchError::failed(url, format!("the answer is no UTF-8 text, from byte {at} on"))
        })
    }

    /// The whole body, if it is within the limit; more than that is never read.
    async fn body(&self, url: &str, mut incoming: Incoming) -> Result<Vec<u8>, FetchError> {
        let too_large = || {
            let limit = ByteSize(self.limit as u64);
            FetchError::failed(url, format!("the answer is larger than the limit of {limit}"))
        };
        let declared = incoming.size_hint().exact().unwrap_or(0);
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        if declared > self.limit {
            return Err(too_large());
        }
        // What is declared is believed up to a mebibyte; room for more is made when it has come.
        let mut body = Vec::with_capacity(declared.min(1 << 20));
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| {
                let (reason, got) = (innermost(&error), body.len());
                FetchError::failed(url, format!("the answer broke off after {got} bytes: {reason}"))
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            if chunk.len() > self.limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn request(
    url: &str,
    method: Method,
    json: &'static str,
) -> Result<Request<Full<Bytes>>, FetchError> {
    let uri: Uri = url
        .parse()
        .map_err(|error| FetchError::failed(url, format!("no valid address: {error}")))?;
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::USER_AGENT, heapster_shared::SOFTWARE)
        .header(header::ACCEPT, "*/*")
        // Hosts are near, and CPU is dear.
        .header(header::ACCEPT_ENCODING, "identity");
    if !json.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(Bytes::from_static(json.as_bytes())));
    request.map_err(|error| FetchError::failed(url, format!("no valid address: {error}")))
}

fn tls_config() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))?;
    Ok(builder.with_root_certificates(crate::tls::system_roots()).with_no_client_auth())
}

async fn refusal(url: &str, response: Response<Incoming>) -> FetchError {
    let status = response.status();
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        let line = format!(" and sends on to {location}; name that address instead");
        return FetchError::Status { url: url.to_owned(), status, line };
    }
    let mut body = Vec::new();
    let mut incoming = response.into_body();
    while let Some(Ok(frame)) = incoming.frame().await {
        let Ok(chunk) = frame.into_data() else { continue };
        body.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_BYTES)]);
        if body.len() >= REFUSAL_BYTES {
            break;
        }
    }
    FetchError::Status { url: url.to_owned(), status, line: first_line(&body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that cannot be resolved is told from a host that is down.
    #[tokio::test]
    async fn an_unknown_host_is_said_to_be_unknown() {
        let fetcher = Fetcher::new(ByteSize::mib(1)).unwrap();
        let error = fetcher.get("http://no-such-host.invalid:1/").await.unwrap_err().to_string();
        assert!(error.contains("cannot be resolved"), "{error}");
    }
}
