//! The discovery `etcd`: one key per host under a prefix of etcd v3.
//!
//! The rest of the key after the prefix is the host's identity, and its name unless the value says
//! another; the value is an object such as `{"ip":"10.0.0.1","port":8080,"labels":{..}}`, an address
//! with or without a port, or empty where the name is the address. Keys are written by many hands,
//! so one that cannot be read is left out, named, and the others stand.
//!
//! The keys are listed, then watched from that revision on. Whatever ends the watch (compaction, a
//! lost connection, an expired token) leads to a new list.

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Client, ConnectOptions, GetOptions, WatchOptions, WatchStream};
use heapster_shared::{
    Set,
    backoff::Backoff,
    host::Host,
    secret::Secret,
    spec::{Spec, SpecError},
};
use serde::Deserialize;

use super::{Discovery, DiscoveryError, Kind, entry::host_of_value};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "etcd",
    summary: "hosts under a prefix of etcd v3, one key each: the rest of the key is the name, the value an address or an object with ip, port and labels",
    samples: &[
        "etcd",
        "etcd:http://127.0.0.1:2379?prefix=/heapster/hosts/",
        "etcd:http://e1:2379,http://e2:2379?prefix=/prod/hosts/&user=heapster&password=secret",
    ],
    build,
};

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:2379";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent connection is asked whether it lives after this time, and given up after the next.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// More than this under one prefix is no list of hosts.
const MAX_LIST_BYTES: usize = 64 << 20;

/// The options.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What the keys of hosts begin with. Default: `/heapster/hosts/`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// User of etcd. Default: none.
    #[serde(default)]
    user: String,
    /// The user's password.
    #[serde(default)]
    password: Secret,
}

fn default_prefix() -> String {
    "/heapster/hosts/".to_owned()
}

fn build(spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let options: Options = spec.options()?;
    let wrong = |what: String| SpecError(format!("etcd: {what}"));
    let location = if spec.location.is_empty() { DEFAULT_ENDPOINT } else { &spec.location };
    let endpoints = location.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty());
    let endpoints: Result<Vec<String>, String> = endpoints.map(checked_endpoint).collect();
    let endpoints = endpoints.map_err(wrong)?;
    if endpoints.is_empty() {
        return Err(wrong(format!("name an endpoint, such as {DEFAULT_ENDPOINT}")));
    }
    if options.prefix.is_empty() {
        return Err(wrong("`prefix` is empty; every key of etcd would be a host".to_owned()));
    }
    if options.user.is_empty() != options.password.is_empty() {
        return Err(wrong("`user` and `password` go together".to_owned()));
    }
    Ok(Box::new(Etcd::new(endpoints, options)))
}

fn checked_endpoint(endpoint: &str) -> Result<String, String> {
    let hint = format!("write it as {DEFAULT_ENDPOINT}");
    let url = url::Url::parse(endpoint).map_err(|error| format!("endpoint: {error}; {hint}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password are options of their own, not part of the endpoint".into());
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{endpoint}` is no endpoint; {hint}"));
    }
    Ok(endpoint.trim_end_matches('/').to_owned())
}

struct Etcd {
    endpoints: Vec<String>,
    options: Options,
    client: Option<Client>,
    /// Of the newest list; while there is none, nothing is known to change.
    watch: WatchState,
    trouble: Backoff,
    left_out: Vec<String>,
    warned: Set<String>,
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
    fn new(endpoints: Vec<String>, options: Options) -> Self {
        Self {
            endpoints,
            options,
            client: None,
            watch: WatchState::Idle,
            trouble: Backoff::new(Duration::from_millis(100), Duration::from_secs(30)),
            left_out: Vec::new(),
            warned: Set::default(),
        }
    }

    async fn client(&mut self) -> Result<Client, etcd_client::Error> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_keep_alive_while_idle(true)
            // A member that lost the others would give an old list, and watch nothing.
            .with_require_leader(true);
        if !self.options.user.is_empty() {
            connect = connect.with_user(&self.options.user, self.options.password.expose());
        }
        let client = Client::connect(&self.endpoints, Some(connect)).await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// All hosts, and the revision of which they are.
    async fn read(&mut self) -> Result<(Vec<Host>, i64), etcd_client::Error> {
        let mut kv = self.client().await?.kv_client().max_decoding_message_size(MAX_LIST_BYTES);
        let prefix = self.options.prefix.as_str();
        let mut answer = kv.get(prefix, Some(GetOptions::new().with_prefix())).await?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let pairs = answer.take_kvs();
        let pairs = pairs.iter().map(|pair| (pair.key(), pair.value()));
        let (hosts, left_out) = hosts_of(prefix, pairs);
        self.note_left_out(left_out);
        Ok((hosts, revision))
    }

    /// Warns of each once, for as long as it stays.
    fn note_left_out(&mut self, left_out: Vec<String>) {
        for reason in left_out.iter().filter(|reason| !self.warned.contains(*reason)) {
            tracing::warn!(%reason, "a host of etcd is left out");
        }
        self.warned = left_out.iter().cloned().collect();
        self.left_out = left_out;
    }

    fn error(&self, what: &str) -> DiscoveryError {
        DiscoveryError(format!("etcd at {}: {what}", self.endpoints.join(", ")))
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
        let options = WatchOptions::new().with_prefix().with_start_revision(revision + 1);
        let opened = match self.client().await {
            Ok(client) => {
                let mut watch = client.watch_client();
                let opening = watch.watch(self.options.prefix.as_str(), Some(options));
                tokio::time::timeout(REQUEST_TIMEOUT, opening).await
            }
            Err(error) => Ok(Err(error)),
        };
        match opened {
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
        match tokio::time::timeout(REQUEST_TIMEOUT, self.read()).await {
            Ok(Ok((hosts, revision))) => {
                self.watch = WatchState::From(revision);
                Ok(hosts)
            }
            Ok(Err(error)) => {
                self.client = None;
                Err(self.error(&sentence(&error)))
            }
            Err(_) => {
                self.client = None;
                let seconds = REQUEST_TIMEOUT.as_secs();
                Err(self.error(&format!("no answer within {seconds} s; is it running there?")))
            }
        }
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
                    Ok(Some(news)) if news.events().is_empty() => self.trouble.reset(),
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
        &self.left_out
    }
}

/// The hosts of the keys, and why others are left out.
fn hosts_of<'k>(
    prefix: &str,
    pairs: impl Iterator<Item = (&'k [u8], &'k [u8])>,
) -> (Vec<Host>, Vec<String>) {
    let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        let shown = String::from_utf8_lossy(key).into_owned();
        match host_of_pair(prefix, key, value) {
            Ok(host) => hosts.push(host),
            Err(error) => left_out.push(format!("key {shown}: {error}")),
        }
    }
    (hosts, left_out)
}

fn host_of_pair(prefix: &str, key: &[u8], value: &[u8]) -> Result<Host, String> {
    let key = std::str::from_utf8(key).map_err(|_| "the key is no UTF-8 text")?;
    let value = std::str::from_utf8(value).map_err(|_| "the value is no UTF-8 text")?;
    let id = key.strip_prefix(prefix).unwrap_or(key).trim_start_matches('/');
    host_of_value(id, value)
}

/// What went wrong, without the details of the transport's types.
fn sentence(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::GRpcStatus(status) => match status.code() {
            tonic::Code::Unavailable => format!("not reachable: {}", status.message()),
            tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => {
                format!(
                    "refused: {}; check `user` and `password` and the role's keys",
                    status.message()
                )
            }
            _ => status.message().to_owned(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (hosts, left_out) = hosts_of("/h/", pairs.into_iter());
        let ids: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
        assert_eq!(ids, ["a", "e"]);
        assert_eq!(left_out.len(), 3);
        assert!(left_out[0].starts_with("key /h/b: ") && left_out[0].contains("line 1"));
        assert!(left_out[1].contains("empty name"), "{left_out:?}");
        assert!(left_out[2].contains("`c/d` is no name"), "{left_out:?}");
    }

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("etcd:e1:2379", "no endpoint"),
            ("etcd:http://u:p@e1:2379", "options of their own"),
            ("etcd:,", "name an endpoint"),
            ("etcd?prefix=", "`prefix` is empty"),
            ("etcd?user=u", "go together"),
            ("etcd?path=/x", "unknown option `path`"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains(":p@"), "{error}");
        }
    }
}
