//! What a fetch of 113 KB over loopback costs the client, and what a waiting connection keeps:
//! the fetcher of this program, hyper-util's client with its pool, and hyper's bare connection.
//!
//! `cargo bench -p heapster-buddy --bench fetch`. The server and each client are processes of their
//! own, so that nobody pays for another.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fmt::Write,
    io::{BufRead, BufReader},
    pin::Pin,
    process::{Command, Stdio},
};

use heapster_buddy::source::fetch::{FetchOptions, Fetcher};
use heapster_shared::units::ByteSize;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, client::conn::http1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BODY_BYTES: usize = 113_000;
const HOSTS: usize = 1000;
const ROUNDS: usize = 20;
const READ_BUFFER_BYTES: usize = 16 << 10;

type Connection = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;
type Kept = (http1::SendRequest<Empty<Bytes>>, Pin<Box<Connection>>);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match arguments[1..] {
        ["serve"] => runtime.block_on(serve()),
        ["client", name, kind, port] => runtime.block_on(measure(name, kind, port)),
        _ => run_all(),
    }
}

fn run_all() {
    let program = std::env::current_exe().unwrap();
    let mut server = Command::new(&program).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    println!("per fetch of {BODY_BYTES} bytes; {HOSTS} hosts, {ROUNDS} rounds");
    for kind in ["length", "chunked"] {
        for name in ["hyper-util", "hyper", "heapster"] {
            let arguments = ["client", name, kind, port.trim()];
            assert!(Command::new(&program).args(arguments).status().unwrap().success());
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Answers `/length` and `/chunked` on all addresses of this machine.
async fn serve() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let body = "x".repeat(BODY_BYTES);
    let length = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n{body}");
    let mut chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for chunk in body.as_bytes().chunks(4096) {
        let text = std::str::from_utf8(chunk).unwrap();
        write!(chunked, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    chunked.push_str("0\r\n\r\n");
    let (length, chunked): (&'static str, &'static str) = (length.leak(), chunked.leak());
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut request = [0; 1024];
            while let Ok(1..) = stream.read(&mut request).await {
                let answer = if request.starts_with(b"GET /l") { length } else { chunked };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// One of the three.
enum Fetching {
    HyperUtil(Box<Client<HttpConnector, Empty<Bytes>>>),
    Hyper(Vec<Option<Kept>>),
    Heapster(Fetcher),
}

impl Fetching {
    fn new(name: &str) -> Self {
        match name {
            "hyper-util" => {
                let mut tcp = HttpConnector::new();
                tcp.set_nodelay(true);
                let client = Client::builder(TokioExecutor::new())
                    .http1_read_buf_exact_size(READ_BUFFER_BYTES)
                    .pool_timer(TokioTimer::new())
                    .pool_max_idle_per_host(2)
                    .build(tcp);
                Self::HyperUtil(Box::new(client))
            }
            "hyper" => Self::Hyper((0..HOSTS).map(|_| None).collect()),
            _ => Self::Heapster(Fetcher::new(FetchOptions::new(ByteSize::mib(64))).unwrap()),
        }
    }

    async fn fetch(&mut self, host: usize, url: &str) -> usize {
        match self {
            Self::HyperUtil(client) => {
                let request = Request::get(url).body(Empty::new()).unwrap();
                text(client.request(request).await.unwrap()).await.len()
            }
            Self::Hyper(hosts) => {
                if hosts[host].is_none() {
                    hosts[host] = Some(connect(url).await);
                }
                fetch_by_hand(hosts[host].as_mut().unwrap(), url).await.len()
            }
            Self::Heapster(fetcher) => fetcher.get(url).await.unwrap().len(),
        }
    }
}

async fn connect(url: &str) -> Kept {
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut builder = http1::Builder::new();
    builder.read_buf_exact_size(Some(READ_BUFFER_BYTES));
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    (sender, Box::pin(connection))
}

/// The connection is driven here, not in a task of its own.
async fn fetch_by_hand((sender, connection): &mut Kept, url: &str) -> String {
    let uri: hyper::Uri = url.parse().unwrap();
    let request = Request::get(uri.path())
        .header("host", uri.authority().unwrap().as_str())
        .body(Empty::new())
        .unwrap();
    let fetching = async { text(sender.send_request(request).await.unwrap()).await };
    tokio::select! {
        text = fetching => text,
        _ = connection => panic!("the connection ended"),
    }
}

async fn text(response: Response<Incoming>) -> String {
    let mut body = Vec::new();
    let mut incoming = response.into_body();
    while let Some(frame) = incoming.frame().await {
        body.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    String::from_utf8(body).unwrap()
}

async fn measure(name: &str, kind: &str, port: &str) {
    let url = |host: usize| format!("http://127.0.{}.{}:{port}/{kind}", host / 250, host % 250 + 1);
    let urls: Vec<String> = (0..HOSTS).map(url).collect();
    let mut fetching = Fetching::new(name);
    let memory = kilobytes();
    for (host, url) in urls.iter().enumerate() {
        assert_eq!(fetching.fetch(host, url).await, BODY_BYTES);
    }
    let memory = kilobytes() - memory;
    let (user, system, waits) = spent();
    for _ in 0..ROUNDS {
        for (host, url) in urls.iter().enumerate() {
            assert_eq!(fetching.fetch(host, url).await, BODY_BYTES);
        }
    }
    let (user, system, waits) = (spent().0 - user, spent().1 - system, spent().2 - waits);
    let per_fetch = |value: f64| value / (ROUNDS * HOSTS) as f64;
    println!(
        "{name:10} {kind:8} {:6.1} µs user {:6.1} µs system {:5.1} waits; {:6.1} KB a connection",
        per_fetch(user * 1e4),
        per_fetch(system * 1e4),
        per_fetch(waits),
        memory / HOSTS as f64,
    );
}

/// Hundredths of a second in this process and in the kernel for it, and how often it waited.
fn spent() -> (f64, f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let waits = status("voluntary_ctxt_switches:");
    (fields[11].parse().unwrap(), fields[12].parse().unwrap(), waits)
}

fn kilobytes() -> f64 {
    status("VmRSS:")
}

fn status(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
