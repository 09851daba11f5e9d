//! A peer that answers HTTP as a test tells it to, and keeps what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::process::{PeerError, free_ports};

/// A request that came.
#[derive(Clone, Debug)]
pub struct FakeRequest {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: hyper::HeaderMap,
    /// Body as sent, compressed or not.
    pub body: Bytes,
}

/// How to answer.
#[derive(Clone, Debug)]
pub enum FakeReply {
    /// With a status, headers and a body.
    Answer {
        /// HTTP status.
        status: u16,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// Body.
        body: String,
    },
    /// Not at all: the connection stays open.
    Hang,
    /// After this time.
    Late(Duration, Box<FakeReply>),
}

impl FakeReply {
    /// A status without a body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }

    /// A status with a body.
    #[must_use]
    pub fn body(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }
}

type Respond = dyn Fn(&FakeRequest) -> FakeReply + Send + Sync;

/// A server on a port of the loopback address; gone when it is dropped.
pub struct FakeHttp {
    address: SocketAddr,
    respond: Arc<Respond>,
    requests: Arc<Mutex<Vec<FakeRequest>>>,
    server: Option<JoinHandle<()>>,
}

impl FakeHttp {
    /// Starts one that answers as `respond` says.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(
        respond: impl Fn(&FakeRequest) -> FakeReply + Send + Sync + 'static,
    ) -> Result<Self, PeerError> {
        let [port] = free_ports()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server =
            Self { address, respond: Arc::new(respond), requests: Arc::default(), server: None };
        server.restart().await?;
        Ok(server)
    }

    /// Listens again after [`FakeHttp::stop`], on the same port.
    ///
    /// # Errors
    /// When the port was taken by somebody else.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.stop();
        if let Some(stopped) = self.server.take() {
            // It was called off; its port is free when it has ended.
            let _ = stopped.await;
        }
        let listener = TcpListener::bind(self.address).await?;
        let (respond, requests) = (Arc::clone(&self.respond), Arc::clone(&self.requests));
        self.server = Some(tokio::spawn(serve(listener, respond, requests)));
        Ok(())
    }

    /// Closes the port and every connection.
    pub fn stop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that came so far.
    #[must_use]
    pub fn requests(&self) -> Vec<FakeRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakeHttp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes connections until it is aborted, which ends them all with it.
async fn serve(
    listener: TcpListener,
    respond: Arc<Respond>,
    requests: Arc<Mutex<Vec<FakeRequest>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&respond), Arc::clone(&requests)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    stream: TcpStream,
    respond: Arc<Respond>,
    requests: Arc<Mutex<Vec<FakeRequest>>>,
) {
    let service = service_fn(|request| answer(request, &respond, &requests));
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that hangs up is no failure of the fake.
    let _ = served.await;
}

async fn answer(
    request: Request<Incoming>,
    respond: &Arc<Respond>,
    requests: &Mutex<Vec<FakeRequest>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let request = FakeRequest {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
    };
    let mut reply = respond(&request);
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    loop {
        match reply {
            FakeReply::Hang => std::future::pending().await,
            FakeReply::Late(after, later) => {
                tokio::time::sleep(after).await;
                reply = *later;
            }
            FakeReply::Answer { status, headers, body } => {
                return Ok(response(status, &headers, body));
            }
        }
    }
}

fn response(
    status: u16,
    headers: &[(&'static str, String)],
    body: String,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}
