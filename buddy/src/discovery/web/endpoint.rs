//! Where an API answers: `http://10.0.0.1:8500`, `https://consul.lan/prefix`, `unix:///run/x.sock`.

use std::{fmt, path::PathBuf};

use hyper::Uri;

/// Where an API answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::discovery) enum Endpoint {
    /// `scheme://host:port/prefix`, without a slash at the end.
    Url(String),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// The ports to try where an endpoint has none; empty for what is usual with the scheme.
#[derive(Clone, Copy, Debug)]
pub(in crate::discovery) struct Ports {
    pub(in crate::discovery) http: &'static [u16],
    pub(in crate::discovery) https: &'static [u16],
}

impl Ports {
    /// The same ones with and without TLS.
    pub(in crate::discovery) const fn both(ports: &'static [u16]) -> Self {
        Self { http: ports, https: ports }
    }
}

impl Endpoint {
    /// Whether TLS is spoken there.
    pub(in crate::discovery) fn is_tls(&self) -> bool {
        matches!(self, Self::Url(url) if url.starts_with("https:"))
    }

    /// The host of a URL, without brackets.
    pub(in crate::discovery) fn host(&self) -> Option<String> {
        let Self::Url(url) = self else { return None };
        let uri: Uri = url.parse().ok()?;
        Some(uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The endpoints of a location, which are joined by commas; `default` where it is empty.
///
/// # Errors
/// A sentence for the location's author.
pub(in crate::discovery) fn endpoints(
    location: &str,
    default: &str,
    ports: Ports,
) -> Result<Vec<Endpoint>, String> {
    let location = if location.is_empty() { default } else { location };
    let mut endpoints = Vec::new();
    for text in location.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        for endpoint in parse(text, default, ports)? {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    if endpoints.is_empty() {
        return Err(format!("name an endpoint, such as {default}"));
    }
    Ok(endpoints)
}

fn parse(text: &str, default: &str, ports: Ports) -> Result<Vec<Endpoint>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(format!("`{text}` has no absolute path; write unix:///run/NAME.sock"));
        }
        return Ok(vec![Endpoint::Unix(PathBuf::from(path))]);
    }
    let wrong = |why: &str| format!("`{text}` is no endpoint{why}; write it as {default}");
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(""))?;
    let usual = match scheme {
        "http" => ports.http,
        "https" => ports.https,
        _ => return Err(wrong(": its scheme is unknown")),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("user and password are options of their own, not part of the endpoint".into());
    }
    let uri: Uri = text.parse().map_err(|_| wrong(""))?;
    if uri.host().is_none_or(str::is_empty) || text.contains(['?', '#']) {
        return Err(wrong(""));
    }
    // The URI keeps to itself a port that is none.
    let names_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if names_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong(": its port is none"));
    }
    let path = path.trim_end_matches('/');
    if names_port || usual.is_empty() {
        return Ok(vec![Endpoint::Url(format!("{scheme}://{authority}{path}"))]);
    }
    let with = |port: &u16| Endpoint::Url(format!("{scheme}://{authority}:{port}{path}"));
    Ok(usual.iter().map(with).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETCD: Ports = Ports::both(&[2379, 4001]);

    fn shown(location: &str, ports: Ports) -> Result<Vec<String>, String> {
        let all = endpoints(location, "http://127.0.0.1:2379", ports)?;
        Ok(all.iter().map(ToString::to_string).collect())
    }

    /// Where no port is named all usual ones are tried, and a port that is named is the only one.
    #[test]
    fn ports() {
        let both = ["http://e1:2379", "http://e1:4001", "https://[fd00::1]:80/x"];
        assert_eq!(shown("http://e1, https://[fd00::1]:80/x/", ETCD).unwrap(), both);
        let both = ["http://[fd00::1]:2379", "http://[fd00::1]:4001"];
        assert_eq!(shown("http://[fd00::1]/", ETCD).unwrap(), both);
        assert_eq!(shown("", ETCD).unwrap(), ["http://127.0.0.1:2379"]);
        assert_eq!(shown("http://h/a", Ports::both(&[])).unwrap(), ["http://h/a"]);
        assert_eq!(shown("unix:///run/x.sock", ETCD).unwrap(), ["unix:///run/x.sock"]);
        assert_eq!(shown("unix:/run/x.sock", ETCD).unwrap(), ["unix:///run/x.sock"]);
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (text, expected) in [
            ("e1:2379", "is no endpoint"),
            ("tcp://e1", "scheme is unknown"),
            ("http://u:p@e1", "options of their own"),
            ("http://:80", "is no endpoint"),
            ("http://e1:x", "is no endpoint"),
            ("http://e1:0", "port is none"),
            ("http://e1:70000", "is none"),
            ("http://e1#x", "is no endpoint"),
            ("unix:run/x", "no absolute path"),
            (",", "name an endpoint"),
        ] {
            let error = shown(text, ETCD).unwrap_err();
            assert!(error.contains(expected) && !error.contains("p@"), "{text}: {error}");
        }
    }

    #[test]
    fn hosts_of_endpoints() {
        let host = |text: &str| shown_host(text);
        assert_eq!(host("http://[fd00::1]:1"), Some("fd00::1".to_owned()));
        assert_eq!(host("https://a.lan/x"), Some("a.lan".to_owned()));
        assert_eq!(host("unix:/x"), None);
    }

    fn shown_host(text: &str) -> Option<String> {
        endpoints(text, "", ETCD).unwrap()[0].host()
    }
}
