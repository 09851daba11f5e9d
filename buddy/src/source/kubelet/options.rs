//! The options that all sources of kubelets have.

use std::path::PathBuf;

use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
    units::ByteSize,
};
use serde::Deserialize;

use super::{
    asked::{ApiServer, Asker},
    given::Given,
    route::{Direct, Route},
};
use crate::{
    kubernetes::Connector,
    source::{
        fetch::{FetchOptions, Fetcher, Pem, TlsOptions, TokenSource, Verification},
        location,
    },
};

const EXAMPLE: &str = "https://10.0.0.7:10250";

/// The options of a source that polls kubelets.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Name of the node that the location names. Default: this machine's host name where that is a
    /// loopback address, else the host of the URL.
    name: Option<String>,
    /// Port of the kubelets. Default: the one that the node's status names, else 10250.
    #[serde(default, deserialize_with = "location::port")]
    port: Option<u16>,
    /// `https` or `http`. Default: `https`, and `http` for the read-only port 10255.
    scheme: Option<Scheme>,
    /// `apiserver` asks kubelets through the API server, for those that cannot be reached. Default:
    /// they are asked directly.
    via: Option<Via>,
    /// Address of the API server to ask kubelets through, such as `https://10.0.0.1:6443`. Default:
    /// with `via=apiserver` that of the cluster that this program runs in.
    proxy: Option<String>,
    /// With `via=apiserver`: a kubeconfig that says which API server, whom to trust and who asks, as
    /// for the discovery `kubernetes`. Default: with `context` the files that `KUBECONFIG` names, else
    /// `~/.kube/config`.
    kubeconfig: Option<String>,
    /// With `via=apiserver`: a context of the kubeconfig. Default: with `kubeconfig` its current one.
    context: Option<String>,
    /// `verify` checks kubelets' certificates for their addresses, `node-name` for the names of
    /// their nodes, `skip` not at all: whoever is between may then read and answer as he likes.
    /// Default: `verify`.
    #[serde(default)]
    tls: Verification,
    /// File with the certificates, in PEM, of the authorities that kubelets' certificates are
    /// signed by. Default: that of the pod's service account, else those that this machine trusts.
    ca: Option<PathBuf>,
    /// File with the client certificate, in PEM, and those between it and its authority. Default:
    /// none is shown.
    cert: Option<PathBuf>,
    /// File with the key of the client certificate, in PEM.
    key: Option<PathBuf>,
    /// File with a token that is sent over TLS. Default: that of the pod's service account, unless
    /// there is a client certificate.
    token_file: Option<PathBuf>,
    /// The largest answer that is read. Default: 64MiB.
    #[serde(default = "default_max_body_size")]
    max_body_size: ByteSize,
}

const fn default_max_body_size() -> ByteSize {
    ByteSize::mib(64)
}

/// How a kubelet is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scheme {
    /// By TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    /// As in a URL.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// By what way kubelets are asked, if not directly.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
enum Via {
    Apiserver,
}

impl Options {
    /// The host that the location names, if there is one.
    pub(super) fn own_host(&self, kind: &str, address: &str) -> Result<Option<Host>, String> {
        if address.is_empty() {
            return match self.name {
                Some(_) => Err(format!("`name` needs an address, as in {kind}:{EXAMPLE}")),
                None => Ok(None),
            };
        }
        if self.port.is_some() || self.scheme.is_some() {
            return Err(
                "`port` and `scheme` are for discovered hosts; write them into the address"
                    .to_owned(),
            );
        }
        if self.is_proxied() {
            return Err(
                "the address is a kubelet's own; leave out `via`, `proxy` and `kubeconfig`, or the address"
                    .to_owned(),
            );
        }
        location::own_host(super::ENDPOINT, address, self.name.as_deref(), EXAMPLE).map(Some)
    }

    const fn is_proxied(&self) -> bool {
        self.via.is_some() || self.proxy.is_some() || self.has_kubeconfig()
    }

    const fn has_kubeconfig(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    /// By what way kubelets are asked, and who asks.
    pub(super) fn way(&self, given: &Given) -> Result<(Route, Asker), String> {
        if self.has_kubeconfig() {
            let server = ApiServer::new(self.connector()?, self.max_body_size);
            // Its address is the client's to know.
            return Ok((Route::ApiServer(String::new()), Asker::ApiServer(Box::new(server))));
        }
        let fetcher = Fetcher::new(self.fetch(given)?)?;
        Ok((self.route(given)?, Asker::Fetcher(fetcher)))
    }

    /// The way to the API server of a kubeconfig.
    fn connector(&self) -> Result<Connector, String> {
        if self.via.is_none() || self.proxy.is_some() {
            return Err(
                "`kubeconfig` and `context` go with via=apiserver and without `proxy`".to_owned()
            );
        }
        let files = [&self.ca, &self.cert, &self.key, &self.token_file];
        if files.into_iter().any(Option::is_some) || self.tls != Verification::Verify {
            return Err(
                "the kubeconfig says whom to trust and who asks; leave out `ca`, `cert`, `key`, `token_file` and `tls`"
                    .to_owned(),
            );
        }
        self.check_proxied()?;
        let options = [("kubeconfig", &self.kubeconfig), ("context", &self.context)];
        let options = options.into_iter();
        let given = options.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        let (kind, location) = ("kubernetes".to_owned(), String::new());
        let mut spec = Spec { kind, location, options: given.collect() };
        Connector::take(&mut spec).map_err(|SpecError(error)| error)
    }

    fn check_proxied(&self) -> Result<(), String> {
        if self.port.is_some() || self.scheme.is_some() {
            return Err(
                "the API server knows the ports of kubelets; leave out `port` and `scheme`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// By what way kubelets are asked.
    pub(super) fn route(&self, given: &Given) -> Result<Route, String> {
        if !self.is_proxied() {
            return Ok(Route::Direct(Direct { scheme: self.scheme, port: self.port }));
        }
        self.check_proxied()?;
        if self.tls == Verification::NodeName {
            return Err(
                "tls=node-name is for kubelets that are asked directly; the API server has a name of its own"
                    .to_owned(),
            );
        }
        let api = self.proxy.as_ref().or(given.api_server.as_ref()).ok_or(
            "this is not a pod of a cluster; name a kubeconfig with kubeconfig=FILE, or the API server's address with proxy=URL",
        )?;
        let url = url::Url::parse(api).ok().filter(url::Url::has_host);
        if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(format!("`proxy` is `{api}`: write an address such as {EXAMPLE}"));
        }
        Ok(Route::ApiServer(api.trim_end_matches('/').to_owned()))
    }

    /// Whom to trust and who asks: what the options say, else what is given.
    pub(super) fn fetch(&self, given: &Given) -> Result<FetchOptions, String> {
        let mut fetch = FetchOptions::new(self.max_body_size);
        if let Some(ca) = given.ca.as_ref().filter(|_| self.tls != Verification::Skip) {
            fetch.authorities = vec![Pem::File(ca.clone())];
        }
        if let Some(token) = given.token_file.as_ref().filter(|_| self.cert.is_none()) {
            fetch.token = Some(TokenSource::File(token.clone()));
        }
        fetch.with(&TlsOptions {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            tls: self.tls,
            token_file: self.token_file.clone(),
        })
    }
}
