//! The way to a kubelet, and what to do when it leads nowhere.

use heapster_shared::host::{Endpoint, Host};

use super::{Document, ENDPOINT, options::Scheme};
use crate::source::{
    fetch::{FetchError, Request, node_proxy_base},
    location::base_url,
};

/// The port that kubelets have for TLS.
const SECURE_PORT: u16 = 10250;
/// The port that some have for everybody.
const READ_ONLY_PORT: u16 = 10255;

/// By what way kubelets are asked.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// At their own addresses.
    Direct(Direct),
    /// Through the API server at this address.
    ApiServer(String),
}

/// What is said of kubelets' own addresses; it comes before what the host says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) scheme: Option<Scheme>,
    pub(super) port: Option<u16>,
}

/// A kubelet at one address.
#[derive(Debug)]
pub(super) struct Target<'h> {
    /// What comes in front of a path.
    pub(super) base: String,
    /// For whom its certificate is, if not for its address; none behind the API server.
    node: Option<&'h str>,
}

impl Route {
    /// The host's kubelet, at one of its addresses.
    pub(super) fn target<'h>(&self, host: &'h Host, address: &str) -> Target<'h> {
        match self {
            Self::ApiServer(api) => Target { base: node_proxy_base(api, &host.name), node: None },
            Self::Direct(direct) => direct.target(host, address),
        }
    }
}

impl Direct {
    fn target<'h>(&self, host: &'h Host, address: &str) -> Target<'h> {
        let of_kind = |kind: &str| host.endpoints.iter().find(|endpoint| endpoint.kind == kind);
        let endpoint = of_kind(ENDPOINT).or_else(|| of_kind(""));
        let said = |said: fn(&Endpoint) -> &str| endpoint.map(said).filter(|text| !text.is_empty());
        let port_of_host = endpoint.map(|endpoint| endpoint.port).filter(|port| *port > 0);
        let port = self.port.or(port_of_host);
        let scheme = match (self.scheme, self.port, said(|endpoint| &endpoint.scheme)) {
            (Some(scheme), ..) => scheme.as_str(),
            (None, Some(READ_ONLY_PORT), _) => "http",
            (None, _, Some(scheme)) => scheme,
            (None, _, None) if port == Some(READ_ONLY_PORT) => "http",
            _ => "https",
        };
        let path = endpoint.map_or("", |endpoint| &endpoint.path);
        Target {
            base: base_url(scheme, address, port.unwrap_or(SECURE_PORT), path),
            node: Some(said(|endpoint| &endpoint.server_name).unwrap_or(&host.name)),
        }
    }
}

impl<'h> Target<'h> {
    /// Asks for a document at a URL that begins with [`Target::base`].
    pub(super) fn request<'r>(&self, url: &'r str) -> Request<'r>
    where
        'h: 'r,
    {
        match self.node {
            Some(node) => Request::get(url).of_node(node),
            None => Request::get(url),
        }
    }

    /// With what to do about an error, as far as it is about kubelets.
    pub(super) fn advise<D: Document>(&self, error: FetchError) -> FetchError {
        let plain = self.base.starts_with("http://");
        let direct = self.node.is_some();
        match error {
            FetchError::Unreachable { url, reason } if plain && direct => {
                let advice = "few kubelets have a port for plain HTTP; leave out scheme and port to ask by TLS";
                FetchError::Unreachable { url, reason: format!("{reason}; {advice}") }
            }
            error => error.with_advice(|status| match (status, direct) {
                (400, true) if plain => {
                    Some("if that port speaks TLS, set scheme=https".to_owned())
                }
                (404, true) => Some(format!("kubelets serve this {}", D::SINCE)),
                (404, false) => Some(format!(
                    "does the cluster have a node of this name? Kubelets serve this {}",
                    D::SINCE
                )),
                (500 | 502..=504, false) => {
                    Some("the API server may be unable to reach the kubelet, too".to_owned())
                }
                _ => None,
            }),
        }
    }
}
