//! A peer for each kind of sink that accepts, fails for now, refuses, hangs and goes away as told.

#[path = "contract_peers/elasticsearch.rs"]
mod elasticsearch;
#[path = "contract_peers/files.rs"]
mod files;
#[path = "contract_peers/gcm.rs"]
mod gcm;
#[path = "contract_peers/honeycomb.rs"]
mod honeycomb;
#[path = "contract_peers/influxdb.rs"]
mod influxdb;
#[path = "contract_peers/kafka.rs"]
mod kafka;
#[path = "contract_peers/lines.rs"]
mod lines;
#[path = "contract_peers/nats.rs"]
mod nats;
#[path = "contract_peers/opentsdb.rs"]
mod opentsdb;
#[path = "contract_peers/otlp.rs"]
mod otlp;
#[path = "contract_peers/over_http.rs"]
mod over_http;
#[path = "contract_peers/over_tcp.rs"]
mod over_tcp;
#[path = "contract_peers/remote_write.rs"]
mod remote_write;
#[path = "contract_peers/riemann.rs"]
mod riemann;
#[path = "contract_peers/statsd.rs"]
mod statsd;
#[path = "contract_peers/webhook.rs"]
mod webhook;

use std::time::Duration;

use async_trait::async_trait;

/// How a peer behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Accept,
    /// Accepts, after some time; a peer that cannot be slow just accepts.
    Slow,
    FailForNow,
    Refuse,
    Hang,
    Away,
}

/// How long a slow peer takes for an answer.
const SLOW: Duration = Duration::from_millis(20);

/// How a peer behaves now, and what it has accepted.
#[derive(Debug)]
struct State {
    mode: Mode,
    samples: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { mode: Mode::Accept, samples: 0 }
    }
}

/// What a sink can learn of its writes, by its protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Hears {
    /// Nothing: datagrams.
    Nothing,
    /// Whether there is a connection: a stream without answers.
    Connection,
    /// What became of each write.
    All,
}

#[async_trait(?Send)]
pub(crate) trait Peer {
    /// What the sink can learn.
    fn hears(&self) -> Hears {
        Hears::All
    }

    /// A spec of a sink that writes to it; more options can be appended with `&`.
    fn spec(&self) -> String;
    /// Behaves otherwise from now on.
    async fn set(&mut self, mode: Mode);
    /// Samples that it accepted.
    fn samples(&self) -> u64;
}

/// The peer of a kind. Whoever adds a kind adds its peer.
pub(crate) async fn peer_of(kind: &str) -> Box<dyn Peer> {
    match kind {
        "elasticsearch" => Box::new(elasticsearch::Cluster::start().await),
        "file" => Box::new(files::Files::new("file:{path}?rotate_bytes=64KiB&keep=1000")),
        "gcm" | "stackdriver" => Box::new(gcm::start(kind).await),
        "graphite" => Box::new(lines::start("graphite:tcp://{address}?prefix=k").await),
        "honeycomb" => Box::new(honeycomb::start().await),
        "influxdb" => Box::new(influxdb::start().await),
        "kafka" => Box::new(kafka::start().await),
        "log" => Box::new(files::Files::new("log:{path}?format=json")),
        "nats" => Box::new(nats::start().await),
        "opentsdb" => Box::new(opentsdb::start().await),
        "otlp" => Box::new(otlp::start().await),
        "prometheus" => Box::new(remote_write::start().await),
        "riemann" => Box::new(riemann::start().await),
        "statsd" => Box::new(statsd::Receiver::start().await),
        "wavefront" => Box::new(lines::start("wavefront:{address}?prefix=k.").await),
        "webhook" => Box::new(webhook::start().await),
        other => panic!("the contract test needs a peer for the sink `{other}`"),
    }
}
