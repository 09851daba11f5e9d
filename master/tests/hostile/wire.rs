//! HTTP/2 by hand, so that it can be wrong.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// The code of an end with "calm down".
pub const ENHANCE_YOUR_CALM: u32 = 11;
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest that a test waits for the master to cut a peer off.
const SOON: Duration = Duration::from_secs(20);

/// A frame as it lies on the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header, new in name and value, that no table remembers.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.extend(length(text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A number with a prefix of seven bits.
fn length(value: usize) -> Vec<u8> {
    let Some(mut rest) = value.checked_sub(127) else { return vec![u8::try_from(value).unwrap()] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The headers of a request for a method of the protocol.
pub fn request(method: &str) -> Vec<u8> {
    let path = format!("/heapster.v1.Heapster/{method}");
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "master"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers.iter().flat_map(|(name, value)| header(name, value)).collect()
}

/// A connection whose other end says what it likes.
pub struct RawPeer(pub TcpStream);

/// What the master sent until it closed the connection: kind, stream and payload of each frame.
pub type Said = Vec<(u8, u32, Vec<u8>)>;

impl RawPeer {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Connected, with the preface said.
    pub async fn greeted(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        assert!(peer.send(PREFACE).await && peer.send(&frame(SETTINGS, 0, 0, &[])).await);
        peer
    }

    /// Whether the connection still takes it.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        timeout(SOON, self.0.write_all(bytes)).await.is_ok_and(|written| written.is_ok())
    }

    /// Sends the same again and again, and takes no answer, until the connection is cut.
    pub async fn flood(&mut self, bytes: &[u8]) {
        let many = bytes.repeat((64 << 10) / bytes.len().max(1) + 1);
        for _ in 0..100_000 {
            match timeout(SOON, self.0.write_all(&many)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => panic!("the flood is neither taken nor cut off"),
            }
        }
        panic!("the flood is taken without end");
    }

    /// Reads until the master closes the connection.
    pub async fn until_closed(&mut self) -> Said {
        let mut bytes = Vec::new();
        let read = timeout(SOON, self.0.read_to_end(&mut bytes)).await;
        // A reset is an end as well.
        let _ = read.expect("the master keeps the connection");
        said(&bytes)
    }
}

fn said(mut bytes: &[u8]) -> Said {
    let mut said = Vec::new();
    while bytes.len() >= 9 {
        let (head, rest) = bytes.split_at(9);
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        said.push((head[3], stream, payload.to_vec()));
        bytes = rest;
    }
    said
}

/// The code with which the master ended the connection.
pub fn goaway(said: &Said) -> Option<u32> {
    let mut payloads =
        said.iter().filter(|(kind, ..)| *kind == GOAWAY).map(|(.., payload)| payload);
    payloads.next_back().map(|payload| u32::from_be_bytes(payload[4..8].try_into().unwrap()))
}

impl RawPeer {
    /// The stream and payload of the next frame of a kind.
    pub async fn frame_of(&mut self, wanted: u8) -> (u32, Vec<u8>) {
        let next = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                self.0.read_exact(&mut payload).await.unwrap();
                if head[3] == wanted {
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    return (stream, payload);
                }
            }
        };
        timeout(SOON, next).await.expect("no such frame comes")
    }
}

impl RawPeer {
    /// Answers pings and nothing else, until the master closes the connection.
    pub async fn until_closed_with_pings(&mut self) {
        let answer = async {
            let mut head = [0; 9];
            while self.0.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                let is_read = self.0.read_exact(&mut payload).await.is_ok();
                if is_read && head[3] == PING && head[4] == 0 {
                    let _ = self.0.write_all(&frame(PING, 1, 0, &payload)).await;
                }
            }
        };
        timeout(SOON, answer).await.expect("the master keeps the connection");
    }
}
