//! Peers over TCP: what they have in common, whatever they say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{Hears, Mode, Peer, SLOW, State};

/// What is done with a connection.
pub(super) type Serve = fn(TcpStream, Arc<Mutex<State>>) -> BoxFuture<'static, ()>;

/// A server that does with connections what its kind does.
pub(super) struct OverTcp {
    spec: String,
    hears: Hears,
    serve: Serve,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl OverTcp {
    /// A server whose address stands for `{address}` in this spec.
    pub(super) async fn start(spec: &str, hears: Hears, serve: Serve) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spec = spec.replace("{address}", &address.to_string());
        let state = Arc::default();
        let mut server = Self { spec, hears, serve, address, state, server: None };
        server.accept_from(listener);
        server
    }

    /// Its connections end with it.
    fn accept_from(&mut self, listener: TcpListener) {
        let (serve, state) = (self.serve, Arc::clone(&self.state));
        self.server = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        }));
    }
}

/// Takes the time that a slow peer takes.
pub(super) async fn take_time(state: &Mutex<State>) {
    let slow = state.lock().unwrap().mode == Mode::Slow;
    if slow {
        tokio::time::sleep(SLOW).await;
    }
}

#[async_trait(?Send)]
impl Peer for OverTcp {
    fn hears(&self) -> Hears {
        self.hears
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
        self.state.lock().unwrap().mode = mode;
        // Who hears no answer hears of trouble by the connection alone.
        let listens = match self.hears {
            Hears::All => mode != Mode::Away,
            Hears::Connection | Hears::Nothing => matches!(mode, Mode::Accept | Mode::Slow),
        };
        if listens {
            self.accept_from(TcpListener::bind(self.address).await.unwrap());
        }
    }

    fn samples(&self) -> u64 {
        self.state.lock().unwrap().samples
    }
}
