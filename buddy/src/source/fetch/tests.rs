//! Fetches over real sockets: which connections stay, what is sent once more, and what is said.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use heapster_shared::{secret::Secret, units::ByteSize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// What a server does with the n-th request on its n-th connection, both from 0.
type Act = dyn Fn(usize, usize) -> Vec<Step> + Send + Sync;

enum Step {
    Write(&'static [u8]),
    /// Byte by byte, each in a segment of its own.
    Dribble(&'static [u8]),
    Close,
    /// Until the other side closes.
    Wait,
}

use Step::{Close, Dribble, Wait, Write as Say};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

struct Server {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
    opened: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Server {
    async fn start(act: impl Fn(usize, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", act).await
    }

    async fn at(
        address: &str,
        act: impl Fn(usize, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            opened: Arc::default(),
            ended: Arc::default(),
        };
        let (requests, opened, ended) =
            (Arc::clone(&server.requests), Arc::clone(&server.opened), Arc::clone(&server.ended));
        let act: Arc<Act> = Arc::new(act);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = opened.fetch_add(1, Ordering::Relaxed);
                let (act, requests, ended) =
                    (Arc::clone(&act), Arc::clone(&requests), Arc::clone(&ended));
                tokio::spawn(async move {
                    serve(stream, connection, &*act, &requests).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        server
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    act: &Act,
    requests: &Mutex<Vec<String>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    for number in 0.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        requests.lock().unwrap().push(String::from_utf8(head).unwrap());
        for step in act(connection, number) {
            match step {
                Say(bytes) => stream.write_all(bytes).await.ok()?,
                Dribble(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[*byte]).await.ok()?;
                        tokio::task::yield_now().await;
                    }
                }
                Close => return None,
                Wait => drop(stream.read_u8().await.ok()?),
            }
        }
    }
    None
}

fn fetcher() -> Fetcher {
    Fetcher::new(FetchOptions::new(ByteSize::mib(1))).unwrap()
}

async fn until(holds: impl Fn() -> bool) {
    let polling = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polling).await.expect("it to happen in time");
}

/// A name that cannot be resolved is told from a host that is down.
#[tokio::test]
async fn an_unknown_host_is_said_to_be_unknown() {
    let error = fetcher().get("http://no-such-host.invalid:1/").await.unwrap_err().to_string();
    assert!(error.contains("cannot be resolved"), "{error}");
}

/// What goes over the wire, to the byte.
#[tokio::test]
async fn requests_as_they_are_sent() {
    let server = Server::start(|_, _| vec![Say(HELLO)]).await;
    assert_eq!(&*fetcher().get(&format!("{}?a=b", server.base)).await.unwrap(), "hello");
    let (host, software) =
        (server.base.strip_prefix("http://").unwrap(), heapster_shared::SOFTWARE);
    let expected = format!(
        "GET /?a=b HTTP/1.1\r\nhost: {host}\r\nuser-agent: {software}\r\naccept: */*\r\naccept-encoding: identity\r\n\r\n"
    );
    assert_eq!(*server.requests.lock().unwrap(), [expected]);
}

/// A token that anybody on the way could read is not sent.
#[tokio::test]
async fn no_token_is_sent_in_the_clear() {
    let server =
        Server::start(|_, _| vec![Say(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")]).await;
    let mut options = FetchOptions::new(ByteSize::mib(1));
    options.token = Some(TokenSource::Text(Secret::from("hunter2".to_owned())));
    let fetcher = Fetcher::new(options).unwrap();
    let error = fetcher.get(&server.base).await.unwrap_err().to_string();
    assert!(error.contains("credentials are sent by TLS only"), "{error}");
    assert!(!server.requests.lock().unwrap()[0].contains("authorization"));
    assert!(!format!("{fetcher:?}").contains("hunter2"));
}

/// One connection serves documents and refusals alike, as long as their ends are known.
#[tokio::test]
async fn a_connection_stays_after_an_answer() {
    let server = Server::start(|_, number| match number {
        1 => vec![Say(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nno!\n")],
        2 => vec![Dribble(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")],
        _ => vec![Say(HELLO)],
    })
    .await;
    let fetcher = fetcher();
    assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    let error = fetcher.get(&server.base).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} answered 404 Not Found: no!", server.base));
    assert!(error.is_not_served());
    for _ in 0..3 {
        assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    }
    assert_eq!(server.opened(), 1);
}

/// After these answers it is not sure that the next thing that comes is the next answer.
#[tokio::test]
async fn a_connection_does_not_stay_when_its_state_is_not_sure() {
    const ANSWERS: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: br\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nhello",
    ];
    for answer in ANSWERS {
        let server = Server::start(move |_, _| vec![Say(answer)]).await;
        let fetcher = fetcher();
        for _ in 0..2 {
            let _ = fetcher.get(&server.base).await;
        }
        assert_eq!(server.opened(), 2, "{}", String::from_utf8_lossy(answer));
    }
}

/// A host may close a kept connection just when it is used: that is no failure. A new connection
/// that is closed is one, and so is an answer that began.
#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    let server = Server::start(|connection, number| match (connection, number) {
        (0, 0) | (1, _) => vec![Say(HELLO)],
        _ => vec![Close],
    })
    .await;
    let fetcher = fetcher();
    for _ in 0..2 {
        assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    }
    assert_eq!((server.opened(), server.requests.lock().unwrap().len()), (2, 3));

    let server = Server::start(|_, _| vec![Close]).await;
    let error = fetcher.get(&server.base).await.unwrap_err().to_string();
    assert!(error.contains("closed the connection or gave no HTTP answer"), "{error}");
    assert_eq!(server.opened(), 1);

    let server = Server::start(|_, number| match number {
        0 => vec![Say(HELLO)],
        _ => vec![Say(b"HTTP/1.1 2"), Close],
    })
    .await;
    assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    let error = fetcher.get(&server.base).await.unwrap_err().to_string();
    assert!(error.contains("gave no HTTP answer"), "{error}");
    assert_eq!(server.opened(), 1);
}

/// A fetch that is given up in the middle of an answer closes its connection; what still comes is
/// never taken for the next answer.
#[tokio::test]
async fn a_fetch_that_is_dropped_leaves_nothing_behind() {
    let server = Server::start(|connection, number| match (connection, number) {
        (0, 1) => vec![Say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe"), Wait],
        _ => vec![Say(HELLO)],
    })
    .await;
    let fetcher = fetcher();
    assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    tokio::select! {
        _ = fetcher.get(&server.base) => panic!("the answer is not complete"),
        () = until(|| server.requests.lock().unwrap().len() == 2) => {}
    }
    until(|| server.ended.load(Ordering::Relaxed) == 1).await;
    assert_eq!(&*fetcher.get(&server.base).await.unwrap(), "hello");
    assert_eq!(server.opened(), 2);
}

/// A refusal whose body does not come is told all the same.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_without_its_body() {
    let server = Server::start(|_, _| {
        vec![Say(b"HTTP/1.1 503 Busy\r\ncontent-length: 900\r\n\r\nstarting\n"), Wait]
    })
    .await;
    let error = fetcher().get(&server.base).await.unwrap_err().to_string();
    assert!(error.ends_with("answered 503 Busy: starting"), "{error}");
}

#[tokio::test]
async fn hosts_with_addresses_of_version_6_are_fetched_from() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let server = Server::at("[::1]:0", |_, _| vec![Say(HELLO)]).await;
    assert_eq!(&*fetcher().get(&server.base).await.unwrap(), "hello");
}

/// `localhost` may have an address on which nothing listens; the other one is tried.
#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let server = Server::start(|_, _| vec![Say(HELLO)]).await;
    let url = server.base.replace("127.0.0.1", "localhost");
    assert_eq!(&*fetcher().get(&url).await.unwrap(), "hello");
}

/// An answer that is larger than any buffer so far comes whole, and its memory serves the next.
#[tokio::test]
async fn large_answers_come_whole() {
    const BYTES: usize = 700_000;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {BYTES}\r\n\r\n{}", "x".repeat(BYTES));
    let answer: &'static [u8] = answer.into_bytes().leak();
    let server = Server::start(move |_, _| vec![Say(answer)]).await;
    let fetcher = fetcher();
    let mut places = Vec::new();
    for _ in 0..3 {
        let body = fetcher.get(&server.base).await.unwrap();
        assert!(body.len() == BYTES && body.bytes().all(|byte| byte == b'x'));
        places.push(body.as_ptr());
    }
    assert!(places.iter().all(|place| *place == places[0]));
}
