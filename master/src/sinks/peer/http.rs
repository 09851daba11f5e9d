//! Requests to a peer: one client that keeps its connections, follows no redirect and obeys no proxy
//! variable.

use std::error::Error as _;

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, Url, redirect};

use super::{Answer, Credentials, PeerOptions, client_config};
use crate::sinks::SinkError;

/// The longest part of an answer that is read.
const ANSWER_BYTES: usize = 1 << 20;

/// A peer that speaks HTTP.
#[derive(Debug)]
pub(in crate::sinks) struct HttpPeer {
    http: reqwest::Client,
    what: &'static str,
    base: Url,
    options: PeerOptions,
}

impl HttpPeer {
    /// A client that has not connected yet. `what` is the peer's name in messages, such as
    /// `Elasticsearch`; a location without a scheme is one of plain HTTP.
    ///
    /// # Errors
    /// A sentence, when the location is no address, or a file of the options is no good.
    pub(in crate::sinks) fn new(
        what: &'static str,
        location: &str,
        options: PeerOptions,
    ) -> Result<Self, String> {
        let base = address(location)?;
        let tls = client_config(&options, base.scheme() == "https")?;
        if options.cert.is_some() && base.scheme() != "https" {
            return Err("`cert` and `key` are for addresses with https://".to_owned());
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(heapster_shared::SOFTWARE)
            .build()
            .map_err(|error| format!("cannot set up HTTP: {error}"))?;
        Ok(Self { http, what, base, options })
    }

    /// Who it is and where, for messages.
    pub(in crate::sinks) fn place(&self) -> String {
        format!("{} at {}", self.what, self.base.as_str().trim_end_matches('/'))
    }

    /// The address of a path of the API; appended to a path that the location has.
    pub(in crate::sinks) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// A request as the account that the options name: `Basic`, or `Bearer` with a token.
    ///
    /// # Errors
    /// When the file of a secret cannot be read, which may be put right while samples wait.
    pub(in crate::sinks) fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, SinkError> {
        let request = self.http.request(method, self.url(path));
        Ok(match self.credentials()? {
            Credentials::None => request,
            Credentials::Password { user, password } => {
                request.basic_auth(user, Some(password.expose()))
            }
            Credentials::Token(token) => request.bearer_auth(token.expose()),
        })
    }

    /// A request as nobody, for peers that have their own way to say who writes.
    pub(in crate::sinks) fn bare_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// As whom to appear, as the files of the options are now.
    ///
    /// # Errors
    /// When one cannot be read, which may be put right while samples wait.
    pub(in crate::sinks) fn credentials(&self) -> Result<Credentials, SinkError> {
        let failed = |message| SinkError::Transient { message, retry_after: None };
        self.options.credentials().map_err(failed)
    }

    /// Sends a request; gives the answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer.
    pub(in crate::sinks) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<Answer, SinkError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let body = read(&mut response).await.map_err(|error| self.unreachable(error))?;
        Ok(Answer::new(response.status(), response.headers(), body.into(), Timestamp::now()))
    }

    /// What an answer means that is no success.
    pub(in crate::sinks) fn failure(&self, answer: &Answer) -> SinkError {
        answer.failure(&self.place(), &self.options.account())
    }

    /// A failure below HTTP. What it says is the innermost cause: the outer ones repeat the URL.
    fn unreachable(&self, error: reqwest::Error) -> SinkError {
        let error = error.without_url();
        let mut cause = error.to_string();
        let mut inner = error.source();
        while let Some(error) = inner {
            cause = error.to_string();
            inner = error.source();
        }
        let place = self.place();
        SinkError::Transient {
            message: format!(
                "cannot reach {place}: {cause}; check that it is running and that this is its address"
            ),
            retry_after: None,
        }
    }
}

/// Reads a location as an address of HTTP or HTTPS.
fn address(location: &str) -> Result<Url, String> {
    let with_scheme =
        if location.contains("://") { location.to_owned() } else { format!("http://{location}") };
    let url = Url::parse(&with_scheme);
    let url = url.map_err(|error| format!("the location is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the location must be like http://127.0.0.1:9200".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write the account as options, user=NAME&password=PASSWORD".into());
    }
    Ok(url)
}

async fn read(response: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_address_without_an_account() {
        assert_eq!(address("h:9200").unwrap().as_str(), "http://h:9200/");
        assert_eq!(address("https://h/a").unwrap().as_str(), "https://h/a");
        for (location, expected) in [
            ("ftp://h", "must be like http://"),
            ("http://", "no URL"),
            ("http://u:hunter2@h", "write the account as options"),
        ] {
            let error = address(location).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{location}: {error}");
        }
    }

    #[test]
    fn paths_are_appended_to_the_locations_own() {
        let peer = |location| HttpPeer::new("X", location, PeerOptions::default()).unwrap();
        assert_eq!(peer("http://h:1/a/").url("/_bulk").as_str(), "http://h:1/a/_bulk");
        assert_eq!(peer("http://h:1/").place(), "X at http://h:1");
        let options = PeerOptions { user: "u".into(), ..PeerOptions::default() };
        let request = HttpPeer::new("X", "h", options).unwrap().request(Method::GET, "/").unwrap();
        let request = request.build().unwrap();
        assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Basic "));
    }
}
