//! Requests to a cluster of several nodes: to the one that answered last, and to the next where it
//! does not.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, header};

use crate::sinks::{
    SinkError,
    peer::{Answer, HttpPeer, PeerOptions},
};

/// What of an answer is wanted: in that of a bulk request the peers repeat much of what was sent.
const WANTED: &str = "errors,items.*.status,items.*.error.type,items.*.error.reason,error,status";

/// A client of a cluster.
#[derive(Debug)]
pub(super) struct Client {
    nodes: Vec<HttpPeer>,
    /// The node that requests go to.
    current: AtomicUsize,
    pipeline: String,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(
        addresses: &[String],
        options: &PeerOptions,
        pipeline: String,
    ) -> Result<Self, String> {
        let node = |address: &String| HttpPeer::new("Elasticsearch", address, options.clone());
        let nodes = addresses.iter().map(node).collect::<Result<_, _>>()?;
        Ok(Self { nodes, current: AtomicUsize::new(0), pipeline })
    }

    /// Writes the lines of a bulk request that are packed already.
    pub(super) async fn bulk(&self, lines: Bytes, gzip: bool) -> Result<Answer, SinkError> {
        self.send(Method::POST, "/_bulk", |request| {
            let request = request.query(&[("filter_path", WANTED)]);
            let request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
            let request = match self.pipeline.as_str() {
                "" => request,
                pipeline => request.query(&[("pipeline", pipeline)]),
            };
            let request =
                if gzip { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
            request.body(lines.clone())
        })
        .await
    }

    /// Sends a request to the first node that answers.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder + Send,
    ) -> Result<Answer, SinkError> {
        let mut failure = None;
        for _ in 0..self.nodes.len() {
            let number = self.current.load(Ordering::Relaxed) % self.nodes.len();
            // The next one has its turn, unless this one answers: also when nobody waits for it any
            // longer, which ends this function here.
            self.current.store(number + 1, Ordering::Relaxed);
            let node = &self.nodes[number];
            match node.send(fill(node.request(method.clone(), path)?)).await {
                Ok(answer) if matches!(answer.status.as_u16(), 502..=504) => {
                    failure = Some(node.failure(&answer));
                }
                Ok(answer) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| SinkError::Transient {
            message: "no address of Elasticsearch is known".to_owned(),
            retry_after: None,
        }))
    }

    /// Who answers, for messages.
    pub(super) fn place(&self) -> String {
        let number = self.current.load(Ordering::Relaxed) % self.nodes.len();
        self.nodes[number].place()
    }

    /// What an answer means that is no success.
    pub(super) fn failure(&self, answer: &Answer) -> SinkError {
        let number = self.current.load(Ordering::Relaxed) % self.nodes.len();
        self.nodes[number].failure(answer)
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        let options = PeerOptions::default();
        Self::new(&["http://h:9200".to_owned()], &options, String::new()).unwrap()
    }
}
