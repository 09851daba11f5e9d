//! What one client of HTTP may take of the master: connections, and time.
//!
//! What the server itself has no bound for is asked of the socket: a client that takes nothing of an
//! answer is cut by the kernel, and one that has too many connections finds the next one closed.

use std::{
    any::Any,
    net::{IpAddr, Shutdown},
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{dev::Extensions, rt::net::TcpStream};
use socket2::SockRef;

use crate::{
    access::{Share, Shares, origin},
    args::LimitArgs,
};

/// The server's clock goes in steps of half a second: with less, it would cut who was quick.
const LEAST: Duration = Duration::from_secs(1);

/// How much one client may take, and all of them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long TLS and the head of a request may take.
    pub request: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long a client may take nothing of an answer.
    pub stuck: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address, or one /64 of IPv6.
    pub connections_per_address: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            stuck: Duration::from_secs(60),
            connections: 1024,
            connections_per_address: 256,
        }
    }
}

impl From<&LimitArgs> for Bounds {
    fn from(limits: &LimitArgs) -> Self {
        let request = limits.handshake_timeout.max(LEAST);
        Self { request, stuck: limits.idle_timeout, ..Self::default() }
    }
}

/// Counts a connection for as long as it is open.
struct Counted {
    _share: Share<IpAddr>,
}

/// Looks at connections as they come.
#[derive(Clone, Debug)]
pub(super) struct Doorkeeper {
    stuck: Duration,
    shares: Shares<IpAddr>,
}

impl Doorkeeper {
    pub(super) fn new(bounds: &Bounds) -> Self {
        // The server itself holds to how many there may be in all.
        let shares = Shares::new(usize::MAX, bounds.connections_per_address);
        Self { stuck: bounds.stuck, shares }
    }

    /// Counts a new connection, or closes it.
    pub(super) fn look_at(&self, connection: &dyn Any, data: &mut Extensions) {
        let tls = connection.downcast_ref::<TlsStream<TcpStream>>();
        let plain = connection.downcast_ref::<TcpStream>();
        let Some(stream) = tls.map(|tls| tls.get_ref().0).or(plain) else { return };
        let socket = SockRef::from(stream);
        // Where the kernel cannot do it, the number of connections is still bounded.
        let _ = socket.set_tcp_user_timeout(Some(self.stuck));
        let Ok(peer) = stream.peer_addr() else { return };
        match self.shares.take(origin(peer.ip())) {
            Ok(share) => drop(data.insert(Counted { _share: share })),
            Err(_) => {
                tracing::debug!(%peer, "a connection for HTTP was closed: the address has too many");
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }
}
