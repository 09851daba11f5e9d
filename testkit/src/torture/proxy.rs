//! A way between two programs that can be cut, frozen or slow.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What a way lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Open,
    /// Everything comes later by this much.
    Slow(Duration),
    /// Connections stand, and nothing passes.
    Frozen,
    /// Connections end, and no others are taken.
    Cut,
}

/// Passes connections on until it is dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    way: watch::Sender<Way>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Listens on any port of the loopback address.
    pub(super) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (way, seen) = watch::channel(Way::Open);
        let serving = tokio::spawn(serve(listener, target, seen));
        Ok(Self { address, way, serving })
    }

    pub(super) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, way: watch::Receiver<Way>) {
    loop {
        match listener.accept().await {
            Ok((near, _)) if *way.borrow() != Way::Cut => {
                tokio::spawn(pass(near, target, way.clone()));
            }
            // What was accepted and dropped is a connection that ends.
            Ok(_) => {}
            // Out of file descriptors, say: give others time to close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Passes on what both sides of a connection say, until one ends it or it is cut.
async fn pass(near: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let there = pump(near_in, far_out, way.clone());
    let back = pump(far_in, near_out, way.clone());
    tokio::select! {
        // Each half may end by itself: the other may still have something to say.
        _ = futures::future::join(there, back) => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let seen = way.wait_for(|way| matches!(way, Way::Open | Way::Slow(_))).await;
        let Ok(seen) = seen.map(|way| *way) else { return };
        if let Way::Slow(delay) = seen {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    // It fails where the other side is gone, too.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    /// Frozen it passes nothing and forgets nothing; cut it ends what stands and takes nothing new.
    #[tokio::test]
    async fn a_way_is_frozen_and_cut_and_opened_again() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let mut answer = [0; 1];
        stream.write_all(b"a").await.unwrap();
        timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        proxy.set(Way::Frozen);
        stream.write_all(b"b").await.unwrap();
        assert!(timeout(Duration::from_millis(100), stream.read_exact(&mut answer)).await.is_err());
        proxy.set(Way::Open);
        timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"b");
        proxy.set(Way::Cut);
        assert!(!matches!(timeout(SOON, stream.read(&mut answer)).await.unwrap(), Ok(1..)));
        let mut refused = TcpStream::connect(proxy.address).await.unwrap();
        assert!(!matches!(timeout(SOON, refused.read(&mut answer)).await.unwrap(), Ok(1..)));
        proxy.set(Way::Open);
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"c").await.unwrap();
        timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    }
}
