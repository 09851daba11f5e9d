//! The played master's end of TLS: it shows the certificate that the act wants it to, and tells of each
//! handshake.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    Error, ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;

use super::server::{Event, What};

/// A handshake may take this long.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that wait for the server.
const QUEUED: usize = 16;
/// Before the next try when a connection cannot be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Whose certificate is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Face {
    /// The master's own.
    Master,
    /// One for the same name, of an authority that nobody was told to believe.
    Stranger,
    /// One of the right authority, for another name.
    OtherName,
}

/// The certificates, and which is shown.
pub(super) struct Faces {
    known: [(Face, Arc<CertifiedKey>); 3],
    shown: Mutex<Face>,
}

impl std::fmt::Debug for Faces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faces").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Faces {
    pub(super) fn new(known: [(Face, CertifiedKey); 3]) -> Self {
        let known = known.map(|(face, key)| (face, Arc::new(key)));
        Self { known, shown: Mutex::new(Face::Master) }
    }

    /// Shows this one from now on.
    pub(super) fn show(&self, face: Face) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = face;
    }
}

impl ResolvesServerCert for Faces {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known.iter();
        known.find(|(face, _)| *face == shown).map(|(_, key)| Arc::clone(key))
    }
}

/// What became of a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shaken {
    Done,
    /// It was broken off by one of the two, and why.
    Refused(String),
    /// What came is no TLS.
    NoTls(String),
}

impl Shaken {
    /// Why there is no connection.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Refused(error) | Self::NoTls(error) => Some(error),
        }
    }

    fn of(error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        match cause {
            Some(Error::InvalidMessage(_)) => Self::NoTls(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// Takes connections for as long as somebody wants them.
pub(super) fn accept(
    listener: TcpListener,
    config: ServerConfig,
    events: mpsc::Sender<Event>,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (connections, queue) = mpsc::channel(QUEUED);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while !connections.is_closed() {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let (acceptor, events) = (acceptor.clone(), events.clone());
            let connections = connections.clone();
            tokio::spawn(async move {
                let (shaken, stream) = shake(&acceptor, stream).await;
                // Nobody looks any more when the run is over.
                let _ = events.send(Event { stream: u64::MAX, what: What::Shaken(shaken) }).await;
                if let Some(stream) = stream {
                    let _ = connections.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(queue)
}

async fn shake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> (Shaken, Option<TlsStream<TcpStream>>) {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => (Shaken::Done, Some(stream)),
        Ok(Err(error)) => (Shaken::of(&error), None),
        Err(_) => (Shaken::Refused(format!("it took longer than {HANDSHAKE:?}")), None),
    }
}
