//! A peer for the `riemann` sink: messages behind their length, each answered.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{Mode, Peer};

/// What of a message matters here.
#[derive(Clone, PartialEq, Message)]
struct Events {
    #[prost(bytes, repeated, tag = "6")]
    events: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(bool, optional, tag = "2")]
    ok: Option<bool>,
    #[prost(string, optional, tag = "3")]
    error: Option<String>,
}

struct State {
    mode: Mode,
    samples: u64,
}

pub(super) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = Some(tokio::spawn(serve(listener, Arc::clone(&state))));
        Self { address, state, task }
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&state)));
    }
}

/// Answers until the connection ends, or is to.
async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        let mut message = vec![0; length as usize];
        stream.read_exact(&mut message).await?;
        let events = Events::decode(message.as_slice()).unwrap().events.len() as u64;
        let mode = {
            let mut state = state.lock().unwrap();
            state.samples += if state.mode == Mode::Accept { events } else { 0 };
            state.mode
        };
        let answer = match mode {
            Mode::Accept => Answer { ok: Some(true), error: None },
            Mode::Refuse => Answer { ok: Some(false), error: Some("not like this".to_owned()) },
            Mode::FailForNow | Mode::Away => return Ok(()),
            Mode::Hang => std::future::pending().await,
        };
        let answer = answer.encode_to_vec();
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await?;
        stream.write_all(&answer).await?;
    }
}

#[async_trait(?Send)]
impl Peer for Server {
    fn spec(&self) -> String {
        format!("riemann:{}?ttl=60", self.address)
    }

    async fn set(&mut self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
        if mode == Mode::Away
            && let Some(task) = self.task.take()
        {
            task.abort();
            // Its end, so that the address is free.
            let _ = task.await;
        }
        if mode != Mode::Away && self.task.is_none() {
            let listener = TcpListener::bind(self.address).await.unwrap();
            self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.state))));
        }
    }

    fn samples(&self) -> u64 {
        self.state.lock().unwrap().samples
    }
}
