//! Starting a discovery, and waiting for what it finds.

use std::{path::Path, time::Duration};

use heapster_buddy::discovery::{self, Listing};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any test: what is seen is seen because of a watch.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A discovery that runs.
pub(crate) struct Running {
    receiver: watch::Receiver<Listing>,
    _guard: DropGuard,
}

/// Starts the discovery of a spec, which is listed again only when it says that something changed.
pub(crate) fn start(spec: &str) -> Running {
    start_every(spec, NEVER)
}

/// Starts the discovery of a spec, which is listed on this interval too.
pub(crate) fn start_every(spec: &str, interval: Duration) -> Running {
    let spec: heapster_shared::spec::Spec = spec.parse().unwrap();
    let cancel = CancellationToken::new();
    let named = (spec.name(), discovery::build(spec).unwrap());
    let receiver = discovery::spawn(vec![named], Vec::new(), interval, cancel.clone());
    Running { receiver, _guard: cancel.drop_guard() }
}

impl Running {
    /// Waits until a good list has exactly the hosts with these ids, in their order.
    pub(crate) async fn listed(&mut self, ids: &[&str]) -> Listing {
        self.until(|listing| {
            listing.states[0].ok
                && listing.hosts.iter().map(|host| &*host.id).eq(ids.iter().copied())
        })
        .await
    }

    /// Waits until there is no list, for a reason that has this text.
    pub(crate) async fn failed(&mut self, text: &str) -> Listing {
        self.until(|listing| !listing.states[0].ok && listing.states[0].error.contains(text)).await
    }

    /// Waits until this holds.
    pub(crate) async fn until(&mut self, holds: impl FnMut(&Listing) -> bool) -> Listing {
        let waiting = tokio::time::timeout(DEADLINE, self.receiver.wait_for(holds));
        let listing = waiting.await.map(|listing| listing.unwrap().clone());
        listing.unwrap_or_else(|_| panic!("not in time; it is {:?}", self.receiver.borrow()))
    }
}

/// Waits until this holds, which nothing tells of.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is recorded of a peer.
pub(crate) fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Answers each request at a socket of this machine: the body for a path with its query.
pub(crate) fn serve_unix(socket: &Path, respond: fn(&str) -> String) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_unix(stream, respond));
        }
    });
}

async fn answer_unix(mut stream: UnixStream, respond: fn(&str) -> String) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let body = respond(request.split(' ').nth(1).unwrap());
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}
