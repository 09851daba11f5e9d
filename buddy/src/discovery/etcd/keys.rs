//! A discovery by keys of etcd v3 that lie under one prefix.
//!
//! The keys are listed, then watched from that revision on. Whatever ends the watch (compaction, a
//! lost connection, a lost leader, an expired token) leads to a new list. Keys are written by many
//! hands, so one that cannot be read is left out, and named.

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Client, Event, EventType, GetOptions, KeyValue, WatchOptions, WatchResponse, WatchStream,
};
use heapster_shared::{backoff::Backoff, host::Host};

use super::{
    super::{Discovery, DiscoveryError, left_out::LeftOut},
    connect::{Connector, sentence},
};

/// Of one endpoint; then the next one is asked.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More than this under one prefix is no list of hosts.
const MAX_LIST_BYTES: usize = 64 << 20;

/// Makes a host of a key, without the prefix, and its value; none of a key that is for something
/// else.
pub(in crate::discovery) type Mapping =
    Box<dyn Fn(&str, &str) -> Result<Option<Host>, String> + Send + Sync>;

/// A discovery by the keys under a prefix.
pub(in crate::discovery) struct Etcd {
    name: &'static str,
    connector: Connector,
    prefix: String,
    mapping: Mapping,
    /// Index of the endpoint in use.
    endpoint: usize,
    client: Option<Client>,
    /// Of the newest list; while there is none, nothing is known to change.
    watch: WatchState,
    trouble: Backoff,
    left_out: LeftOut,
}

enum WatchState {
    /// There is no list that could change.
    Idle,
    /// Watching is to begin at this revision.
    From(i64),
    /// Watching.
    Open(Box<WatchStream>),
    /// The watch ended; a new list is due after the wait.
    Lost(tokio::time::Instant),
}

impl Etcd {
    /// A discovery that has not connected yet.
    pub(in crate::discovery) fn new(
        name: &'static str,
        connector: Connector,
        prefix: String,
        mapping: Mapping,
    ) -> Self {
        Self {
            name,
            connector,
            prefix,
            mapping,
            endpoint: 0,
            client: None,
            watch: WatchState::Idle,
            trouble: Backoff::new(Duration::from_millis(100), Duration::from_secs(30)),
            left_out: LeftOut::default(),
        }
    }

    async fn client(&mut self) -> Result<Client, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = self.connector.connect(self.endpoint).await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// All hosts, and the revision of which they are.
    async fn read(&mut self) -> Result<(Vec<Host>, i64), String> {
        let mut kv = self.client().await?.kv_client().max_decoding_message_size(MAX_LIST_BYTES);
        let options = GetOptions::new().with_prefix();
        let answer = kv.get(self.prefix.as_str(), Some(options)).await;
        let mut answer = answer.map_err(|error| sentence(&error))?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let pairs = answer.take_kvs();
        let pairs = pairs.iter().map(|pair| (pair.key(), pair.value()));
        let (hosts, left_out) = hosts_of(&self.prefix, &self.mapping, pairs);
        self.left_out.note(self.name, left_out);
        Ok((hosts, revision))
    }

    /// Reads from the endpoint in use, or the next one that answers.
    async fn read_anywhere(&mut self) -> Result<(Vec<Host>, i64), String> {
        let mut errors = Vec::new();
        for _ in 0..self.connector.endpoints().len() {
            let error = match tokio::time::timeout(REQUEST_TIMEOUT, self.read()).await {
                Ok(Ok(read)) => return Ok(read),
                Ok(Err(error)) => error,
                Err(_) => {
                    let seconds = REQUEST_TIMEOUT.as_secs();
                    format!("no answer within {seconds} s; is it running there?")
                }
            };
            errors.push(format!("{}: {error}", self.connector.endpoints()[self.endpoint]));
            self.client = None;
            self.endpoint = (self.endpoint + 1) % self.connector.endpoints().len();
        }
        Err(errors.join("; "))
    }

    /// Notes that the list may be old and that the connection is not to be trusted.
    fn lose(&mut self, why: &str) {
        let wait = self.trouble.next_wait();
        tracing::debug!(%why, "the watch of etcd ended; listing again");
        self.client = None;
        self.watch = WatchState::Lost(tokio::time::Instant::now() + wait);
    }

    /// Begins to watch after the revision of the newest list.
    async fn open(&mut self, revision: i64) {
        let options = WatchOptions::new().with_prefix().with_prev_key();
        let options = options.with_start_revision(revision + 1);
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => return self.lose(&error),
        };
        let mut watch = client.watch_client();
        let opening = watch.watch(self.prefix.as_str(), Some(options));
        match tokio::time::timeout(REQUEST_TIMEOUT, opening).await {
            Ok(Ok(stream)) => self.watch = WatchState::Open(Box::new(stream)),
            Ok(Err(error)) => self.lose(&sentence(&error)),
            Err(_) => self.lose("no answer to the watch"),
        }
    }
}

#[async_trait]
impl Discovery for Etcd {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        self.watch = WatchState::Idle;
        let read = self.read_anywhere().await;
        let (hosts, revision) =
            read.map_err(|error| DiscoveryError(format!("{} at {error}", self.name)))?;
        self.watch = WatchState::From(revision);
        Ok(hosts)
    }

    async fn changed(&mut self) {
        loop {
            match &mut self.watch {
                WatchState::Idle => std::future::pending().await,
                WatchState::From(revision) => {
                    let revision = *revision;
                    self.open(revision).await;
                }
                WatchState::Lost(until) => {
                    tokio::time::sleep_until(*until).await;
                    return;
                }
                WatchState::Open(stream) => match stream.message().await {
                    Ok(Some(news)) if news.canceled() => {
                        let reason = news.cancel_reason().to_owned();
                        self.lose(&format!("canceled by the server: {reason}"));
                    }
                    Ok(Some(news)) if !changes(&news) => self.trouble.reset(),
                    Ok(Some(_)) => {
                        self.trouble.reset();
                        return;
                    }
                    Ok(None) => self.lose("the stream ended"),
                    Err(error) => self.lose(&sentence(&error)),
                },
            }
        }
    }

    fn left_out(&self) -> &[String] {
        self.left_out.reasons()
    }
}

/// Whether any event says more than that a key was written again as it was.
fn changes(news: &WatchResponse) -> bool {
    let same = |event: &Event| {
        let value = event.kv().map(KeyValue::value);
        event.event_type() == EventType::Put && event.prev_kv().map(KeyValue::value) == value
    };
    !news.events().iter().all(same)
}

/// The hosts of the keys, and why others are left out.
fn hosts_of<'k>(
    prefix: &str,
    mapping: &Mapping,
    pairs: impl Iterator<Item = (&'k [u8], &'k [u8])>,
) -> (Vec<Host>, Vec<String>) {
    let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        match host_of_pair(prefix, mapping, key, value) {
            Ok(host) => hosts.extend(host),
            Err(error) => {
                left_out.push(format!("key {}: {error}", String::from_utf8_lossy(key)));
            }
        }
    }
    (hosts, left_out)
}

fn host_of_pair(
    prefix: &str,
    mapping: &Mapping,
    key: &[u8],
    value: &[u8],
) -> Result<Option<Host>, String> {
    let key = std::str::from_utf8(key).map_err(|_| "the key is no UTF-8 text")?;
    let value = std::str::from_utf8(value).map_err(|_| "the value is no UTF-8 text")?;
    mapping(key.strip_prefix(prefix).unwrap_or(key), value)
}

#[cfg(test)]
mod tests {
    use super::{super::super::entry::host_of_value, *};

    /// One bad value costs one host, and is named.
    #[test]
    fn bad_entries_are_left_out_by_name() {
        let pairs: [(&[u8], &[u8]); 5] = [
            (b"/h/a", b"10.0.0.1:4194"),
            (b"/h/b", b"{\"ip\":"),
            (b"/h/", b""),
            (b"/h/c/d", b"10.0.0.3"),
            (b"/h/e", b"{\"ip\":\"10.0.0.5\"}"),
        ];
        let mapping: Mapping = Box::new(|key, value| host_of_value(key, value).map(Some));
        let (hosts, left_out) = hosts_of("/h/", &mapping, pairs.into_iter());
        let ids: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
        assert_eq!(ids, ["a", "e"]);
        assert_eq!(left_out.len(), 3);
        assert!(left_out[0].starts_with("key /h/b: ") && left_out[0].contains("line 1"));
        assert!(left_out[1].contains("empty name"), "{left_out:?}");
        assert!(left_out[2].contains("`c/d` is no name"), "{left_out:?}");
    }
}
