//! A peer for each kind of sink that accepts, fails for now, refuses, hangs and goes away as told.

#[path = "contract_peers/influxdb.rs"]
mod influxdb;
#[path = "contract_peers/log.rs"]
mod log;
#[path = "contract_peers/otlp.rs"]
mod otlp;
#[path = "contract_peers/remote_write.rs"]
mod remote_write;

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

#[async_trait(?Send)]
pub(crate) trait Peer {
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
        "influxdb" => Box::new(influxdb::Database::start().await),
        "log" => Box::new(log::LogFile::new()),
        "otlp" => Box::new(otlp::Receiver::start().await),
        "prometheus" => Box::new(remote_write::Receiver::start().await),
        other => panic!("the contract test needs a peer for the sink `{other}`"),
    }
}
