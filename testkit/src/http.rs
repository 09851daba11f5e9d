//! A plain HTTP request for tests that have no runtime.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

/// An answer whose body is text.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, status line included.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Gets an `http://HOST:PORT/...` URL with HTTP/1.0, so that the body is all that follows the head.
///
/// # Errors
/// When there is no whole answer within ten seconds.
pub fn get(url: &str) -> anyhow::Result<Answer> {
    anyhow::ensure!(url.starts_with("http://"), "an http:// URL, not {url}");
    Request::default().send(url)
}

/// How a request is sent, where `get` is not enough.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Authorities to believe, in PEM; nothing without TLS.
    pub authorities: String,
    /// The client certificate and its key, in PEM.
    pub identity: Option<(String, String)>,
    /// Lines of the head, such as `authorization: Bearer x`.
    pub headers: Vec<String>,
    /// The method; empty for `GET`.
    pub method: String,
    /// The body; empty for none.
    pub body: String,
}

impl Request {
    /// Asks for an `http://` or `https://` URL with HTTP/1.0.
    ///
    /// # Errors
    /// When there is no whole answer within ten seconds, or no TLS connection.
    pub fn send(&self, url: &str) -> anyhow::Result<Answer> {
        let (scheme, rest) = url.split_once("://").context("a URL")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut tcp =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        if scheme == "http" {
            return self.exchange(&mut tcp, address, path);
        }
        let (host, _) = address.rsplit_once(':').unwrap_or((address, ""));
        let name = ServerName::try_from(host.to_owned())?;
        let connection = ClientConnection::new(Arc::new(self.tls()?), name)?;
        self.exchange(&mut StreamOwned::new(connection, tcp), address, path)
    }

    fn tls(&self) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let Some((chain, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        Ok(builder.with_client_auth_cert(chain, key)?)
    }

    fn exchange(
        &self,
        stream: &mut (impl Read + Write),
        address: &str,
        path: &str,
    ) -> anyhow::Result<Answer> {
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        let headers: String = self.headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = match self.body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let head = format!("{method} /{path} HTTP/1.0\r\nHost: {address}\r\n{length}{headers}\r\n");
        stream.write_all(format!("{head}{}", self.body).as_bytes())?;
        stream.flush()?;
        let mut answer = Vec::new();
        // A server that closes without a farewell in TLS has still answered.
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            read?;
        }
        parse(answer)
    }
}

fn parse(answer: Vec<u8>) -> anyhow::Result<Answer> {
    let answer = String::from_utf8(answer).context("an answer that is text")?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("no end of the head in {answer:?}");
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("no status in {head:?}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
