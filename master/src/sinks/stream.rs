//! A connection over TCP, with or without TLS, that is made again when it broke: for peers that speak
//! no HTTP.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Mutex,
};

use super::{
    SinkError,
    peer::{PeerOptions, Stream, client_config, connect},
};

/// A peer over TCP.
pub(super) struct StreamPeer {
    what: &'static str,
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    connection: Mutex<Option<Box<dyn Stream>>>,
}

/// `HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// A name, or an address; of IPv6 without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

impl Address {
    /// Reads `HOST[:PORT]`, without a scheme.
    ///
    /// # Errors
    /// A sentence with what was written.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let url = url::Url::parse(&format!("tcp://{text}"));
        let wrong =
            || format!("`{text}` is no address: write HOST:PORT, such as 127.0.0.1:{default_port}");
        let url = url.map_err(|_| wrong())?;
        let beside = !url.path().trim_matches('/').is_empty() || url.query().is_some();
        if beside || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(default_port) })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl StreamPeer {
    /// A peer that is not connected yet. `what` is its name in messages; TLS is spoken when
    /// `encrypted` is true, or the options name what only TLS needs.
    ///
    /// # Errors
    /// A sentence, when a file of the options is no good.
    pub(super) fn new(
        what: &'static str,
        address: Address,
        options: &PeerOptions,
        encrypted: bool,
    ) -> Result<Self, String> {
        let encrypted = encrypted || options.asks_for_tls();
        let tls = if encrypted {
            ServerName::try_from(address.host.as_str())
                .map_err(|_| format!("no certificate can be for `{}`", address.host))?;
            Some(Arc::new(client_config(options, true)?))
        } else {
            None
        };
        Ok(Self { what, address, tls, connection: Mutex::new(None) })
    }

    /// Who it is and where, for messages.
    pub(super) fn place(&self) -> String {
        format!("{} at {}", self.what, self.address)
    }

    /// Writes all of this, to a connection that the peer has not closed. That it was written says
    /// only that this machine has it: TCP has no answer.
    ///
    /// # Errors
    /// When it could not be connected to, or broke.
    pub(super) async fn send(&self, bytes: &[u8]) -> Result<(), SinkError> {
        let mut slot = self.connection.lock().await;
        // Out of its slot: a connection whose use failed, or was called off, is closed.
        let mut connection = self.open(slot.take()).await?;
        let sent = write(&mut *connection, bytes).await;
        sent.map_err(|error| self.unreachable(&error))?;
        *slot = Some(connection);
        Ok(())
    }

    /// Writes all of this and reads an answer, which says its own length in the four bytes before
    /// it, the highest first.
    ///
    /// # Errors
    /// When it could not be connected to, broke, or announced more than `longest` bytes.
    pub(super) async fn exchange(&self, bytes: &[u8], longest: u32) -> Result<Vec<u8>, SinkError> {
        let mut slot = self.connection.lock().await;
        let mut connection = self.open(slot.take()).await?;
        let answer = exchange(&mut *connection, bytes, longest).await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        *slot = Some(connection);
        Ok(answer)
    }

    async fn open(&self, kept: Option<Box<dyn Stream>>) -> Result<Box<dyn Stream>, SinkError> {
        if let Some(mut connection) = kept
            && is_open(&mut *connection).await
        {
            return Ok(connection);
        }
        self.connect().await.map_err(|error| self.unreachable(&error))
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let address = self.address.to_string();
        let connect = connect(&address, self.tls.as_ref());
        let late = || {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {} s", CONNECT.as_secs()),
            )
        };
        tokio::time::timeout(CONNECT, connect).await.unwrap_or_else(|_| Err(late()))
    }

    fn unreachable(&self, error: &io::Error) -> SinkError {
        let place = self.place();
        SinkError::Transient {
            message: format!(
                "cannot write to {place}: {error}; check that it is running and that this is its address"
            ),
            retry_after: None,
        }
    }
}

async fn write(connection: &mut dyn Stream, bytes: &[u8]) -> io::Result<()> {
    connection.write_all(bytes).await?;
    connection.flush().await
}

async fn exchange(connection: &mut dyn Stream, bytes: &[u8], longest: u32) -> io::Result<Vec<u8>> {
    write(connection, bytes).await?;
    let length = connection.read_u32().await?;
    if length > longest {
        let message =
            format!("it announced an answer of {length} bytes, of which {longest} is the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut answer = Vec::new();
    let read = connection.take(u64::from(length)).read_to_end(&mut answer).await?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

/// Whether the peer has not closed the connection, as far as is known here. What it says unasked is
/// thrown away.
async fn is_open(connection: &mut dyn Stream) -> bool {
    let mut said = [0; 512];
    loop {
        // Reading is ready at once, or there is nothing to read.
        let read = tokio::time::timeout(Duration::ZERO, connection.read(&mut said)).await;
        match read {
            Err(_) => return true,
            Ok(Ok(0) | Err(_)) => return false,
            Ok(Ok(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn addresses() {
        let parse = |text| Address::parse(text, 2003).map(|address| address.to_string());
        assert_eq!(parse("h").unwrap(), "h:2003");
        assert_eq!(parse("10.0.0.1:7").unwrap(), "10.0.0.1:7");
        assert_eq!(parse("[::1]:7").unwrap(), "[::1]:7");
        for wrong in ["", "h:x", "u:hunter2@h", "h/path", "a b"] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains("write HOST:PORT"), "{wrong}: {error}");
        }
    }

    async fn peer() -> (StreamPeer, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string(), 1).unwrap();
        let options = PeerOptions::default();
        (StreamPeer::new("X", address, &options, false).unwrap(), listener)
    }

    async fn read_line(stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// One connection for as long as the peer keeps it, and another when it does not.
    #[tokio::test]
    async fn a_connection_that_was_closed_is_made_again() {
        let (peer, listener) = peer().await;
        peer.send(b"one").await.unwrap();
        let (mut first, _) = listener.accept().await.unwrap();
        assert_eq!(read_line(&mut first, 3).await, b"one");
        peer.send(b"two").await.unwrap();
        assert_eq!(read_line(&mut first, 3).await, b"two");
        drop(first);
        // The end of the stream arrives in its own time.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let mut second = loop {
            peer.send(b"three").await.ok();
            match tokio::time::timeout(Duration::from_millis(20), listener.accept()).await {
                Ok(accepted) => break accepted.unwrap().0,
                Err(_) => assert!(tokio::time::Instant::now() < deadline, "no new connection"),
            }
        };
        assert_eq!(read_line(&mut second, 5).await, b"three");
    }

    #[tokio::test]
    async fn a_peer_that_is_away_is_named() {
        let (peer, listener) = peer().await;
        drop(listener);
        let error = peer.send(b"x").await.unwrap_err();
        assert!(matches!(error, SinkError::Transient { .. }));
        assert!(error.to_string().starts_with("cannot write to X at 127.0.0.1:"), "{error}");
    }

    /// An answer is read by its length, and one that would fill the memory is not.
    #[tokio::test]
    async fn answers_have_their_bounds() {
        let (peer, listener) = peer().await;
        let answers = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_line(&mut stream, 1).await;
            stream.write_all(b"\0\0\0\x02ok").await.unwrap();
            read_line(&mut stream, 1).await;
            stream.write_all(b"\xff\0\0\0").await.unwrap();
        });
        assert_eq!(peer.exchange(b"a", 10).await.unwrap(), b"ok");
        let error = peer.exchange(b"b", 10).await.unwrap_err().to_string();
        assert!(error.contains("of which 10 is the most"), "{error}");
        answers.await.unwrap();
    }
}
