//! Discoveries that ask an API by HTTP: what they have in common, which is all but the questions
//! and the meaning of the answers.
//!
//! Of several endpoints the one in use is asked until it fails, then the next one. A change is
//! waited for as the API offers it; whatever ends the wait badly leads to a new list.

mod access;
mod blocking;
mod endpoint;
mod http;

use std::time::Duration;

use async_trait::async_trait;
use heapster_shared::{backoff::Backoff, host::Host};
use tokio::time::Instant;

pub(super) use self::{
    access::Access,
    blocking::Blocking,
    endpoint::{Endpoint, Ports, endpoints},
    http::{Answer, Http},
};
use super::{Discovery, DiscoveryError, left_out::LeftOut};

/// All endpoints together have this long to give a list, which is less than the caller waits.
const LIST_WITHIN: Duration = Duration::from_secs(27);
/// One endpoint has this long where there are few.
const ENDPOINT_WITHIN: Duration = Duration::from_secs(10);
/// However busy a cluster is, it is not listed more often than this because of changes.
const SHORTEST_GAP: Duration = Duration::from_secs(1);

/// What an API is asked, and what its answers mean.
#[async_trait]
pub(super) trait Api: Send {
    /// All hosts. It need not keep an eye on the time.
    ///
    /// # Errors
    /// A sentence; the endpoint is added to it.
    async fn list(&mut self, http: &Http) -> Result<Found, String>;

    /// Returns when the list may be another one than the last that was given; dropping the future
    /// loses nothing. Where the API cannot tell it never returns.
    ///
    /// # Errors
    /// A sentence, when the wait cannot go on; there is a new list then, after a while.
    async fn changed(&mut self, _http: &Http) -> Result<(), String> {
        std::future::pending().await
    }
}

/// A list of hosts, in any order.
#[derive(Default, Debug)]
pub(super) struct Found {
    pub(super) hosts: Vec<Host>,
    /// Entries that cannot be hosts, each with why.
    pub(super) left_out: Vec<String>,
}

impl Found {
    /// Adds an entry, or why it is none.
    pub(super) fn add(&mut self, entry: Result<Host, String>) {
        match entry {
            Ok(host) => self.hosts.push(host),
            Err(reason) => self.left_out.push(reason),
        }
    }
}

/// A discovery by an API.
pub(super) struct Web<A> {
    name: &'static str,
    access: Access,
    endpoints: Vec<Endpoint>,
    api: A,
    /// Index of the endpoint in use.
    endpoint: usize,
    http: Option<Http>,
    phase: Phase,
    trouble: Backoff,
    left_out: LeftOut,
}

/// What is known of changes.
enum Phase {
    /// There is no list that could change.
    Idle,
    /// There is a list since then.
    Listed(Instant),
    /// Nobody tells of changes; a new list is due then.
    Lost(Instant),
}

impl<A: Api> Web<A> {
    /// A discovery that has not connected yet; `endpoints` has one at least.
    pub(super) fn new(
        name: &'static str,
        endpoints: Vec<Endpoint>,
        access: Access,
        api: A,
    ) -> Self {
        Self {
            name,
            access,
            endpoints,
            api,
            endpoint: 0,
            http: None,
            phase: Phase::Idle,
            trouble: Backoff::new(Duration::from_millis(100), Duration::from_secs(30)),
            left_out: LeftOut::default(),
        }
    }

    /// A list from the endpoint in use.
    async fn ask(&mut self) -> Result<Found, String> {
        let http = match self.http.take() {
            Some(http) => http,
            None => Http::new(&self.endpoints[self.endpoint], &self.access)?,
        };
        self.api.list(self.http.insert(http)).await
    }

    /// A list from the endpoint in use, or the next one that gives one.
    async fn ask_any(&mut self) -> Result<Found, String> {
        let count = self.endpoints.len();
        let shares = u32::try_from(count).unwrap_or(u32::MAX);
        let within = ENDPOINT_WITHIN.min(LIST_WITHIN / shares);
        let mut errors = Vec::new();
        for _ in 0..count {
            let error = match tokio::time::timeout(within, self.ask()).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => error,
                Err(_) => format!("no list within {} s", within.as_secs()),
            };
            errors.push(format!("{}: {error}", self.endpoints[self.endpoint]));
            self.http = None;
            self.endpoint = (self.endpoint + 1) % count;
        }
        Err(errors.join("; "))
    }

    /// Notes that the list may be old and that the connection is not to be trusted.
    fn lose(&mut self, why: &str) {
        let (discovery, wait) = (self.name, self.trouble.next_wait());
        tracing::debug!(discovery, %why, "cannot wait for a change; listing again");
        self.http = None;
        self.phase = Phase::Lost(Instant::now() + wait);
    }
}

#[async_trait]
impl<A: Api> Discovery for Web<A> {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        self.phase = Phase::Idle;
        let found = self.ask_any().await;
        let mut found = found.map_err(|e| DiscoveryError(format!("{} at {e}", self.name)))?;
        // In whatever order it comes, the same list is to be known as the same.
        found.hosts.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        found.left_out.sort_unstable();
        self.left_out.note(self.name, found.left_out);
        self.phase = Phase::Listed(Instant::now());
        Ok(found.hosts)
    }

    async fn changed(&mut self) {
        loop {
            let (listed, http) = match (&self.phase, &self.http) {
                (Phase::Lost(until), _) => return tokio::time::sleep_until(*until).await,
                (Phase::Listed(listed), Some(http)) => (*listed, http),
                (Phase::Idle | Phase::Listed(_), _) => return std::future::pending().await,
            };
            match self.api.changed(http).await {
                Ok(()) => {
                    self.trouble.reset();
                    return tokio::time::sleep_until(listed + SHORTEST_GAP).await;
                }
                Err(error) => self.lose(&error),
            }
        }
    }

    fn left_out(&self) -> &[String] {
        self.left_out.reasons()
    }
}
