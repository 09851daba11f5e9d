//! A peer for sinks that write lines over TCP and hear nothing back: it counts them.

use std::sync::{Arc, Mutex};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
};

use super::{Hears, State, over_tcp::OverTcp};

pub(super) async fn start(spec: &str) -> OverTcp {
    OverTcp::start(spec, Hears::Connection, count).await
}

fn count(stream: TcpStream, state: Arc<Mutex<State>>) -> BoxFuture<'static, ()> {
    async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(_)) = lines.next_line().await {
            state.lock().unwrap().samples += 1;
        }
    }
    .boxed()
}
