//! A peer for sinks that write lines over TCP and hear nothing back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{Hears, Mode, Peer};

/// Counts lines.
pub(super) struct Lines {
    spec: String,
    address: SocketAddr,
    lines: Arc<AtomicU64>,
    server: Option<JoinHandle<()>>,
}

impl Lines {
    /// A peer whose address is put into this spec.
    pub(super) async fn start(spec: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines = Arc::default();
        let server = Some(tokio::spawn(serve(listener, Arc::clone(&lines))));
        Self { spec: spec.replace("{address}", &address.to_string()), address, lines, server }
    }
}

/// Its connections end with it.
async fn serve(listener: TcpListener, lines: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let lines = Arc::clone(&lines);
        connections.spawn(async move {
            let mut read = BufReader::new(stream).lines();
            while let Ok(Some(_)) = read.next_line().await {
                lines.fetch_add(1, SeqCst);
            }
        });
    }
}

#[async_trait(?Send)]
impl Peer for Lines {
    fn hears(&self) -> Hears {
        Hears::Connection
    }

    fn spec(&self) -> String {
        self.spec.clone()
    }

    async fn set(&mut self, mode: Mode) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Its end, so that the address is free.
            let _ = server.await;
        }
        if mode == Mode::Accept {
            let listener = TcpListener::bind(self.address).await.unwrap();
            self.server = Some(tokio::spawn(serve(listener, Arc::clone(&self.lines))));
        }
    }

    fn samples(&self) -> u64 {
        self.lines.load(SeqCst)
    }
}
