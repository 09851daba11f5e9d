//! A peer for the `nats` sink: a server with a stream that takes every subject, by the published text
//! protocol.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    Hears, Mode, State,
    over_tcp::{OverTcp, take_time},
};

pub(super) async fn start() -> OverTcp {
    let serve = |stream, state| serve(stream, state).boxed();
    OverTcp::start("nats:{address}?stream=S", Hears::All, serve).await
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
                message(parts[2], take(&mut state.lock().unwrap(), &whole[..head], &whole[head..]))
            }
            other => panic!("no server knows {other}"),
        };
        if !answer.is_empty() {
            take_time(&state).await;
        }
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

fn take(state: &mut State, head: &[u8], body: &[u8]) -> &'static str {
    let head = std::str::from_utf8(head).unwrap();
    assert!(head.starts_with("NATS/1.0\r\nNats-Msg-Id: ") && head.ends_with("\r\n\r\n"));
    match state.mode {
        Mode::FailForNow => {
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#
        }
        Mode::Refuse => {
            r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#
        }
        _ => {
            let row: serde_json::Value = serde_json::from_slice(body).unwrap();
            state.samples += row["samples"].as_array().unwrap().len() as u64;
            r#"{"stream":"S","seq":1}"#
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
