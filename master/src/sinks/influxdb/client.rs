//! Requests to the database.

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, header};

use super::{
    answer::failure,
    options::{Store, Target},
    precision::Precision,
};
use crate::sinks::{
    SinkError,
    peer::{Answer, Credentials, HttpPeer, PeerOptions},
};

#[derive(Debug)]
pub(super) struct Client {
    peer: HttpPeer,
    pub(super) target: Target,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(target: Target, options: PeerOptions) -> Result<Self, String> {
        let peer = HttpPeer::new("InfluxDB", target.base.as_str(), options)?;
        Ok(Self { peer, target })
    }

    /// Writes lines that are packed already.
    pub(super) async fn write(
        &self,
        lines: Bytes,
        precision: Precision,
        gzip: bool,
    ) -> Result<Answer, SinkError> {
        let request = match &self.target.store {
            Store::Database(name) => {
                self.request(Method::POST, "/write")?.query(&[("db", name.as_str())])
            }
            Store::Bucket { org, bucket } => {
                let request = self.request(Method::POST, "/api/v2/write")?;
                let request = request.query(&[("bucket", bucket)]);
                // InfluxDB 3 has no organizations.
                if org.is_empty() { request } else { request.query(&[("org", org)]) }
            }
        };
        let request = request.query(&[("precision", precision.name())]);
        let request = request.header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = if gzip { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
        self.send(request.body(lines)).await
    }

    /// A request with the account: the database has its own word for tokens.
    pub(super) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, SinkError> {
        let request = self.peer.bare_request(method, path);
        Ok(match self.peer.credentials()? {
            Credentials::None => request,
            Credentials::Password { user, password } => {
                request.basic_auth(user, Some(password.expose()))
            }
            Credentials::Token(token) => {
                request.header(header::AUTHORIZATION, format!("Token {}", token.expose()))
            }
        })
    }

    /// Sends a request; gives the answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, SinkError> {
        self.peer.send(request).await
    }

    /// What an answer means for a request that changes or asks something.
    pub(super) fn failure(&self, answer: &Answer) -> SinkError {
        failure(answer, &self.target)
    }
}
