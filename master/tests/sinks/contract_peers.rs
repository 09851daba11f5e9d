//! A peer for each kind of sink that accepts, fails for now, refuses, hangs and goes away as told.

#[path = "contract_peers/elasticsearch.rs"]
mod elasticsearch;
#[path = "contract_peers/file.rs"]
mod file;
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
#[path = "contract_peers/log.rs"]
mod log;
#[path = "contract_peers/nats.rs"]
mod nats;
#[path = "contract_peers/opentsdb.rs"]
mod opentsdb;
#[path = "contract_peers/otlp.rs"]
mod otlp;
#[path = "contract_peers/remote_write.rs"]
mod remote_write;
#[path = "contract_peers/riemann.rs"]
mod riemann;
#[path = "contract_peers/statsd.rs"]
mod statsd;
#[path = "contract_peers/webhook.rs"]
mod webhook;

use async_trait::async_trait;

/// How a peer behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Accept,
    FailForNow,
    Refuse,
    Hang,
    Away,
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
        "graphite" => Box::new(lines::Lines::start("graphite:tcp://{address}?prefix=k").await),
        "elasticsearch" => Box::new(elasticsearch::Cluster::start().await),
        "influxdb" => Box::new(influxdb::Database::start().await),
        "kafka" => Box::new(kafka::Broker::start().await),
        "log" => Box::new(log::LogFile::new()),
        "opentsdb" => Box::new(opentsdb::Database::start().await),
        "riemann" => Box::new(riemann::Server::start().await),
        "statsd" => Box::new(statsd::Receiver::start().await),
        "wavefront" => Box::new(lines::Lines::start("wavefront:{address}?prefix=k.").await),
        "file" => Box::new(file::Folder::new()),
        "honeycomb" => Box::new(honeycomb::Dataset::start().await),
        "webhook" => Box::new(webhook::Receiver::start().await),
        "gcm" => Box::new(gcm::Google::start("gcm").await),
        "stackdriver" => Box::new(gcm::Google::start("stackdriver").await),
        "nats" => Box::new(nats::Server::start().await),
        "otlp" => Box::new(otlp::Receiver::start().await),
        "prometheus" => Box::new(remote_write::Receiver::start().await),
        other => panic!("the contract test needs a peer for the sink `{other}`"),
    }
}
