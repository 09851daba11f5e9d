//! A meter on the wire: passes a TCP port on to another one and counts the bytes each way, so that
//! what is reported is what a network would carry, compression and framing included.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A running meter; it stops when it is dropped.
pub(super) struct Meter {
    /// Where to connect to.
    pub(super) address: SocketAddr,
    counts: Arc<Counts>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// Listens on a free port and passes on to `target`.
    pub(super) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, Arc::clone(&counts)));
        Ok(Self { address, counts, _tasks: tasks })
    }

    /// Bytes that clients sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Bytes that clients received so far.
    pub(super) fn received(&self) -> u64 {
        self.counts.received.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass_on(client, target, Arc::clone(&counts)));
    }
}

/// Until either side closes: then the other is closed too.
async fn pass_on(client: TcpStream, target: SocketAddr, counts: Arc<Counts>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reader, client_writer) = client.into_split();
    let (server_reader, server_writer) = server.into_split();
    tokio::select! {
        _ = copy(client_reader, server_writer, &counts.sent) => {}
        _ = copy(server_reader, client_writer, &counts.received) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_pass_and_are_counted_each_way() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let meter = Meter::start(server.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(meter.address).await.unwrap();
        client.write_all(b"twelve bytes").await.unwrap();
        let (mut peer, _) = server.accept().await.unwrap();
        let mut received = [0; 12];
        peer.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"twelve bytes");
        peer.write_all(b"ok").await.unwrap();
        client.read_exact(&mut received[..2]).await.unwrap();
        drop((client, peer));
        assert_eq!(meter.sent(), 12);
        while meter.received() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(meter.received(), 2);
    }
}
