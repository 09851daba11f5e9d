//! Connections of buddies, with TLS or without, and from within this process.
//!
//! A handshake has its own task and a deadline, so that who begins one and goes silent keeps nobody
//! waiting. There are so many connections at a time and no more, in all and from one address, and
//! each is watched for as long as it is open (`Watch`).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{
    patience::{Patience, Streams, Watch},
    shares::{NoShare, Share, Shares, origin},
};

/// Connections that the server has not taken yet.
const QUEUED: usize = 64;
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// What is refused is told at most this often.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Bytes that a connection within this process holds in each direction.
const WITHIN_BYTES: usize = 256 << 10;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) chain: Option<Arc<[CertificateDer<'static>]>>,
    pub(crate) is_within: bool,
    pub(crate) streams: Streams,
}

/// A connection to be served.
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    /// Who looks at it; nobody within this process.
    watch: Option<Watch>,
    _share: Option<Share<IpAddr>>,
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
        let connection = Connection { io: Io::Within(theirs), peer, watch: None, _share: None };
        let sent = self.0.send(Ok(connection)).await;
        sent.map_err(|_| io::Error::other("the master of this process has stopped"))?;
        Ok(ours)
    }
}

/// How connections are taken.
pub(crate) struct Entrance {
    /// TLS; none for plain text.
    pub(crate) tls: Option<ServerConfig>,
    pub(crate) patience: Patience,
    pub(crate) shares: Shares<IpAddr>,
}

/// Takes connections until it is stopped.
pub(crate) async fn accept(
    listener: TcpListener,
    entrance: Entrance,
    Within(connections): Within,
    stop: CancellationToken,
) {
    let acceptor = entrance.tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let (patience, shares) = (entrance.patience, entrance.shares);
    let mut refusals = Refusals::default();
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
        let share = match shares.take(origin(address.ip())) {
            Ok(share) => share,
            Err(why) => {
                refusals.tell(address, why);
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        tokio::spawn(async move {
            let shaken = handshake(acceptor, stream, address, patience).await;
            match shaken {
                // Nobody takes it any more when the master stops.
                Ok(connection) => {
                    let connection = Connection { _share: Some(share), ..connection };
                    drop(connections.send(Ok(connection)).await);
                }
                Err(why) => tracing::debug!(%address, why, "no TLS connection"),
            }
        });
    }
}

/// Tells of connections that were refused, without a line for each.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    fn tell(&mut self, address: SocketAddr, why: NoShare) {
        self.untold += 1;
        if self.told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            return;
        }
        let option = match why {
            NoShare::AllTaken => "--max-connections",
            NoShare::OwnTaken => "--max-connections-per-address",
        };
        let refused = self.untold;
        tracing::warn!(%address, refused, option, "connections of buddies were refused: there are too many");
        *self = Self { told: Some(Instant::now()), untold: 0 };
    }
}

/// A connection that can be served, once TLS stands where it is asked for.
async fn handshake(
    acceptor: Option<TlsAcceptor>,
    stream: TcpStream,
    address: SocketAddr,
    patience: Patience,
) -> Result<Connection, String> {
    let (io, chain) = match acceptor {
        None => (Io::Plain(stream), None),
        Some(acceptor) => {
            let shaken = timeout(patience.handshake, acceptor.accept(stream)).await;
            let stream = shaken.map_err(|_| "the handshake took too long".to_owned())?;
            let stream = stream.map_err(|error| error.to_string())?;
            let chain = stream.get_ref().1.peer_certificates().map(Arc::from);
            (Io::Tls(Box::new(stream)), chain)
        }
    };
    let peer = Peer { address: Some(address), chain, ..Peer::default() };
    let watch = Some(Watch::new(patience, peer.streams.clone()));
    Ok(Connection { io, peer, watch, _share: None })
}

impl Connection {
    /// Notes how writing goes; an error once it has gone nowhere for too long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(watch) = &mut self.watch else { return polled };
        if polled.is_ready() {
            watch.written();
            return polled;
        }
        watch.poll_stuck(context).map(Err)
    }
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
        match &mut $connection.io {
            Io::Plain(io) => Pin::new(io).$method($($argument),*),
            Io::Tls(io) => Pin::new(io.as_mut()).$method($($argument),*),
            Io::Within(io) => Pin::new(io).$method($($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(watch) = &mut self.watch
            && let Poll::Ready(error) = watch.poll_unused(context)
        {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let polled = either!(self, poll_read(context, buffer));
        if let Some(watch) = &mut self.watch {
            watch.read(buffer.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = either!(self, poll_write(context, bytes));
        self.watched(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = either!(self, poll_flush(context));
        self.watched(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = either!(self, poll_shutdown(context));
        self.watched(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = either!(self, poll_write_vectored(context, slices));
        self.watched(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
            Io::Within(io) => io.is_write_vectored(),
        }
    }
}
