//! Connections that wait for the next poll of their host. Only those wait whose last answer was
//! read to its end.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use heapster_shared::Map;
use tokio::time::Instant;

use super::stream::Stream;

/// Longer than the usual resolutions, so that a connection lives from poll to poll.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// How often it is looked for connections that waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// One host has no more waiting connections than this.
const IDLE_PER_HOST: usize = 2;

/// The waiting connections.
#[derive(Default)]
pub(super) struct Idle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: Map<Box<str>, Vec<Waiting>>,
    /// Whether a task looks after them; there is one as long as there are any.
    swept: bool,
}

struct Waiting {
    stream: Stream,
    since: Instant,
    /// With which version of the trusted files it was opened.
    version: u64,
}

impl Idle {
    /// The connection to this host that was used last, if it is still as it was left and whom to
    /// trust has not changed since.
    pub(super) async fn take(&self, host: &str, version: u64) -> Option<Stream> {
        loop {
            let mut waiting = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.hosts.get_mut(host)?.pop()?
            };
            let fresh = waiting.since.elapsed() < IDLE_TIMEOUT && waiting.version == version;
            if fresh && waiting.stream.is_quiet().await {
                return Some(waiting.stream);
            }
        }
    }

    /// Keeps a connection for the next poll of its host.
    pub(super) fn put(self: &Arc<Self>, host: &str, stream: Stream, version: u64) {
        let waiting = Waiting { stream, since: Instant::now(), version };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.hosts.get_mut(host) {
            Some(others) if others.len() >= IDLE_PER_HOST => return,
            Some(others) => others.push(waiting),
            None => drop(state.hosts.insert(host.into(), vec![waiting])),
        }
        if !state.swept {
            state.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Takes out what waited too long, and gives whether anything is left.
    fn take_old(&self) -> (Vec<Waiting>, bool) {
        let mut old = Vec::new();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.hosts.retain(|_, waiting| {
            old.extend(waiting.extract_if(.., |one| one.since.elapsed() >= IDLE_TIMEOUT));
            !waiting.is_empty()
        });
        state.swept = !state.hosts.is_empty();
        (old, state.swept)
    }
}

/// Closes what waited too long, until nothing waits or nobody fetches any more.
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(idle) = idle.upgrade() else { return };
        let (old, any_left) = idle.take_old();
        drop(old);
        if !any_left {
            return;
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Plain(ours), listener.accept().await.unwrap().0)
    }

    /// Two wait at most, they serve their own host only, and only with the trust they began with.
    #[tokio::test]
    async fn connections_wait_for_their_host() {
        let idle = Arc::<Idle>::default();
        let mut theirs = Vec::new();
        for _ in 0..3 {
            let (stream, their) = pair().await;
            idle.put("http://a", stream, 0);
            theirs.push(their);
        }
        assert!(idle.take("http://b", 0).await.is_none());
        assert!(idle.take("http://a", 0).await.is_some());
        assert!(idle.take("http://a", 1).await.is_none());
        assert!(idle.take("http://a", 0).await.is_none());
    }

    /// A connection on which the host spoke out of turn, or which it closed, is not used.
    #[tokio::test]
    async fn a_connection_that_changed_is_not_used() {
        let (stream, their) = pair().await;
        their.try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream.readable().await.unwrap();
        let idle = Arc::<Idle>::default();
        idle.put("http://a", stream, 0);
        assert!(idle.take("http://a", 0).await.is_none());
        let (stream, their) = pair().await;
        drop(their);
        stream.readable().await.unwrap();
        idle.put("http://a", stream, 0);
        assert!(idle.take("http://a", 0).await.is_none());
    }

    /// A host that is polled no more loses its connection, and then nothing is left behind.
    #[tokio::test]
    async fn a_host_that_went_keeps_no_connection() {
        let (stream, their) = pair().await;
        let idle = Arc::<Idle>::default();
        tokio::time::pause();
        idle.put("http://a", stream, 0);
        tokio::time::advance(IDLE_TIMEOUT - Duration::from_secs(1)).await;
        assert!(idle.take_old().0.is_empty());
        tokio::time::sleep(Duration::from_secs(1) + SWEEP_INTERVAL).await;
        {
            let state = idle.state.lock().unwrap();
            assert!(state.hosts.is_empty() && !state.swept);
        }
        tokio::time::resume();
        their.readable().await.unwrap();
        assert_eq!(their.try_read(&mut [0]).unwrap(), 0);
    }
}
