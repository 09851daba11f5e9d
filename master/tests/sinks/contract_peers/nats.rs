//! A peer for the `nats` sink: a server with a stream, by the published text protocol.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use heapster_testkit::peer::free_ports;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{Mode, Peer};

/// A server whose stream takes every subject.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

struct State {
    mode: Mode,
    samples: u64,
}

impl Server {
    pub(super) async fn start() -> Self {
        let [port] = free_ports().unwrap();
        let state = Arc::new(Mutex::new(State { mode: Mode::Accept, samples: 0 }));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { address, state, server: None };
        server.listen().await;
        server
    }

    async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let state = Arc::clone(&self.state);
        self.server = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        }));
    }

    async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }
}

#[async_trait(?Send)]
impl Peer for Server {
    fn spec(&self) -> String {
        format!("nats:{}?stream=S", self.address)
    }

    async fn set(&mut self, mode: Mode) {
        self.stop().await;
        self.state.lock().unwrap().mode = mode;
        if mode != Mode::Away {
            self.listen().await;
        }
    }

    fn samples(&self) -> u64 {
        self.state.lock().unwrap().samples
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    if state.lock().unwrap().mode == Mode::Hang {
        return std::future::pending().await;
    }
    stream.write_all(b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n").await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
        let parts: Vec<&str> = line.split_ascii_whitespace().collect();
        let answer = match parts[0] {
            "PING" => "PONG\r\n".to_owned(),
            "CONNECT" | "SUB" | "PONG" => String::new(),
            "PUB" => {
                assert_eq!(parts[1], "$JS.API.STREAM.INFO.S");
                body(&mut stream, parts[3]).await;
                message(parts[2], "{}")
            }
            "HPUB" => {
                let whole = body(&mut stream, parts[4]).await;
                let head: usize = parts[3].parse().unwrap();
                message(parts[2], state.lock().unwrap().take(&whole[..head], &whole[head..]))
            }
            other => panic!("no server knows {other}"),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

impl State {
    fn take(&mut self, head: &[u8], body: &[u8]) -> &'static str {
        let head = std::str::from_utf8(head).unwrap();
        assert!(head.starts_with("NATS/1.0\r\nNats-Msg-Id: ") && head.ends_with("\r\n\r\n"));
        match self.mode {
            Mode::FailForNow => {
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#
            }
            Mode::Refuse => {
                r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#
            }
            _ => {
                let row: serde_json::Value = serde_json::from_slice(body).unwrap();
                self.samples += row["samples"].as_array().unwrap().len() as u64;
                r#"{"stream":"S","seq":1}"#
            }
        }
    }
}

async fn body(stream: &mut BufReader<TcpStream>, length: &str) -> Vec<u8> {
    let mut bytes = vec![0; length.parse::<usize>().unwrap() + 2];
    stream.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(b"\r\n"));
    bytes.truncate(bytes.len() - 2);
    bytes
}

fn message(subject: &str, body: &str) -> String {
    format!("MSG {subject} 1 {}\r\n{body}\r\n", body.len())
}
