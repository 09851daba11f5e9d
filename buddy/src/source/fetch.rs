//! One HTTP/1.1 fetch for all sources: connections kept alive, answers bounded in size, and each
//! failure told as a sentence that a person can act on.
//!
//! A fetch is one future and no task: it writes a request, waits without a buffer until the host
//! answers, and reads the answer in as few reads as the kernel allows into a buffer that the next
//! answer gets too. A waiting connection is a socket and nothing else. Why not hyper: ADR 5.
//!
//! There is no timeout for the whole: the poller has a deadline, and dropping the future closes the
//! connection. Only a connection whose answer was read to its end waits for the next poll.
//!
//! Every request only reads, so one whose kept connection turns out to be closed is sent once more.

mod address;
mod body;
mod chunked;
mod connect;
#[doc(hidden)]
pub mod door;
mod error;
mod head;
mod idle;
mod options;
mod receive;
mod stream;
mod tls_words;
mod trust;

use std::{borrow::Cow, fmt::Write, sync::Arc, time::Duration};

use tokio::io::AsyncWriteExt;

pub(super) use self::error::Refusal;
pub(crate) use self::trust::client_config;
use self::{
    address::Address,
    body::Buffers,
    connect::connect,
    error::answer_words,
    head::{Framing, Head},
    idle::Idle,
    receive::{Trouble, read_body, read_head},
    stream::Stream,
    trust::{Peer, Trust},
};
pub use self::{
    address::node_proxy_base,
    body::Body,
    error::FetchError,
    options::{ClientCertificate, FetchOptions, Pem, TlsOptions, TokenSource, Verification},
};
use crate::token::{self, Token};

/// Of the body of a refusal no more is read than this; its first line is shown.
pub(super) const REFUSAL_BYTES: usize = 64 << 10;
/// For the body of a refusal nobody waits longer: the status says the most.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What to ask a host for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    url: &'a str,
    json: Option<&'a str>,
    node: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// The document at an address.
    #[must_use]
    pub const fn get(url: &'a str) -> Self {
        Self { url, json: None, node: None }
    }

    /// The document that an address gives for this one in JSON.
    #[must_use]
    pub const fn post(url: &'a str, json: &'a str) -> Self {
        Self { url, json: Some(json), node: None }
    }

    /// What is asked for.
    pub(super) const fn url(&self) -> &'a str {
        self.url
    }

    /// The address is that of the node with this name: with [`Verification::NodeName`] its
    /// certificate must be for this name.
    #[must_use]
    pub const fn of_node(self, name: &'a str) -> Self {
        Self { node: Some(name), ..self }
    }
}

/// Fetches documents from many hosts.
#[derive(Clone, Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    trust: Trust,
    token: Option<Token>,
    /// What is sent, for people; none without credentials.
    credentials: Option<String>,
    buffers: Arc<Buffers>,
    idle: Arc<Idle>,
}

/// A request on its way.
struct Call<'a> {
    shared: &'a Shared,
    url: &'a str,
    address: Address<'a>,
    peer: Option<Peer>,
    /// By what its connection waits.
    host: Cow<'a, str>,
    request: String,
}

/// An answer that was read to its end, or of which nothing more is wanted.
struct Answer {
    head: Head,
    bytes: Vec<u8>,
}

impl Fetcher {
    /// A fetcher by these options; nothing is read or connected yet.
    ///
    /// # Errors
    /// A sentence, when the token cannot be one.
    pub fn new(options: FetchOptions) -> Result<Self, String> {
        let token = match &options.token {
            None => None,
            Some(TokenSource::File(path)) => Some(Token::in_file(path, options.reread_interval)),
            Some(TokenSource::Text(text)) => {
                let checked = token::checked(text.expose());
                Some(Token::Fixed(checked.map_err(|wrong| format!("the token {wrong}"))?))
            }
        };
        let shared = Shared {
            limit: options.max_body_size.bytes(),
            credentials: credentials(&options),
            token,
            trust: Trust::new(options),
            buffers: Arc::default(),
            idle: Arc::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Gets a document.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn get(&self, url: &str) -> Result<Body, FetchError> {
        self.fetch(Request::get(url)).await
    }

    /// Gets a document that is asked for with a JSON body.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn post(&self, url: &str, json: &str) -> Result<Body, FetchError> {
        self.fetch(Request::post(url, json)).await
    }

    /// Gets a document.
    ///
    /// # Errors
    /// When there is no complete answer with status 200 and a text in UTF-8 within the limit.
    pub async fn fetch(&self, request: Request<'_>) -> Result<Body, FetchError> {
        let answer = self.shared.call(&request)?.run().await?;
        Body::new(answer.bytes, &self.shared.buffers).map_err(|at| {
            FetchError::failed(
                request.url,
                format!("the answer is no UTF-8 text, from byte {at} on"),
            )
        })
    }
}

impl Shared {
    fn call<'a>(&'a self, request: &Request<'a>) -> Result<Call<'a>, FetchError> {
        let url = request.url;
        let address = Address::parse(url)
            .map_err(|wrong| FetchError::failed(url, format!("no valid address: {wrong}")))?;
        let failed = |reason: String| FetchError::failed(url, reason);
        let peer = match address.secure {
            true => Some(self.trust.peer(&address, request.node).map_err(failed)?),
            false => None,
        };
        let token = match &self.token {
            Some(token) if address.secure => Some(token.current().map_err(failed)?),
            _ => None,
        };
        let renamed = peer.as_ref().and_then(|peer| peer.waits_as(&address));
        Ok(Call {
            shared: self,
            url,
            host: renamed.map_or(Cow::Borrowed(address.origin), Cow::Owned),
            request: written(&address, request.json, token.as_ref().map(|token| token.expose())),
            address,
            peer,
        })
    }
}

impl Call<'_> {
    async fn run(&self) -> Result<Answer, FetchError> {
        let version = self.peer.as_ref().map_or(0, |peer| peer.version);
        if let Some(kept) = self.shared.idle.take(&self.host, version).await {
            match self.exchange(kept, version).await {
                // It was closed just when it was used.
                Err(Trouble::NoAnswer(_)) => {}
                result => return self.judge(result),
            }
        }
        let fresh = connect(&self.address, self.peer.as_ref(), &self.shared.buffers).await;
        let fresh = fresh.map_err(|reason| FetchError::unreachable(self.url, reason))?;
        self.judge(self.exchange(fresh, version).await)
    }

    /// Asks and reads the answer; the connection then waits for the next request, or is closed.
    async fn exchange(&self, mut stream: Stream, version: u64) -> Result<Answer, Trouble> {
        let sent = send(&mut stream, self.request.as_bytes()).await;
        // Who does not even take the request may have said why, so it is read in any case.
        let came = stream.readable().await;
        let mut bytes = self.shared.buffers.take();
        let read = self.read(&mut stream, &mut bytes).await;
        match (read, sent.and(came)) {
            (Ok((head, reusable)), sent) => {
                if reusable && sent.is_ok() && head.keep_alive {
                    self.shared.idle.put(&self.host, stream, version);
                }
                Ok(Answer { head, bytes })
            }
            (Err(trouble), sent) => {
                self.shared.buffers.put(bytes);
                Err(match (trouble, sent) {
                    (Trouble::NoAnswer(None), Err(error)) => Trouble::NoAnswer(Some(error)),
                    (trouble, _) => trouble,
                })
            }
        }
    }

    /// Head and body; and whether the connection is where the next answer can begin.
    async fn read(
        &self,
        stream: &mut Stream,
        bytes: &mut Vec<u8>,
    ) -> Result<(Head, bool), Trouble> {
        let mut head = read_head(stream, bytes).await?;
        if head.status != 200 {
            let reusable = read_refusal(stream, bytes, &mut head).await;
            return Ok((head, reusable));
        }
        if let Some(encoding) = &head.encoding {
            return Err(Trouble::Encoded(encoding.clone()));
        }
        let reusable = read_body(stream, bytes, &head, self.shared.limit).await?;
        Ok((head, reusable))
    }

    /// Of an answer the document, or why there is none.
    fn judge(&self, result: Result<Answer, Trouble>) -> Result<Answer, FetchError> {
        match result {
            Ok(answer) if answer.head.status == 200 => Ok(answer),
            Ok(answer) => {
                let error = self.refusal(&answer);
                self.shared.buffers.put(answer.bytes);
                Err(error)
            }
            Err(trouble) => Err(FetchError::failed(self.url, self.words(&trouble))),
        }
    }

    fn words(&self, trouble: &Trouble) -> String {
        if let Trouble::NoAnswer(Some(error)) = trouble
            && let Some(peer) = &self.peer
            && let Some(words) = peer.explain(error, &self.address)
        {
            return words;
        }
        answer_words(trouble, self.shared.limit)
    }

    fn refusal(&self, answer: &Answer) -> FetchError {
        let Head { status, reason, location, .. } = &answer.head;
        if let Some(location) = location.as_ref().filter(|_| (300..400).contains(status)) {
            let text = format!(" {reason} and sends on to {location}; name that address instead");
            let (url, advice) = (self.url.to_owned(), String::new());
            return FetchError::Status { url, status: *status, text, advice };
        }
        let Address { path, secure, .. } = self.address;
        let (url, status, body) = (self.url, *status, &answer.bytes[..]);
        let sent = self.shared.credentials.as_deref().filter(|_| secure);
        Refusal { url, path, status, reason, body, sent, secure }.into()
    }
}

async fn send(stream: &mut Stream, request: &[u8]) -> std::io::Result<()> {
    stream.write_all(request).await?;
    stream.flush().await
}

/// The start of the body of a refusal, as far as it comes soon; whatever goes wrong with it is no
/// matter.
async fn read_refusal(stream: &mut Stream, bytes: &mut Vec<u8>, head: &mut Head) -> bool {
    let mut whole = true;
    if let Framing::Length(length) = &mut head.framing
        && *length > REFUSAL_BYTES as u64
    {
        (*length, whole) = (REFUSAL_BYTES as u64, false);
    }
    let reading = read_body(stream, bytes, head, REFUSAL_BYTES);
    match tokio::time::timeout(REFUSAL_TIMEOUT, reading).await {
        Ok(Ok(reusable)) => reusable && whole,
        _ => false,
    }
}

/// The request as it is sent.
fn written(address: &Address<'_>, json: Option<&str>, token: Option<&str>) -> String {
    let method = if json.is_some() { "POST" } else { "GET" };
    let slash = if address.path.starts_with('/') { "" } else { "/" };
    let Address { authority, path, .. } = address;
    let software = heapster_shared::SOFTWARE;
    let mut text = String::with_capacity(256 + path.len() + token.map_or(0, str::len));
    // Hosts are near, and CPU is dear: nothing is to be compressed. Writing to a String cannot fail.
    let _ = write!(
        text,
        "{method} {slash}{path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {software}\r\naccept: */*\r\naccept-encoding: identity\r\n"
    );
    if let Some(token) = token {
        let _ = write!(text, "authorization: Bearer {token}\r\n");
    }
    if let Some(json) = json {
        let length = json.len();
        let _ = write!(text, "content-type: application/json\r\ncontent-length: {length}\r\n");
    }
    text.push_str("\r\n");
    text.push_str(json.unwrap_or_default());
    text
}

/// What is sent to say who asks, in words.
fn credentials(options: &FetchOptions) -> Option<String> {
    let certificate = options.client.as_ref().map(|client| client.chain.name());
    match (&options.token, certificate) {
        (Some(TokenSource::File(path)), _) => Some(format!("the token in {}", path.display())),
        (Some(TokenSource::Text(_)), _) => Some("the token".to_owned()),
        (None, Some(name)) => Some(format!("the client certificate {name}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
