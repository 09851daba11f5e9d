//! Where a host is: the one that a source's own location names, or one that was discovered.

use heapster_shared::host::{Endpoint, Host};
use serde::Deserialize;

/// The host that an address such as `http://127.0.0.1:8080` names, with an endpoint of this kind.
///
/// # Errors
/// A sentence, when it is no address.
pub(super) fn own_host(
    kind: &str,
    location: &str,
    name: Option<&str>,
    example: &str,
) -> Result<Host, String> {
    let no_address = format!("write an address such as {example}");
    let url = url::Url::parse(location).map_err(|error| format!("{error}; {no_address}"))?;
    let (Some(address), Some(port), "http" | "https") =
        (url.host_str(), url.port_or_known_default(), url.scheme())
    else {
        return Err(no_address);
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user and password in the address are not supported".to_owned());
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let loopback = address == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let name = match name {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ if loopback => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        _ => address.to_owned(),
    };
    let mut host = Host::named(&name);
    host.addresses = vec![address.into()];
    host.endpoints = vec![Endpoint {
        kind: kind.into(),
        scheme: url.scheme().into(),
        port,
        path: url.path().trim_end_matches('/').into(),
        ..Endpoint::default()
    }];
    Ok(host)
}

/// `scheme://address:port/path`, without a slash at the end.
pub(super) fn base_url(scheme: &str, address: &str, port: u16, path: &str) -> String {
    let (open, close) = if address.contains(':') { ("[", "]") } else { ("", "") };
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{open}{address}{close}:{port}{slash}{path}")
}

/// For `#[serde(deserialize_with)]`: a port.
///
/// # Errors
/// When the text is none.
pub(super) fn port<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let port = text.parse().ok().filter(|port| *port > 0);
    let wrong = || format!("`port` is `{text}`: write 1 to 65535");
    port.map(Some).ok_or_else(|| serde::de::Error::custom(wrong()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_addresses() {
        assert_eq!(base_url("http", "10.0.0.1", 80, "/"), "http://10.0.0.1:80");
        assert_eq!(base_url("https", "fd00::1", 10250, "a/"), "https://[fd00::1]:10250/a");
    }

    #[test]
    fn the_host_of_an_address() {
        let host = own_host("x", "https://10.0.0.7:10250/p/", Some("node-7"), "y").unwrap();
        let endpoint = &host.endpoints[0];
        assert_eq!((&*host.name, &*host.addresses[0]), ("node-7", "10.0.0.7"));
        assert_eq!((&*endpoint.scheme, endpoint.port, &*endpoint.path), ("https", 10250, "/p"));
        for wrong in ["h", "ftp://h:1", "http://u:p@h:1"] {
            assert!(own_host("x", wrong, None, "y").is_err(), "{wrong}");
        }
    }
}
