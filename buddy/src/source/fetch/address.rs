//! Addresses: of `scheme://host:port/path?query` the parts that a request needs, borrowed.

/// Where a request goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address<'a> {
    /// Whether it is `https`.
    pub(super) secure: bool,
    /// `scheme://host:port`, as written: what connections are kept by.
    pub(super) origin: &'a str,
    /// `host:port`, as written: for the header `host` and for people.
    pub(super) authority: &'a str,
    /// The host, without brackets.
    pub(super) host: &'a str,
    /// The port, as written or as usual for the scheme.
    pub(super) port: u16,
    /// Path and query; may be empty, or begin with `?`.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// # Errors
    /// What is wrong, in words. Whatever could end the line or the header that a part is written
    /// into is wrong.
    pub(super) fn parse(url: &'a str) -> Result<Self, &'static str> {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        let (scheme, rest) = url.split_once("://").ok_or("it has no http:// or https://")?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err("it is neither http:// nor https://"),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("its path has a space or another character that must be percent-encoded");
        }
        if authority.contains('@') {
            return Err("a user and password in the address are not supported");
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None if secure => 443,
            None => 80,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("its port is none")?,
        };
        let origin = &url[..scheme.len() + 3 + authority.len()];
        Ok(Self { secure, origin, authority, host, port, path })
    }
}

/// Host without brackets, and the text after the colon.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b":.%-_".contains(&byte);
        if host.is_empty() || !host.bytes().all(legal) {
            return Err("what is in brackets is no IPv6 address");
        }
        return match (after, after.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            _ => Err("after the bracket there is no port"),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if host.is_empty() || !host.bytes().all(legal) {
        return Err("its host is no name and no address");
    }
    Ok((host, port))
}

/// The base of a kubelet's addresses as the API server gives on to it: `api` is the API server's
/// own base, such as `https://10.0.0.1:6443`, and the path at the kubelet is appended to the result.
#[must_use]
pub fn node_proxy_base(api: &str, node: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(node.as_bytes()).collect();
    format!("{}/api/v1/nodes/{encoded}/proxy", api.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address() {
        let address = Address::parse("https://[2001:db8::1]:10250/stats?x=1#y").unwrap();
        assert_eq!((address.host, address.port), ("2001:db8::1", 10250));
        assert_eq!(address.origin, "https://[2001:db8::1]:10250");
        assert_eq!((address.authority, address.path), ("[2001:db8::1]:10250", "/stats?x=1"));
        let address = Address::parse("http://node-1?a").unwrap();
        assert_eq!((address.host, address.port, address.path), ("node-1", 80, "?a"));
        assert_eq!(Address::parse("https://h").unwrap().port, 443);
    }

    /// Nothing that could smuggle a second line or request into what is written gets through.
    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "h:80/",
            "ftp://h/",
            "http://",
            "http://:80/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:x/",
            "http://u:p@h/",
            "http://h/a b",
            "http://h/\r\nx: y",
            "http://h\r\n/",
            "http://h /",
            "http://[::1/",
            "http://[]/",
            "http://[::1]x/",
            "http://é/",
            "http://h/é",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_kubelet_behind_the_api_server() {
        let base = node_proxy_base("https://api:6443/", "node/../a");
        assert_eq!(base, "https://api:6443/api/v1/nodes/node%2F..%2Fa/proxy");
        assert!(Address::parse(&format!("{base}/stats/summary")).is_ok());
    }
}
