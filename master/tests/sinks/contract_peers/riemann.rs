//! A peer for the `riemann` sink: messages behind their length, each answered.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Hears, Mode, State,
    over_tcp::{OverTcp, take_time},
};

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

pub(super) async fn start() -> OverTcp {
    let serve = |stream, state| answer(stream, state).map(drop).boxed();
    OverTcp::start("riemann:{address}?ttl=60", Hears::All, serve).await
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
            let taken = matches!(state.mode, Mode::Accept | Mode::Slow);
            state.samples += if taken { events } else { 0 };
            state.mode
        };
        take_time(&state).await;
        let answer = match mode {
            Mode::Accept | Mode::Slow => Answer { ok: Some(true), error: None },
            Mode::Refuse => Answer { ok: Some(false), error: Some("not like this".to_owned()) },
            Mode::FailForNow | Mode::Away => return Ok(()),
            Mode::Hang => std::future::pending().await,
        };
        let answer = answer.encode_to_vec();
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await?;
        stream.write_all(&answer).await?;
    }
}
