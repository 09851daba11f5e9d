//! Datagrams to a peer, over UDP or a socket of the machine: nothing is known of what arrives.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    net::{UdpSocket, UnixDatagram},
    sync::Mutex,
};

use super::{SinkError, lines::Body, stream::Address};

/// A peer that takes datagrams.
#[derive(Debug)]
pub(super) struct DatagramPeer {
    what: &'static str,
    to: Destination,
    socket: Mutex<Option<Socket>>,
}

#[derive(Debug)]
enum Destination {
    Udp(Address),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send(datagram).await,
            Self::Unix(socket) => socket.send(datagram).await,
        }
    }
}

/// Datagrams that are sent without a pause: receivers have buffers of some hundred KiB, and lose what
/// does not fit.
const BURST: usize = 32;
/// The pause.
const PAUSE: Duration = Duration::from_millis(1);

impl DatagramPeer {
    /// A peer over UDP.
    pub(super) fn udp(what: &'static str, address: Address) -> Self {
        Self { what, to: Destination::Udp(address), socket: Mutex::new(None) }
    }

    /// A peer at a socket of this machine.
    pub(super) fn unix(what: &'static str, path: PathBuf) -> Self {
        Self { what, to: Destination::Unix(path), socket: Mutex::new(None) }
    }

    /// Sends whole lines, as many in a datagram as fit in this many bytes and lines; the last line
    /// break of each is left out. A line that is longer goes alone.
    ///
    /// # Errors
    /// When the machine does not send it.
    pub(super) async fn send_lines(
        &self,
        body: &Body,
        most_bytes: usize,
        most_lines: usize,
    ) -> Result<(), SinkError> {
        let mut slot = self.socket.lock().await;
        // Out of its slot: a socket whose use failed is opened anew.
        let socket = match slot.take() {
            Some(socket) => socket,
            None => self.open().await.map_err(|error| self.failed(&error))?,
        };
        for (number, datagram) in datagrams(body, most_bytes, most_lines).enumerate() {
            if number > 0 && number % BURST == 0 {
                tokio::time::sleep(PAUSE).await;
            }
            socket.send(datagram).await.map_err(|error| self.failed(&error))?;
        }
        *slot = Some(socket);
        Ok(())
    }

    async fn open(&self) -> io::Result<Socket> {
        match &self.to {
            Destination::Udp(Address { host, port }) => {
                let mut addresses = tokio::net::lookup_host((host.as_str(), *port)).await?;
                let nowhere = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                let address = addresses.next().ok_or_else(nowhere)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(address).await?;
                Ok(Socket::Udp(socket))
            }
            Destination::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
        }
    }

    fn failed(&self, error: &io::Error) -> SinkError {
        let to = match &self.to {
            Destination::Udp(address) => address.to_string(),
            Destination::Unix(path) => path.display().to_string(),
        };
        SinkError::Transient {
            message: format!(
                "cannot send to {} at {to}: {error}; check that it is running and that this is its address",
                self.what
            ),
            retry_after: None,
        }
    }
}

/// The lines of a body in datagrams.
fn datagrams(body: &Body, most_bytes: usize, most_lines: usize) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let mut line = 0;
    std::iter::from_fn(move || {
        let mut end = start;
        let mut taken = 0;
        while let Some(next) = body.lines.get(line) {
            // The last line break stays at home.
            if taken > 0 && (taken >= most_lines || next.offset - 1 - start > most_bytes) {
                break;
            }
            end = next.offset;
            taken += 1;
            line += 1;
        }
        let datagram = &body.text[start..end];
        start = end;
        (taken > 0).then(|| datagram.strip_suffix(b"\n").unwrap_or(datagram))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(lines: &[&str]) -> Body {
        let mut body = Body::default();
        for line in lines {
            body.text.extend_from_slice(line.as_bytes());
            body.text.push(b'\n');
            body.end_line(1);
        }
        body
    }

    #[test]
    fn datagrams_are_whole_lines_and_lose_none() {
        let body = body(&["aa", "bb", "cc", "dddddddd", "e"]);
        let sent = |bytes, lines| {
            let sent = datagrams(&body, bytes, lines);
            sent.map(|datagram| String::from_utf8(datagram.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(sent(5, 9), ["aa\nbb", "cc", "dddddddd", "e"]);
        assert_eq!(sent(100, 2), ["aa\nbb", "cc\ndddddddd", "e"]);
        assert_eq!(sent(100, 9).len(), 1);
        assert_eq!(datagrams(&Body::default(), 5, 5).count(), 0);
    }

    #[tokio::test]
    async fn a_socket_of_the_machine_may_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statsd.sock");
        let peer = DatagramPeer::unix("X", path.clone());
        let error = peer.send_lines(&body(&["a"]), 100, 9).await.unwrap_err();
        assert!(error.to_string().contains("statsd.sock"), "{error}");
        let receiver = UnixDatagram::bind(&path).unwrap();
        peer.send_lines(&body(&["a", "b"]), 100, 9).await.unwrap();
        let mut received = [0; 16];
        let length = receiver.recv(&mut received).await.unwrap();
        assert_eq!(&received[..length], b"a\nb");
    }
}
