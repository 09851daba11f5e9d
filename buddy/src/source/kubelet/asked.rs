//! Who asks kubelets, and how: by the fetcher with credentials of the source's own, or by the
//! connection to an API server that everything in this process has in common.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use heapster_shared::units::ByteSize;
use hyper::{Request as HttpRequest, Response, StatusCode, body::Body as HttpBody};
use tokio::sync::OnceCell;

use crate::{
    kubernetes::{Cluster, Connector, sentence},
    source::fetch::{Body, FetchError, Fetcher, REFUSAL_BYTES, Refusal, Request},
};

/// Asks kubelets.
pub(super) enum Asker {
    /// At the addresses of requests.
    Fetcher(Fetcher),
    /// By paths at an API server.
    ApiServer(Box<ApiServer>),
}

impl Asker {
    /// Gets a document.
    ///
    /// # Errors
    /// When there is none within the limit, or it is no text in UTF-8.
    pub(super) async fn fetch(&self, request: Request<'_>) -> Result<Body, FetchError> {
        match self {
            Self::Fetcher(fetcher) => fetcher.fetch(request).await,
            Self::ApiServer(server) => server.fetch(request.url()).await,
        }
    }
}

/// The API server of a kubeconfig.
pub(super) struct ApiServer {
    connector: Connector,
    /// Once there is a way to it; until then each poll looks for one.
    cluster: OnceCell<Arc<Cluster>>,
    limit: ByteSize,
}

impl ApiServer {
    /// That to which a connector leads; no answer is larger than the limit.
    pub(super) fn new(connector: Connector, limit: ByteSize) -> Self {
        Self { connector, cluster: OnceCell::new(), limit }
    }

    /// As for the fetcher there is no timeout: who drops this closes the connection.
    async fn fetch(&self, path: &str) -> Result<Body, FetchError> {
        let failed = |reason: String| FetchError::failed(path, reason);
        let cluster = self.cluster.get_or_try_init(|| Cluster::shared(&self.connector));
        let cluster = cluster.await.map_err(failed)?;
        let request = HttpRequest::get(path).body(kube::client::Body::empty());
        let request = request.map_err(|error| failed(error.to_string()))?;
        let response = cluster.client().send(request).await;
        let response = response.map_err(|error| failed(sentence(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(path, response).await);
        }
        let limit = self.limit.bytes();
        let (bytes, is_whole) = read(response.into_body(), limit).await.map_err(failed)?;
        if !is_whole {
            return Err(failed(format!("the answer is larger than the limit of {}", self.limit)));
        }
        let text = String::from_utf8(bytes);
        text.map(Body::from).map_err(|_| failed("the answer is no UTF-8 text".to_owned()))
    }
}

async fn refusal(path: &str, response: Response<kube::client::Body>) -> FetchError {
    let status = response.status();
    // Whatever goes wrong with it is no matter: the status says the most.
    let body = read(response.into_body(), REFUSAL_BYTES).await.unwrap_or_default().0;
    Refusal {
        url: path,
        path,
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default(),
        body: &body,
        sent: Some("the credentials of the kubeconfig"),
        secure: true,
    }
    .into()
}

/// A body up to a limit, and whether that is all of it.
async fn read<B>(body: B, limit: usize) -> Result<(Vec<u8>, bool), String>
where
    B: HttpBody<Data = Bytes, Error = kube::Error>,
{
    let mut body: Pin<&mut B> = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|error| {
            format!("the answer broke off after {} bytes: {}", bytes.len(), sentence(&error))
        })?;
        // What is no data is headers that come last.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Ok((bytes, false));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, true))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// What breaks off is no answer, and of what is too large no more is held than the limit.
    #[tokio::test]
    async fn bodies_are_read_to_their_end_or_their_limit() {
        let data = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        let broken = || Err(kube::Error::LinesCodecMaxLineLengthExceeded);
        let whole = StreamBody::new(stream::iter([data("ab"), data("cd")]));
        assert_eq!(read(whole, 4).await, Ok((b"abcd".to_vec(), true)));
        let large = StreamBody::new(stream::iter([data("ab"), data("cde"), broken()]));
        assert_eq!(read(large, 4).await, Ok((b"ab".to_vec(), false)));
        let short = StreamBody::new(stream::iter([data("ab"), broken()]));
        assert!(read(short, 4).await.unwrap_err().contains("broke off after 2 bytes"));
    }
}
