//! Connections of buddies, with TLS or without, and from within this process.
//!
//! A handshake has its own task and a deadline, so that who begins one and goes silent keeps nobody
//! waiting; there are so many at a time and no more.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// A handshake may take this long.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at a time.
const MAX_HANDSHAKES: usize = 1024;
/// Connections that the server has not taken yet.
const QUEUED: usize = 64;
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that a connection within this process holds in each direction.
const WITHIN_BYTES: usize = 256 << 10;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) chain: Option<Arc<[CertificateDer<'static>]>>,
    pub(crate) is_within: bool,
}

/// A connection to be served.
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Within(DuplexStream),
}

/// Where connections come from, for the server.
pub(crate) type Connections = ReceiverStream<io::Result<Connection>>;

/// Connects to this master from within its process.
#[derive(Clone, Debug)]
pub struct Within(mpsc::Sender<io::Result<Connection>>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// The queue of connections.
pub(crate) fn connections() -> (Within, Connections) {
    let (sender, receiver) = mpsc::channel(QUEUED);
    (Within(sender), ReceiverStream::new(receiver))
}

impl Within {
    /// A new connection.
    ///
    /// # Errors
    /// When the master has stopped.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(WITHIN_BYTES);
        let peer = Peer { is_within: true, ..Peer::default() };
        let connection = Connection { io: Io::Within(theirs), peer };
        let sent = self.0.send(Ok(connection)).await;
        sent.map_err(|_| io::Error::other("the master of this process has stopped"))?;
        Ok(ours)
    }
}

/// Takes connections until it is stopped.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<ServerConfig>,
    Within(connections): Within,
    stop: CancellationToken,
) {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection of a buddy");
                sleep(PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = &acceptor else {
            let peer = Peer { address: Some(address), ..Peer::default() };
            let connection = Connection { io: Io::Plain(stream), peer };
            if connections.send(Ok(connection)).await.is_err() {
                return;
            }
            continue;
        };
        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
            tracing::debug!(%address, "too many TLS handshakes at a time; a connection was closed");
            continue;
        };
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        tokio::spawn(async move {
            let shaken = handshake(&acceptor, stream, address).await;
            drop(permit);
            hand_over(shaken, address, &connections).await;
        });
    }
}

async fn hand_over(
    shaken: Result<Connection, String>,
    address: SocketAddr,
    connections: &mpsc::Sender<io::Result<Connection>>,
) {
    match shaken {
        // Nobody takes it any more when the master stops.
        Ok(connection) => drop(connections.send(Ok(connection)).await),
        Err(why) => tracing::debug!(%address, why, "no TLS connection"),
    }
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<Connection, String> {
    let shaken = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await;
    let stream = shaken.map_err(|_| "the handshake took too long".to_owned())?;
    let stream = stream.map_err(|error| error.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().map(Arc::from);
    let peer = Peer { address: Some(address), chain, is_within: false };
    Ok(Connection { io: Io::Tls(Box::new(stream)), peer })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Calls a method of whatever kind of stream it is.
macro_rules! either {
    ($connection:expr, $method:ident($($argument:expr),*)) => {
        match &mut $connection.get_mut().io {
            Io::Plain(io) => Pin::new(io).$method($($argument),*),
            Io::Tls(io) => Pin::new(io.as_mut()).$method($($argument),*),
            Io::Within(io) => Pin::new(io).$method($($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
            Io::Within(io) => io.is_write_vectored(),
        }
    }
}
