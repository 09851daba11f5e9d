//! Where the master is, and how to get there.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use heapster_shared::{
    tick::Resolution,
    tls::{ClientTls, Expected, MasterIdentity, tls_error},
};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint, Identity},
};
use tower::service_fn;
use url::{Host, Url};

use super::trouble;

/// Connects to a master of this process.
pub type Connect = Arc<dyn Fn() -> BoxFuture<'static, io::Result<DuplexStream>> + Send + Sync>;

/// A connection may take this long, and then its handshake.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Where the master is and how to talk to it, checked.
#[derive(Clone, Debug)]
pub struct UplinkConfig {
    way: Way,
    /// Used instead of the master's.
    pub resolution: Option<Resolution>,
}

#[derive(Clone)]
enum Way {
    Url(Arc<Place>),
    Within(Connect),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(place) => f.debug_tuple("Url").field(&place.url.as_str()).finish(),
            Self::Within(_) => f.write_str("Within"),
        }
    }
}

/// A master elsewhere.
struct Place {
    url: Url,
    insecure: bool,
    endpoint: Endpoint,
    tls: ClientTls,
    /// What the files said when they were last good.
    known: Mutex<MasterIdentity>,
}

/// A connection to the master.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) channel: Channel,
    /// Whether it is worth while to compress.
    pub(super) compressed: bool,
    /// Says who connects. It stays the same as long as the connection does.
    authorization: Option<MetadataValue<Ascii>>,
}

impl Line {
    /// A request that says who makes it.
    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request
    }
}

impl UplinkConfig {
    /// Checks a URL as the user wrote it, and reads the files.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn new(
        master: &str,
        insecure: bool,
        tls: ClientTls,
        resolution: Option<Resolution>,
    ) -> Result<Self, String> {
        // What stands before an @ may be a password.
        let shown = master.rsplit_once('@').map_or(master, |(_, rest)| rest);
        let wrong = |why: &dyn fmt::Display| format!("--master {shown}: {why}");
        let url = checked(master, insecure).map_err(|why| wrong(&why))?;
        let encrypted = url.scheme() == "https";
        tls.check(encrypted)?;
        let known = Mutex::new(tls.read(encrypted)?);
        let endpoint = endpoint(url.as_str());
        let endpoint = endpoint.map_err(|error| wrong(&error))?;
        let place = Place { url, insecure, endpoint, tls, known };
        Ok(Self { way: Way::Url(Arc::new(place)), resolution })
    }

    /// A master of the same process, or at least the same machine: plain text is fine there.
    ///
    /// # Errors
    /// When the address is not a loopback address.
    pub fn loopback(address: SocketAddr, resolution: Option<Resolution>) -> Result<Self, String> {
        if !address.ip().is_loopback() {
            return Err(format!("{address} is no loopback address"));
        }
        Self::new(&format!("http://{address}"), true, ClientTls::default(), resolution)
    }

    /// A master of the same process, which is connected to without a socket.
    #[must_use]
    pub fn within(connect: Connect) -> Self {
        Self { way: Way::Within(connect), resolution: None }
    }

    /// Another master, as this one says; plain text only where the user asked for it.
    pub(super) fn redirected(&self, url: &str) -> Result<Self, String> {
        match &self.way {
            Way::Url(place) => Self::new(url, place.insecure, place.tls.clone(), self.resolution),
            Way::Within(_) => Err("there is no other master in this process".to_owned()),
        }
    }

    pub(super) fn url(&self) -> &str {
        match &self.way {
            Way::Url(place) => place.url.as_str(),
            Way::Within(_) => "this process",
        }
    }

    /// Connects, by what the files say now.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) async fn connect(&self) -> Result<Line, String> {
        match &self.way {
            Way::Url(place) => place.connect().await,
            Way::Within(connect) => {
                let connect = Arc::clone(connect);
                let connector = service_fn(move |_| {
                    let connecting = connect();
                    async move { connecting.await.map(TokioIo::new) }
                });
                let endpoint = endpoint("http://localhost").map_err(|error| error.to_string())?;
                let channel = endpoint.connect_with_connector(connector).await;
                let channel = channel.map_err(|error| trouble::of_connecting(&error))?;
                Ok(Line { channel, compressed: false, authorization: None })
            }
        }
    }
}

fn endpoint(url: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10)))
}

fn checked(master: &str, insecure: bool) -> Result<Url, String> {
    let scheme = if insecure { "http" } else { "https" };
    let url = Url::parse(master)
        .map_err(|error| format!("no URL ({error}); write {scheme}://HOST:8085"))?;
    match url.scheme() {
        "http" if insecure => {}
        "http" => {
            return Err("plain text has to be asked for with --insecure; write https:// where the master has a certificate".to_owned());
        }
        "https" if insecure => {
            return Err("--insecure is plain text and https:// is TLS: leave out --insecure, or write http://".to_owned());
        }
        "https" => {}
        _ if !master.contains("://") => {
            return Err(format!("no URL; write {scheme}://{master}"));
        }
        _ => return Err(format!("the URL has to begin with {scheme}://")),
    }
    if url.host().is_none() {
        return Err(format!("the URL names no host; write {scheme}://HOST:8085"));
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err("a URL has no place for a password: give --token-file FILE".to_owned());
    }
    Ok(url)
}

impl Place {
    async fn connect(&self) -> Result<Line, String> {
        let MasterIdentity { roots, client, token } = self.identity();
        let mut endpoint = self.endpoint.clone();
        if self.is_encrypted() {
            let mut tls = ClientTlsConfig::new()
                .domain_name(self.name())
                .timeout(CONNECT_WITHIN)
                .trust_anchors(roots.roots);
            if let Some(text) = client {
                let (certificate, key) = text.into_parts();
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| trouble::of_connecting(&error))?;
        }
        let channel = endpoint.connect().await.map_err(|error| self.explain(&error))?;
        let authorization = token.map(|token| {
            let value = format!("Bearer {}", token.expose());
            let mut value = MetadataValue::try_from(value).map_err(|_| "a token that is none")?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let compressed = self.is_far();
        Ok(Line { channel, compressed, authorization: authorization.transpose()? })
    }

    fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What the files say; while they cannot be used, what they said before.
    fn identity(&self) -> MasterIdentity {
        let read = self.tls.read(self.is_encrypted());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(now) => *known = now,
            Err(error) => {
                tracing::warn!(error, "connecting with the certificates and the token of before");
            }
        }
        known.clone()
    }

    /// The name that the certificate must have.
    fn name(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        // An address of version 6 is in brackets, in a URL.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.tls.master_name.as_deref().unwrap_or(host)
    }

    fn explain(&self, error: &tonic::transport::Error) -> String {
        let Some(tls) = tls_error(error) else { return trouble::of_connecting(error) };
        let host = self.url.host_str().unwrap_or_default();
        let at = format!("{host}:{}", self.url.port_or_known_default().unwrap_or_default());
        let expected = Expected {
            at: &at,
            name: self.name(),
            authorities: self.tls.master_ca.as_deref(),
            client: self.tls.cert.as_deref(),
        };
        format!("cannot connect: {}", expected.explain(tls))
    }

    /// Compression costs more than loopback does.
    fn is_far(&self) -> bool {
        match self.url.host() {
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

    fn new(url: &str, insecure: bool) -> Result<UplinkConfig, String> {
        UplinkConfig::new(url, insecure, ClientTls::default(), None)
    }

    #[test]
    fn plain_text_has_to_be_asked_for() {
        let error = |url: &str, insecure| new(url, insecure).unwrap_err();
        let said = error("http://m:8085", false);
        assert!(
            said.starts_with(
                "--master http://m:8085: plain text has to be asked for with --insecure"
            )
        );
        assert!(error("https://m:8085", true).contains("leave out --insecure"));
        assert!(error("m:8085", true).ends_with("write http://m:8085"));
        assert!(error("m:8085", false).ends_with("write https://m:8085"));
        assert!(error("tcp://m:8085", true).ends_with("begin with http://"));
        assert!(error("nonsense", true).contains("no URL"));
        let said = error("https://me:hunter2@m", false);
        assert!(said.contains("--token-file") && !said.contains("hunter2"), "{said}");
        assert!(new("https://m:8085", false).is_ok());
        assert!(UplinkConfig::loopback("10.0.0.1:1".parse().unwrap(), None).is_err());
    }

    #[test]
    fn far_masters_get_compressed_frames() {
        let is_far = |url: &str| match new(url, true).unwrap().way {
            Way::Url(place) => place.is_far(),
            Way::Within(_) => unreachable!("it is a URL"),
        };
        assert!(
            is_far("http://m:8085") && !is_far("http://127.0.0.1:1") && !is_far("http://[::1]:1")
        );
    }

    #[test]
    fn a_token_does_not_show_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2").unwrap();
        let tls = ClientTls { token_file: Some(file.path().to_owned()), ..ClientTls::default() };
        let config = UplinkConfig::new("https://m", false, tls, None).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let Way::Url(place) = &config.way else { unreachable!("it is a URL") };
        assert_eq!(place.identity().token.unwrap().expose(), "hunter2");
        // What cannot be used does not replace what was good.
        std::fs::write(file.path(), "").unwrap();
        assert_eq!(place.identity().token.unwrap().expose(), "hunter2");
    }
}
