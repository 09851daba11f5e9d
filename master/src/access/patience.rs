//! How long a connection may keep the master waiting: for its first words, while no buddy uses it,
//! and while it takes nothing of what is written to it.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use crate::args::LimitArgs;

/// The preface of HTTP/2 and the head of the settings that follow it.
const FIRST_BYTES: usize = 24 + 9;

/// How long the master waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For TLS, for the first words of a connection, and for the first message of a stream.
    pub(crate) handshake: Duration,
    /// For a connection without a stream of a buddy, and for one that takes nothing.
    pub(crate) idle: Duration,
}

impl From<&LimitArgs> for Patience {
    fn from(limits: &LimitArgs) -> Self {
        Self { handshake: limits.handshake_timeout, idle: limits.idle_timeout }
    }
}

/// The streams of buddies on a connection.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Tally>);

#[derive(Default)]
struct Tally {
    open: AtomicUsize,
    begun: AtomicU64,
}

/// A stream that is open, until it is dropped.
pub(crate) struct OpenStream(Streams);

impl Streams {
    /// A stream begins.
    pub(crate) fn begin(&self) -> OpenStream {
        self.0.open.fetch_add(1, Relaxed);
        self.0.begun.fetch_add(1, Relaxed);
        OpenStream(self.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("open", &self.0.open).finish_non_exhaustive()
    }
}

/// Looks at a connection as it is read and written.
pub(super) struct Watch {
    patience: Patience,
    streams: Streams,
    /// Streams that had begun when it was looked at last; nothing before the first look.
    begun: Option<u64>,
    read_bytes: usize,
    look: Pin<Box<Sleep>>,
    /// When what cannot be written ends the connection.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(patience: Patience, streams: Streams) -> Self {
        let look = Box::pin(sleep(patience.handshake));
        Self { patience, streams, begun: None, read_bytes: 0, look, stuck: None }
    }

    /// Bytes came.
    pub(super) fn read(&mut self, bytes: usize) {
        self.read_bytes = self.read_bytes.saturating_add(bytes);
    }

    /// Ready with an error once nobody has used the connection for too long.
    pub(super) fn poll_unused(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.look.as_mut().poll(context));
            let (open, begun) =
                (self.streams.0.open.load(Relaxed), self.streams.0.begun.load(Relaxed));
            let why = match self.begun {
                None if self.read_bytes < FIRST_BYTES => Some("it does not begin to speak HTTP/2"),
                // Not one stream from one look to the next.
                Some(before) if open == 0 && begun == before => Some("no buddy uses it"),
                _ => None,
            };
            if let Some(why) = why {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            self.begun = Some(begun);
            self.look.as_mut().reset(Instant::now() + self.patience.idle);
        }
    }

    /// Ready with an error once what is written has gone nowhere for too long.
    pub(super) fn poll_stuck(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let idle = self.patience.idle;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "it takes nothing of what is sent"))
    }

    /// Something could be written.
    pub(super) fn written(&mut self) {
        self.stuck = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PATIENCE: Patience =
        Patience { handshake: Duration::from_secs(10), idle: Duration::from_secs(60) };

    /// How long until the watch ends the connection.
    async fn ends_after(watch: &mut Watch) -> u64 {
        let start = Instant::now();
        poll_fn(|context| watch.poll_unused(context)).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_idleness_end_a_connection() {
        let mut silent = Watch::new(PATIENCE, Streams::default());
        silent.read(FIRST_BYTES - 1);
        assert_eq!(ends_after(&mut silent).await, 10);
        let mut idle = Watch::new(PATIENCE, Streams::default());
        idle.read(FIRST_BYTES);
        assert_eq!(ends_after(&mut idle).await, 70);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_keeps_its_connection() {
        let streams = Streams::default();
        let mut used = Watch::new(PATIENCE, streams.clone());
        used.read(FIRST_BYTES);
        let stream = streams.begin();
        let day = tokio::time::timeout(Duration::from_secs(86_400), ends_after(&mut used)).await;
        assert!(day.is_err(), "a connection in use was ended");
        drop(stream);
        // Another one came and went in between.
        drop(streams.begin());
        assert!((60..=120).contains(&ends_after(&mut used).await));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_has_to_go_somewhere() {
        let mut watch = Watch::new(PATIENCE, Streams::default());
        let start = Instant::now();
        poll_fn(|context| watch.poll_stuck(context)).await;
        assert_eq!(start.elapsed().as_secs(), 60);
        watch.written();
        let again = poll_fn(|context| Poll::Ready(watch.poll_stuck(context).is_pending())).await;
        assert!(again, "what was written does not count");
    }
}
