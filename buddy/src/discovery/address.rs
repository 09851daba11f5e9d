//! Addresses as people write them: `10.0.0.1`, `node-1:8080`, `[fd00::1]:8080`, `fd00::1`.

use std::net::Ipv6Addr;

use compact_str::CompactString;
use heapster_shared::host::Endpoint;

/// Where a host is, and the port where one was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// An IP address without brackets, or a DNS name.
    pub(super) host: CompactString,
    /// The port; 0 for none.
    pub(super) port: u16,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence for its author.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains("://") || text.contains('/') {
            return Err(format!("`{text}` is a URL or a path; write ADDRESS or ADDRESS:PORT"));
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (host, rest) = bracketed
                .split_once(']')
                .ok_or_else(|| format!("`{text}` has no closing bracket"))?;
            let (ip, zone) = host.split_once('%').unwrap_or((host, "0"));
            if ip.parse::<Ipv6Addr>().is_err() || !is_zone(zone) {
                return Err(format!("`{host}` is no IPv6 address"));
            }
            return Ok(Self {
                host: host.into(),
                port: port_of(text, rest.strip_prefix(':'), rest)?,
            });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: text.into(), port: 0 });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        check_name(host)?;
        Ok(Self { host: host.into(), port: port_of(text, port, "")? })
    }

    /// The endpoint that the port says, if it was written.
    pub(super) fn endpoints(&self, scheme: &str) -> Vec<Endpoint> {
        if self.port == 0 && scheme.is_empty() {
            return Vec::new();
        }
        vec![Endpoint { scheme: scheme.into(), port: self.port, ..Endpoint::default() }]
    }
}

/// Whether it is a name or number of an interface, fit to stand in a URL.
fn is_zone(zone: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !zone.is_empty() && zone.bytes().all(legal)
}

fn port_of(text: &str, port: Option<&str>, rest: &str) -> Result<u16, String> {
    match port {
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("`{port}` in `{text}` is no port: write 1 to 65535")),
            Ok(port) => Ok(port),
        },
        None if rest.is_empty() => Ok(0),
        None => Err(format!("`{text}` has `{rest}` where `:PORT` was expected")),
    }
}

/// Checks what is to be a host's name or address.
///
/// # Errors
/// A sentence for its author.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let illegal = |c: char| c.is_whitespace() || c.is_control() || "/?#@[]:,=".contains(c);
    if name.is_empty() {
        return Err("a host has an empty name or address".to_owned());
    }
    if name.contains(illegal) {
        return Err(format!("`{name}` is no name of a host"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed = |text: &str| Address::parse(text).map(|a| (a.host.to_string(), a.port));
        let ok = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(parsed("10.0.0.1"), ok("10.0.0.1", 0));
        assert_eq!(parsed(" node-1:8080 "), ok("node-1", 8080));
        assert_eq!(parsed("[fd00::1]:4194"), ok("fd00::1", 4194));
        assert_eq!(parsed("[fd00::1]"), ok("fd00::1", 0));
        assert_eq!(parsed("fd00::1"), ok("fd00::1", 0));
        assert_eq!(parsed("[fe80::1%eth0]:1"), ok("fe80::1%eth0", 1));
        let wrong = [
            "",
            ":80",
            "a b",
            "a:0",
            "a:x",
            "a:70000",
            "[::1",
            "[x]:1",
            "[::1]9",
            "http://a",
            "a:1:2",
            "[::1%]:1",
            "[fe80::1%a\"b]:1",
            "[fe80::1%a/b]:1",
        ];
        for text in wrong {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
