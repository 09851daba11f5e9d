//! Connections, and the way of a request through the server: counted, made to fail, recognised,
//! allowed, answered.

use std::{io, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared, list, proxy,
    request::Asked,
    resources::{self, METRICS_GROUP},
    respond::{self, Answer, Failure},
    reviews,
    table::TableRequest,
    watch,
};
use crate::authority::User;

/// No request body that the server understands is longer.
const BODY_LIMIT_BYTES: usize = 1 << 20;

/// Takes connections until it is aborted, which ends them all with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
            // Out of file descriptors, say: give others time to close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = shared.tls.clone() else { return converse(stream, shared, None).await };
    // A client that does not get through the handshake knows that itself.
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let user = certificate.and_then(|certificate| shared.authority.certificate_user(certificate));
    converse(stream, shared, user).await;
}

async fn converse<S>(stream: S, shared: Arc<Shared>, user: Option<User>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| handle(Arc::clone(&shared), user.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(
    shared: Arc<Shared>,
    certificate: Option<User>,
    request: Request<Incoming>,
) -> io::Result<Answer> {
    if request.uri().path() == "/sim" {
        return Ok(own_page(&shared));
    }
    let asked = Asked::new(request.method(), request.uri());
    let target = request.uri().to_string();
    let fault = shared.traffic().note(&asked.label(), &target);
    if let Some(fault) = fault {
        return match fault.failure() {
            Some(failure) => Ok(failure.answer()),
            None if fault == super::Fault::Hang => std::future::pending().await,
            None => Err(io::ErrorKind::ConnectionReset.into()),
        };
    }
    let answer = match recognise_and_allow(&shared, certificate.as_ref(), &asked, &request) {
        Ok(user) => route(&shared, &user, &asked, request).await,
        Err(failure) => Err(failure),
    };
    Ok(answer.unwrap_or_else(|failure| failure.answer()))
}

/// `/sim`: what came so far, by kind of request. No real server has it; it counts for nothing.
fn own_page(shared: &Shared) -> Answer {
    respond::ok(&serde_json::json!({ "requests": shared.traffic().counts() }))
}

fn recognise_and_allow(
    shared: &Shared,
    certificate: Option<&User>,
    asked: &Asked,
    request: &Request<Incoming>,
) -> Result<User, Failure> {
    let user = shared
        .authority
        .recognise(certificate, request.headers())
        .map_err(|_| Failure::unauthorized())?;
    if shared.authority.allows(&asked.access(&user)) {
        Ok(user)
    } else {
        Err(Failure::forbidden(asked, &user.name))
    }
}

async fn route(
    shared: &Arc<Shared>,
    user: &User,
    asked: &Asked,
    request: Request<Incoming>,
) -> Result<Answer, Failure> {
    let (head, body) = request.into_parts();
    let is_aggregated = asked.group == METRICS_GROUP && !asked.version.is_empty();
    if asked.subresource == "proxy" || is_aggregated || head.method == Method::POST {
        let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await;
        let body = body.map_err(|_| Failure::bad_request("the body cannot be read".into()))?;
        let (headers, body) = (&head.headers, body.to_bytes());
        if head.method == Method::POST
            && let Some(answer) = reviews::review(&shared.authority, &asked.resource, &body, user)
        {
            return answer;
        }
        let query = head.uri.query();
        let passed = proxy::Passed { method: head.method.clone(), headers, body, query };
        if is_aggregated {
            return proxy::to_aggregated(shared, asked, user, passed).await;
        }
        if asked.resource == "nodes" && asked.subresource == "proxy" {
            return proxy::to_kubelet(shared, asked, passed).await;
        }
    }
    if head.method != Method::GET {
        return Err(Failure::method_not_allowed());
    }
    if asked.resource.is_empty() {
        return document(shared, &asked.path).ok_or_else(Failure::no_such_path);
    }
    let include = asked.parameter("includeObject");
    objects(shared, asked, TableRequest::of(&head.headers, include))
}

fn objects(
    shared: &Arc<Shared>,
    asked: &Asked,
    table: Option<TableRequest>,
) -> Result<Answer, Failure> {
    let resource = asked.stored().ok_or_else(Failure::no_such_path)?;
    if asked.verb == "get" {
        if !asked.subresource.is_empty() {
            return Err(Failure::no_such_path());
        }
        let entry = shared.store().get(resource, &asked.key());
        let entry = entry.ok_or_else(|| Failure::no_such_object(asked))?;
        if let Some(table) = table {
            let object = entry.value(resource, shared.world());
            return Ok(respond::ok(&super::table::table(resource, &[object], table)));
        }
        let body = entry.json(resource, shared.world(), true);
        return Ok(respond::json_bytes(StatusCode::OK, body));
    }
    let wanted = asked.wanted(resource).map_err(Failure::bad_request)?;
    if asked.verb == "watch" {
        return watch::watch(shared, wanted, asked, table);
    }
    list::list(shared, wanted, asked, table)
}

/// What is no object: versions, groups and their resources, health.
fn document(shared: &Shared, path: &str) -> Option<Answer> {
    let path = path.trim_end_matches('/');
    let with_metrics = shared.is_aggregating();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let document = match segments[..] {
        ["healthz" | "livez" | "readyz"] => {
            return Some(respond::bytes(StatusCode::OK, "text/plain; charset=utf-8", "ok"));
        }
        ["version"] => {
            let version = include_str!("../../testdata/apiserver-1.20-version.json");
            return Some(respond::json_bytes(StatusCode::OK, version));
        }
        ["api"] => resources::core_versions(),
        ["apis"] => resources::groups(with_metrics),
        ["api", version] => resources::resource_list("", version)?,
        ["apis", group] => resources::group(group, with_metrics)?,
        ["apis", group, version] => resources::resource_list(group, version)?,
        _ => return None,
    };
    Some(respond::ok(&document))
}
