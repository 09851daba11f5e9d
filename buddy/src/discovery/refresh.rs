//! Runs the discoveries of a buddy and merges what they find.
//!
//! Each discovery has a task of its own: it lists, publishes, and lists again when the discovery
//! says that something changed, or after the interval. After an error it tries again with backoff,
//! and the last good list stands. A host is known by its id; where two lists have the same id, that
//! of the earlier discovery stands, and the later one's state says so.

mod board;

use std::{sync::Arc, time::Duration};

use heapster_shared::{
    backoff::Backoff,
    host::{DiscoveryState, Host},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::board::Board;
use super::{Discovery, DiscoveryError};

/// A list that takes longer than this is an error.
const LIST_DEADLINE: Duration = Duration::from_secs(30);
/// Changes that come one after the other are read together.
const GATHER: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// However long the interval is, a failure is not waited out longer than this.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The hosts of the cluster, as far as they are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// All hosts, each id once; the same `Arc` for as long as nothing changes.
    pub hosts: Arc<Vec<Host>>,
    /// How each discovery does, in the order in which they were given.
    pub states: Vec<DiscoveryState>,
}

impl Listing {
    /// Whether it says which hosts there are. As long as no discovery has given its first list, an
    /// empty listing says nothing; after that it says that there are none.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let mut states = self.states.iter();
        !self.hosts.is_empty()
            || self.states.is_empty()
            || states.any(|state| state.listed_unix_ms != 0)
    }

    /// Whether each discovery has given a list.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.states.iter().all(|state| state.listed_unix_ms != 0)
    }
}

/// Starts to discover: the receiver sees `own_hosts` at once, and the merged list after each
/// attempt. Discoveries stop when `cancel` is cancelled.
///
/// `own_hosts` are those that sources name themselves; they are always in the list. A discovery is
/// given with the name by which its state is shown, which must have no secrets.
#[must_use]
pub fn spawn(
    discoveries: Vec<(String, Box<dyn Discovery>)>,
    own_hosts: Vec<Host>,
    interval: Duration,
    cancel: CancellationToken,
) -> watch::Receiver<Listing> {
    let names = discoveries.iter().map(|(name, _)| name.clone()).collect();
    let (board, receiver) = Board::new(names, own_hosts);
    let board = Arc::new(board);
    for (index, (name, discovery)) in discoveries.into_iter().enumerate() {
        let refresh = Refresh::new(index, name, interval, Arc::clone(&board));
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = refresh.run(discovery) => {}
                () = cancel.cancelled() => {}
            }
        });
    }
    // Keeps the channel open where there is no discovery at all.
    tokio::spawn(async move {
        cancel.cancelled().await;
        drop(board);
    });
    receiver
}

/// The task of one discovery.
struct Refresh {
    index: usize,
    name: String,
    interval: Duration,
    board: Arc<Board>,
    backoff: Backoff,
    failing: Option<String>,
}

impl Refresh {
    fn new(index: usize, name: String, interval: Duration, board: Arc<Board>) -> Self {
        let backoff = Backoff::new(FIRST_RETRY.min(interval), LONGEST_RETRY.min(interval));
        Self { index, name, interval, board, backoff, failing: None }
    }

    async fn run(mut self, mut discovery: Box<dyn Discovery>) {
        loop {
            let wait = match list(discovery.as_mut()).await {
                Ok(hosts) => {
                    self.succeeded(hosts, discovery.left_out());
                    self.interval.mul_f64(rand::random_range(0.9..=1.1))
                }
                Err(error) => {
                    self.failed(error);
                    self.backoff.next_wait()
                }
            };
            // After an error too: a file that was mended is read at once.
            if tokio::time::timeout(wait, discovery.changed()).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    fn succeeded(&mut self, hosts: Vec<Host>, left_out: &[String]) {
        if self.failing.take().is_some() {
            tracing::info!(discovery = %self.name, hosts = hosts.len(), "discovery works again");
        }
        self.backoff.reset();
        self.board.listed(self.index, hosts, left_out.join("; "), now_ms());
    }

    fn failed(&mut self, DiscoveryError(error): DiscoveryError) {
        // Said once, not at every attempt; the state has it all the time.
        if self.failing.as_deref() != Some(error.as_str()) {
            let discovery = &self.name;
            tracing::warn!(%discovery, %error, "no list of hosts; the last good one stands");
        }
        self.board.failed(self.index, &error);
        self.failing = Some(error);
    }
}

async fn list(discovery: &mut dyn Discovery) -> Result<Vec<Host>, DiscoveryError> {
    let no_answer =
        |_| DiscoveryError(format!("no list of hosts within {} s", LIST_DEADLINE.as_secs()));
    tokio::time::timeout(LIST_DEADLINE, discovery.list()).await.map_err(no_answer)?
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
