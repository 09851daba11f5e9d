//! One host's server: connections, requests, and the ways in which a host can be bad at answering.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Behaviour, Truth, cadvisor_v1, cadvisor_v2, kubelet, kubelet_metrics, machine, objects,
    tls::{Caller, Gate, Opened},
    view::HostView,
};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Samples that a host keeps of each container, as cAdvisor does by default.
const KEPT_SAMPLES: usize = 60;
/// No request body that the simulation understands is longer.
const REQUEST_LIMIT_BYTES: usize = 64 << 10;

/// What the hosts of a cluster share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) truth: Truth,
    /// Who is let in, where TLS is served.
    pub(super) gate: Option<Gate>,
    /// Requests answered in full with 200.
    pub(super) answers: AtomicU64,
    /// Bytes of their bodies.
    pub(super) answer_bytes: AtomicU64,
    /// When each host was asked for its samples, where that is kept.
    pub(super) polls: OnceLock<Vec<Mutex<Vec<i64>>>>,
}

impl Shared {
    /// Notes a request for samples of containers, of which there is one in each poll.
    fn log_poll(&self, host: usize, path: &str, now_ms: i64) {
        let is_poll = matches!(path.trim_end_matches('/'), "/api/v2.1/stats" | "/stats/summary");
        if let Some(polls) = self.polls.get().filter(|_| is_poll) {
            polls[host].lock().unwrap_or_else(PoisonError::into_inner).push(now_ms);
        }
    }
}

/// One host.
#[derive(Clone)]
pub(super) struct HostServer {
    pub(super) shared: Arc<Shared>,
    pub(super) host: usize,
    pub(super) behaviour: watch::Receiver<Behaviour>,
}

impl HostServer {
    /// Serves until it is dropped. While the host refuses connections nothing listens.
    pub(super) async fn run(mut self, address: SocketAddr, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            if *self.behaviour.borrow_and_update() == Behaviour::Refuses {
                listener = None;
                connections.shutdown().await;
                if self.behaviour.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let Some(open) = &listener else {
                // The port is this host's own, but may still be closing.
                listener = TcpListener::bind(address).await.ok();
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            tokio::select! {
                accepted = open.accept() => match accepted {
                    Ok((stream, _)) => { connections.spawn(self.clone().serve(stream)); }
                    // Out of file descriptors, say: give others time to close theirs.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                changed = self.behaviour.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }

    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(gate) = &self.shared.gate else {
            return self.converse(stream, Caller::Anybody).await;
        };
        let Ok(opened) = gate.open(stream, &self.shared.truth, self.host).await else { return };
        match opened {
            Opened::Plain(stream, caller) => self.converse(stream, caller).await,
            Opened::Tls(stream, caller) => self.converse(*stream, caller).await,
        }
    }

    async fn converse<S>(self, stream: S, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(move |request| {
            let (host, caller) = (self.clone(), caller.clone());
            async move { host.admit(&caller, request).await }
        });
        // It fails when the client goes away or the host is bad: both are the client's to notice.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    /// Answers whom the gate lets in.
    async fn admit(
        self,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let refused = match &self.shared.gate {
            Some(gate) => gate.refusal(caller, &request, self.host),
            None => None,
        };
        match refused {
            Some((status, text)) => Ok(respond(status, TEXT, text)),
            None => self.answer(request).await,
        }
    }

    /// Answers, or fails to: an error closes the connection.
    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let behaviour = *self.behaviour.borrow();
        match behaviour {
            Behaviour::Refuses => Err(io::ErrorKind::ConnectionReset.into()),
            Behaviour::Silent => std::future::pending().await,
            Behaviour::Garbage => Ok(respond(StatusCode::OK, JSON, "{\"/\": [<html>} \u{fffd}")),
            Behaviour::ServerError => Ok(Content::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "failed to get container info",
            )
            .into_response()),
            Behaviour::Endless => Ok(endless()),
            Behaviour::Truncated => Ok(truncated(&self.content(behaviour, request).await)),
            Behaviour::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Ok(self.content(behaviour, request).await.into_response())
            }
            _ => Ok(self.content(behaviour, request).await.into_response()),
        }
    }

    async fn content(&self, behaviour: Behaviour, request: Request<Incoming>) -> Content {
        let (parts, body) = request.into_parts();
        let asked = asked_in_body(&parts.method, body).await;
        let now_ms = heapster_shared::tick::unix_ms();
        let view = HostView::new(&self.shared.truth, self.host, behaviour, now_ms);
        self.shared.log_poll(self.host, parts.uri.path(), now_ms);
        let query = parts.uri.query().unwrap_or_default();
        let count = asked.or_else(|| asked_in_query(query)).unwrap_or(KEPT_SAMPLES);
        let Some(content) = route(&view, parts.uri.path(), query, count.clamp(1, KEPT_SAMPLES))
        else {
            return self.own_page(parts.uri.path());
        };
        if content.status == StatusCode::OK {
            self.shared.answers.fetch_add(1, Ordering::Relaxed);
            self.shared.answer_bytes.fetch_add(content.body.len() as u64, Ordering::Relaxed);
        }
        content
    }

    /// `/sim`: what the simulation did so far.
    fn own_page(&self, path: &str) -> Content {
        if path != "/sim" {
            return Content::error(StatusCode::NOT_FOUND, "404 page not found");
        }
        let (answers, bytes) = (&self.shared.answers, &self.shared.answer_bytes);
        let text = format!(
            "{{\"answers\":{},\"answer_bytes\":{}}}",
            answers.load(Ordering::Relaxed),
            bytes.load(Ordering::Relaxed)
        );
        Content::ok(text.into())
    }
}

/// A whole answer.
struct Content {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus' text.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Content {
    fn ok(body: Vec<u8>) -> Self {
        Self::of(JSON, body)
    }

    fn of(kind: &'static str, body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, kind, body: body.into() }
    }

    fn error(status: StatusCode, text: &str) -> Self {
        Self { status, kind: TEXT, body: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn into_response(self) -> Response<Body> {
        respond(self.status, self.kind, self.body)
    }
}

fn route(view: &HostView<'_>, path: &str, query: &str, count: usize) -> Option<Content> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let recursive = query.split('&').any(|pair| pair == "recursive=true");
    let light = query.split('&').any(|pair| pair == "only_cpu_and_memory=true");
    let content = match path {
        "/stats/summary" => Content::ok(kubelet::summary(view, light)),
        "/metrics/resource" => Content::of(METRICS, kubelet_metrics::resource(view)),
        "/metrics/cadvisor" => Content::of(METRICS, kubelet_metrics::cadvisor(view)),
        "/pods" => Content::ok(objects::kubelet_pods(view)),
        "/healthz" => Content::of(TEXT, b"ok".to_vec()),
        "/api/v2.1/version" => Content::ok(b"\"v0.36.0\"".to_vec()),
        "/version" => Content::error(
            StatusCode::TEMPORARY_REDIRECT,
            "<a href=\"/containers/\">Temporary Redirect</a>.\n\n",
        ),
        "/api/v2.1/machine" | "/api/v1.3/machine" => Content::ok(machine::machine(view)),
        "/api/v2.1/machinestats" => Content::ok(cadvisor_v2::machine_stats(view, count)),
        "/api/v2.1/stats" if recursive => Content::ok(cadvisor_v2::stats(view, count)),
        "/api/v2.1/spec" => Content::ok(cadvisor_v2::specs(view, recursive)),
        // Without its children `/` has nothing to say in this version.
        "/api/v2.1/stats" => Content::ok(b"{}".to_vec()),
        "/api/v1.3/subcontainers" => Content::ok(cadvisor_v1::subcontainers(view, count)),
        "/api/v1.3/containers" => Content::ok(cadvisor_v1::root_container(view, count)),
        _ => return unknown_container(path),
    };
    Some(content)
}

/// cAdvisor answers 500, not 404, when it knows no such container.
fn unknown_container(path: &str) -> Option<Content> {
    let prefixes = ["/api/v2.1/stats", "/api/v2.1/spec", "/api/v1.3/subcontainers"];
    let name = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let text = format!("unknown container \"{name}\"");
    Some(Content::error(StatusCode::INTERNAL_SERVER_ERROR, &text))
}

fn asked_in_query(query: &str) -> Option<usize> {
    query.split('&').find_map(|pair| pair.strip_prefix("count="))?.parse().ok()
}

/// `{"num_stats":N}`, where the request has a body.
async fn asked_in_body(method: &Method, body: Incoming) -> Option<usize> {
    if method != Method::POST {
        return None;
    }
    let bytes = Limited::new(body, REQUEST_LIMIT_BYTES).collect().await.ok()?.to_bytes();
    let request: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    usize::try_from(request.get("num_stats")?.as_u64()?).ok()
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == StatusCode::TEMPORARY_REDIRECT {
        headers.insert(header::LOCATION, header::HeaderValue::from_static("/containers/"));
    }
    response
}

/// The first half of an answer under a header that promises all of it.
fn truncated(content: &Content) -> Response<Body> {
    let half = content.body.slice(..content.body.len() / 2);
    let frames = stream::iter([Ok(Frame::data(half))]);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, content.body.len().into());
    response
}

/// The beginning of an answer, then white space for ever, as fast as the client takes it.
fn endless() -> Response<Body> {
    let spaces = Bytes::from(vec![b' '; 64 << 10]);
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"/kubepods\":{")))]);
    let rest = stream::repeat_with(move || Ok(Frame::data(spaces.clone())));
    Response::new(StreamBody::new(futures::StreamExt::chain(first, rest)).boxed_unsync())
}
