//! Requests that others answer: kubelets, and the servers of aggregated groups.

use std::{net::SocketAddr, sync::PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    HeaderMap, Method, Response,
    body::Frame,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
    },
};
use serde_json::Value;

use super::{
    Shared,
    request::Asked,
    resources::by_plural,
    respond::{Answer, Failure},
};
use crate::authority::{Authority, User, trust_anything};

/// The name in the certificate that aggregated servers know the API server by.
pub(super) const FRONT_PROXY: &str = "front-proxy-client";
const REMOTE_USER: HeaderName = HeaderName::from_static("x-remote-user");
const REMOTE_GROUP: HeaderName = HeaderName::from_static("x-remote-group");

/// The clients with which requests are passed on.
pub(super) struct Clients {
    kubelet: reqwest::Client,
    aggregated: reqwest::Client,
}

/// A request to pass on.
pub(super) struct Passed<'a> {
    pub(super) method: Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    pub(super) query: Option<&'a str>,
}

impl Clients {
    pub(super) fn new(authority: &Authority) -> anyhow::Result<Self> {
        let user = User::new("kube-apiserver-kubelet-client", &["system:masters"]);
        let kubelet = trust_anything(&authority.client(user)?)?;
        let aggregated = trust_anything(&authority.front_proxy.client(FRONT_PROXY, None)?)?;
        let client = |tls| {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .redirect(reqwest::redirect::Policy::none())
                // What is compressed is so for the caller, who has asked for it, and passed on as it is.
                .no_gzip()
                .no_proxy()
                .build()
        };
        Ok(Self { kubelet: client(kubelet)?, aggregated: client(aggregated)? })
    }
}

/// `/api/v1/nodes/NAME/proxy/...`, passed on to the node's kubelet.
pub(super) async fn to_kubelet(
    shared: &Shared,
    asked: &Asked,
    passed: Passed<'_>,
) -> Result<Answer, Failure> {
    let (scheme, name, port) = node_and_port(&asked.name);
    let (address, own_port) = address_of(shared, name).ok_or_else(|| {
        Failure::no_such_object(&Asked { name: name.to_owned(), ..asked.clone() })
    })?;
    let scheme = scheme.unwrap_or(if shared.kubelets_have_tls() { "https" } else { "http" });
    let port = port.unwrap_or(own_port);
    let rest = if asked.rest.is_empty() { "/" } else { &asked.rest };
    let url = url(&format!("{scheme}://{address}:{port}{rest}"), passed.query);
    // The kubelet is shown the API server's certificate and nothing of the caller's.
    let mut headers = passed.headers.clone();
    headers.remove(AUTHORIZATION);
    pass(&shared.clients.kubelet, &url, headers, passed).await
}

/// `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
fn node_and_port(text: &str) -> (Option<&'static str>, &str, Option<u16>) {
    let parts: Vec<&str> = text.split(':').collect();
    let scheme = |scheme| if scheme == "https" { "https" } else { "http" };
    match parts[..] {
        [own, name, port] => (Some(scheme(own)), name, port.parse().ok()),
        [name, port] => (None, name, port.parse().ok()),
        _ => (None, text, None),
    }
}

/// Where a node's status says that its kubelet is.
fn address_of(shared: &Shared, node: &str) -> Option<(String, u16)> {
    if let Some(host) = shared.world().and_then(|world| world.kubelet(node)) {
        return Some((host.address.to_string(), host.port));
    }
    let nodes = by_plural("nodes")?;
    let node = shared.store().get(nodes, node)?.value(nodes, shared.world());
    let addresses = node.pointer("/status/addresses")?.as_array()?;
    let address = addresses.iter().find(|address| address["type"] == "InternalIP")?;
    let port = node.pointer("/status/daemonEndpoints/kubeletEndpoint/Port").and_then(Value::as_u64);
    Some((address["address"].as_str()?.to_owned(), u16::try_from(port?).ok()?))
}

/// `/apis/metrics.k8s.io/...`, passed on to the server of that group with the caller's name, as
/// kube-aggregator does.
pub(super) async fn to_aggregated(
    shared: &Shared,
    asked: &Asked,
    user: &User,
    passed: Passed<'_>,
) -> Result<Answer, Failure> {
    let target = shared.aggregated.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let base = target.ok_or_else(Failure::no_such_path)?;
    let url = url(&format!("{base}{}", asked.path), passed.query);
    let mut headers = passed.headers.clone();
    headers.remove(AUTHORIZATION);
    // Whoever sends these by himself does not become somebody else.
    let forged = headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).cloned();
    for name in forged.collect::<Vec<_>>() {
        headers.remove(name);
    }
    let value = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(name) = value(&user.name) {
        headers.insert(REMOTE_USER, name);
    }
    for group in user.groups.iter().filter_map(|group| value(group)) {
        headers.append(REMOTE_GROUP, group);
    }
    pass(&shared.clients.aggregated, &url, headers, passed).await
}

/// The base of an aggregated server's URLs.
pub(super) fn aggregated_base(address: SocketAddr) -> String {
    format!("https://{address}")
}

fn url(base: &str, query: Option<&str>) -> String {
    query.map_or_else(|| base.to_owned(), |query| format!("{base}?{query}"))
}

async fn pass(
    client: &reqwest::Client,
    url: &str,
    mut headers: HeaderMap,
    passed: Passed<'_>,
) -> Result<Answer, Failure> {
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let request = client.request(passed.method, url).headers(headers).body(passed.body);
    let answer = request.send().await.map_err(|error| {
        Failure::unavailable(&format!("error trying to reach service: {}", error.without_url()))
    })?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let parts =
        answer.bytes_stream().map(|part| part.map(Frame::data).map_err(std::io::Error::other));
    let mut response = Response::new(StreamBody::new(parts).boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_with_ports_and_without() {
        assert_eq!(node_and_port("a"), (None, "a", None));
        assert_eq!(node_and_port("a:10250"), (None, "a", Some(10250)));
        assert_eq!(node_and_port("https:a:10250"), (Some("https"), "a", Some(10250)));
    }
}
