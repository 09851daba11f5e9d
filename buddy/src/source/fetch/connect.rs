//! Opens connections: every address of a name, within a time.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    address::Address,
    body::Buffers,
    error::{io_words, resolve_words},
    stream::{Stream, Wide},
    trust::Peer,
};

/// Longer than this nobody waits for a name, a TCP and a TLS handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to where the address says; with TLS when there is a peer to verify.
///
/// # Errors
/// Why there is none, in words.
pub(super) async fn connect(
    address: &Address<'_>,
    peer: Option<&Peer>,
    buffers: &Arc<Buffers>,
) -> Result<Stream, String> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let late = |_| format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
    let addresses = timeout_at(deadline, resolve(address)).await.map_err(late)??;
    let tcp = connect_any(&addresses, deadline).await?;
    let Some(peer) = peer else { return Ok(Stream::Plain(tcp)) };
    let connector = TlsConnector::from(Arc::clone(&peer.config));
    let wide = Wide::new(tcp, Arc::clone(buffers));
    let handshake = timeout_at(deadline, connector.connect(peer.name.clone(), wide));
    let late = |_| format!("no TLS connection within {} s", CONNECT_TIMEOUT.as_secs());
    match handshake.await.map_err(late)? {
        Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
        Err(error) => Err(peer
            .explain(&error, address)
            .unwrap_or_else(|| format!("no TLS connection: {}", io_words(&error)))),
    }
}

async fn resolve(address: &Address<'_>) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let found = tokio::net::lookup_host((address.host, address.port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| resolve_words(&error))?.collect();
    if found.is_empty() {
        return Err("the name of the host cannot be resolved: it has no address".to_owned());
    }
    Ok(found)
}

/// The first address that answers; each has its share of the time. The error is that of the first.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, String> {
    let mut first_error = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let shares = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let error = match timeout(left / shares, open(*address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => io_words(&error),
            Err(_) => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        first_error.get_or_insert(error);
    }
    Err(first_error.unwrap_or_else(|| "no address".to_owned()))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
