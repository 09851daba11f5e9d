//! Where the master is.

use std::{net::SocketAddr, time::Duration};

use heapster_shared::tick::Resolution;
use tonic::transport::Endpoint;
use url::{Host, Url};

/// Where the master is and how to talk to it, checked.
#[derive(Clone, Debug)]
pub struct UplinkConfig {
    master: Url,
    insecure: bool,
    endpoint: Endpoint,
    /// Used instead of the master's.
    pub resolution: Option<Resolution>,
}

impl UplinkConfig {
    /// Checks a URL as the user wrote it.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn new(
        master: &str,
        insecure: bool,
        resolution: Option<Resolution>,
    ) -> Result<Self, String> {
        let wrong = |why: &str| format!("--master {master}: {why}");
        let url = Url::parse(master)
            .map_err(|error| wrong(&format!("no URL ({error}); write http://HOST:8085")))?;
        match url.scheme() {
            "http" if insecure => {}
            "http" => return Err(wrong("plain text has to be asked for with --insecure")),
            "https" => {
                return Err(wrong(
                    "this version cannot speak TLS yet; use http:// with --insecure on a network you trust",
                ));
            }
            _ if !master.contains("://") => {
                return Err(wrong(&format!("no URL; write http://{master}")));
            }
            _ => return Err(wrong("the URL has to begin with http://")),
        }
        if url.host().is_none() {
            return Err(wrong("the URL names no host; write http://HOST:8085"));
        }
        let endpoint = Endpoint::from_shared(url.to_string())
            .map_err(|error| wrong(&error.to_string()))?
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        Ok(Self { master: url, insecure, endpoint, resolution })
    }

    /// A master of the same process, or at least the same machine: plain text is fine there.
    ///
    /// # Errors
    /// When the address is not a loopback address.
    pub fn loopback(address: SocketAddr, resolution: Option<Resolution>) -> Result<Self, String> {
        if !address.ip().is_loopback() {
            return Err(format!("{address} is no loopback address"));
        }
        Self::new(&format!("http://{address}"), true, resolution)
    }

    /// Another master, as this one says; plain text only where the user asked for it.
    pub(super) fn redirected(&self, url: &str) -> Result<Self, String> {
        Self::new(url, self.insecure, self.resolution)
    }

    pub(super) fn url(&self) -> &str {
        self.master.as_str()
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Compression costs more than loopback does.
    pub(super) fn is_compressed(&self) -> bool {
        match self.master.host() {
            Some(Host::Ipv4(address)) => !address.is_loopback(),
            Some(Host::Ipv6(address)) => !address.is_loopback(),
            Some(Host::Domain(name)) => name != "localhost",
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_to_be_asked_for() {
        let error = |url: &str, insecure| UplinkConfig::new(url, insecure, None).unwrap_err();
        assert_eq!(
            error("http://m:8085", false),
            "--master http://m:8085: plain text has to be asked for with --insecure"
        );
        assert!(error("https://m:8085", true).contains("cannot speak TLS yet"));
        assert!(error("m:8085", true).ends_with("write http://m:8085"));
        assert!(error("tcp://m:8085", true).ends_with("begin with http://"));
        assert!(error("nonsense", true).contains("no URL"));
        assert!(UplinkConfig::new("http://m:8085", true, None).unwrap().is_compressed());
        assert!(!UplinkConfig::new("http://127.0.0.1:1", true, None).unwrap().is_compressed());
        assert!(UplinkConfig::loopback("10.0.0.1:1".parse().unwrap(), None).is_err());
    }
}
