//! A peer for the `kafka` sink: a broker that knows four kinds of requests, by their published forms,
//! and leads two partitions of whatever topic it is asked about.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Hears, Mode, State,
    over_tcp::{OverTcp, take_time},
};

pub(super) async fn start() -> OverTcp {
    let serve = |stream, state| serve(stream, state).boxed();
    OverTcp::start("kafka:{address}?compression=none", Hears::All, serve).await
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let port = stream.local_addr().unwrap().port();
    while let Ok(length) = stream.read_i32().await {
        let mut request = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut request).await.unwrap();
        if state.lock().unwrap().mode == Mode::Hang {
            return std::future::pending().await;
        }
        take_time(&state).await;
        let mut request = Request(&request);
        let (api, version, number) = (request.i16(), request.i16(), request.i32());
        request.text();
        let answer = match (api, version) {
            (18, 0) => [&[0, 0, 0, 0, 0, 2][..], &[0, 0, 0, 0, 0, 7], &[0, 3, 0, 0, 0, 4]].concat(),
            (3, 4) => metadata(&mut request, port),
            (0, 7) => produce(&mut request, &mut state.lock().unwrap()),
            other => panic!("nobody asked for {other:?}"),
        };
        // In one piece: the second of two small ones would wait for the first to be acknowledged.
        let length = 4 + i32::try_from(answer.len()).unwrap();
        let answer = [&length.to_be_bytes(), &number.to_be_bytes(), &answer[..]].concat();
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn metadata(request: &mut Request<'_>, port: u16) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend([0, 0, 0, 1, 0, 0, 0, 9]);
    out.extend(text("127.0.0.1"));
    out.extend(i32::from(port).to_be_bytes());
    // No rack, no name of the cluster, and itself as the one that makes topics.
    out.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9]);
    let topics = request.i32();
    out.extend(topics.to_be_bytes());
    for _ in 0..topics {
        out.extend([0, 0]);
        out.extend(text(&request.text()));
        out.extend([0, 0, 0, 0, 2]);
        for partition in 0..2_i32 {
            out.extend([0, 0]);
            out.extend(partition.to_be_bytes());
            out.extend([0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
    out
}

/// Counts the records of each batch: in JSON one is a sample.
fn produce(request: &mut Request<'_>, state: &mut State) -> Vec<u8> {
    assert_eq!((request.i16(), request.i16()), (-1, -1), "all replicas are to have it");
    request.i32();
    let code: i16 = match state.mode {
        // Not enough replicas, and a record that is none.
        Mode::FailForNow => 19,
        Mode::Refuse => 87,
        _ => 0,
    };
    let topics = request.i32();
    let mut out = topics.to_be_bytes().to_vec();
    for _ in 0..topics {
        out.extend(text(&request.text()));
        let partitions = request.i32();
        out.extend(partitions.to_be_bytes());
        for _ in 0..partitions {
            out.extend(request.i32().to_be_bytes());
            let length = usize::try_from(request.i32()).unwrap();
            let batch = request.take(length);
            let records = u32::from_be_bytes(batch[57..61].try_into().unwrap());
            if code == 0 {
                state.samples += u64::from(records);
            }
            out.extend(code.to_be_bytes());
            out.extend([0; 24]);
        }
    }
    out.extend([0; 4]);
    out
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// A request that is read from its beginning.
struct Request<'a>(&'a [u8]);

impl<'a> Request<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.i16()).unwrap();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }
}
