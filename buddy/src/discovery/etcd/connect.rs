//! The options of the discovery `etcd`, and the way to a client.

use std::{path::PathBuf, time::Duration};

use etcd_client::{Certificate, Client, ConnectOptions, TlsOptions};
use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
};
use serde::Deserialize;

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:2379";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked whether it lives after this time, and given up after the next.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// The options.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What the keys of hosts begin with. Default: `/heapster/hosts/`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// User of etcd. Default: none.
    #[serde(default)]
    user: String,
    /// The user's password.
    #[serde(default)]
    password: Secret,
    /// File with the certificates, in PEM, of who may have signed that of an `https` endpoint; those
    /// that this machine trusts are trusted too. Default: none.
    ca: Option<PathBuf>,
}

fn default_prefix() -> String {
    "/heapster/hosts/".to_owned()
}

/// Knows where etcd is, and how to be let in.
pub(super) struct Connector {
    endpoints: Vec<String>,
    options: Options,
}

impl Connector {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// When an endpoint or option is wrong.
    pub(super) fn new(spec: &Spec) -> Result<Self, SpecError> {
        let options: Options = spec.options()?;
        let wrong = |what: String| SpecError(format!("etcd: {what}"));
        let location = if spec.location.is_empty() { DEFAULT_ENDPOINT } else { &spec.location };
        let endpoints = location.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty());
        let endpoints: Result<Vec<String>, String> = endpoints.map(checked_endpoint).collect();
        let endpoints = endpoints.map_err(wrong)?;
        if endpoints.is_empty() {
            return Err(wrong(format!("name an endpoint, such as {DEFAULT_ENDPOINT}")));
        }
        if options.prefix.is_empty() {
            return Err(wrong("`prefix` is empty; every key of etcd would be a host".to_owned()));
        }
        if options.user.is_empty() != options.password.is_empty() {
            return Err(wrong("`user` and `password` go together".to_owned()));
        }
        if options.ca.is_some() && !endpoints.iter().any(|endpoint| is_tls(endpoint)) {
            return Err(wrong("`ca` is for endpoints with https".to_owned()));
        }
        Ok(Self { endpoints, options })
    }

    /// What the keys of hosts begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.options.prefix
    }

    /// The endpoints, one at least.
    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// A client of one endpoint. (One of all would go to those that are down as often as to the
    /// others.) With a user it has logged in already, else nothing was sent yet.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn connect(&self, endpoint: usize) -> Result<Client, String> {
        let endpoint = &self.endpoints[endpoint % self.endpoints.len()];
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_keep_alive_while_idle(true)
            // A member that lost the others would give an old list, and watch nothing.
            .with_require_leader(true);
        if !self.options.user.is_empty() {
            connect = connect.with_user(&self.options.user, self.options.password.expose());
        }
        if is_tls(endpoint) {
            connect = connect.with_tls(self.tls().await?);
        }
        Client::connect([endpoint], Some(connect)).await.map_err(|error| sentence(&error))
    }

    async fn tls(&self) -> Result<TlsOptions, String> {
        let tls = TlsOptions::new().trust_anchors(crate::tls::system_roots().roots);
        let Some(path) = &self.options.ca else { return Ok(tls) };
        let unreadable = |error| format!("`ca` {}: {error}", path.display());
        let pem = tokio::fs::read(path).await.map_err(unreadable)?;
        Ok(tls.ca_certificate(Certificate::from_pem(pem)))
    }
}

fn is_tls(endpoint: &str) -> bool {
    endpoint.starts_with("https:")
}

fn checked_endpoint(endpoint: &str) -> Result<String, String> {
    let hint = format!("write it as {DEFAULT_ENDPOINT}");
    let url = url::Url::parse(endpoint).map_err(|error| format!("endpoint: {error}; {hint}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password are options of their own, not part of the endpoint".into());
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{endpoint}` is no endpoint; {hint}"));
    }
    Ok(endpoint.trim_end_matches('/').to_owned())
}

/// What went wrong, without the details of the transport's types.
pub(super) fn sentence(error: &etcd_client::Error) -> String {
    let etcd_client::Error::GRpcStatus(status) = error else {
        return error.to_string();
    };
    let message = status.message();
    match status.code() {
        tonic::Code::Unavailable => format!("not reachable: {message}"),
        // A wrong password is an "invalid argument" of etcd.
        code if is_refusal(code) || message.contains("authentication failed") => {
            format!("refused: {message}; check `user` and `password` and the keys of their role")
        }
        _ => message.to_owned(),
    }
}

fn is_refusal(code: tonic::Code) -> bool {
    matches!(code, tonic::Code::Unauthenticated | tonic::Code::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("etcd:e1:2379", "no endpoint"),
            ("etcd:http://u:p@e1:2379", "options of their own"),
            ("etcd:,", "name an endpoint"),
            ("etcd?prefix=", "`prefix` is empty"),
            ("etcd?user=u", "go together"),
            ("etcd?ca=/x.pem", "for endpoints with https"),
            ("etcd?path=/x", "unknown option `path`"),
        ] {
            let error = Connector::new(&text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains(":p@"), "{error}");
        }
    }
}
