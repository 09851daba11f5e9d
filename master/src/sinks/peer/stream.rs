//! A connection to a peer that speaks something else than HTTP, with or without TLS.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Bytes both ways.
pub(in crate::sinks) trait Stream:
    AsyncRead + AsyncWrite + Send + Sync + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Connects to `host:port`; with TLS where a configuration is given.
///
/// # Errors
/// When nobody listens there, or is not whom we trust.
pub(in crate::sinks) async fn connect(
    address: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(config) => Ok(Box::new(encrypt(stream, address, config).await?)),
    }
}

/// Begins TLS on a connection that is there.
///
/// # Errors
/// When it is not whom we trust.
pub(in crate::sinks) async fn encrypt<S: Stream>(
    stream: S,
    address: &str,
    config: &Arc<ClientConfig>,
) -> io::Result<tokio_rustls::client::TlsStream<S>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}
