//! Real peers for tests: the programs of Debian's packages, each as a process of its own on free
//! loopback ports, with a folder of its own, gone with the value that stands for it.
//!
//! ```no_run
//! # async fn test() {
//! use heapster_testkit::{peer::Influxdb, real_peer};
//!
//! let influxdb = real_peer!(Influxdb::start());
//! let url = influxdb.url();
//! # }
//! ```

mod carbon;
mod dnsmasq;
mod docker;
mod elasticsearch;
mod etcd;
mod fake_http;
mod google_cloud;
mod influxdb;
mod kafka;
mod nats;
mod otlp;
mod process;
mod prometheus;
mod pypi;
mod python;
mod statsd;
mod victoria_metrics;

pub use carbon::{Carbon, WhisperPoints};
pub use dnsmasq::Dnsmasq;
pub use docker::Docker;
pub use elasticsearch::{ElasticsearchMode, FakeElasticsearch};
pub use etcd::{Etcd, EtcdOptions, EtcdTls};
pub use fake_http::{FakeHttp, FakeReply, FakeRequest};
pub use google_cloud::GoogleCloud;
pub use influxdb::{Influxdb, InfluxdbOptions};
pub use kafka::{Kafka, KafkaRecord};
pub use nats::{Nats, NatsMessage};
pub use otlp::OtlpReceiver;
pub use process::{PeerError, Process, free_ports, http_client};
pub use prometheus::Prometheus;
pub use python::Python;
pub use statsd::Statsd;
pub use victoria_metrics::VictoriaMetrics;

/// Whether a missing program fails a test: it does where `CI` is set, so that nothing is skipped
/// there unseen.
#[must_use]
pub fn missing_peers_fail() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// A peer that has to be there: gives it, or leaves the test with the reason on standard error
/// when its program is not installed. With `CI` set, or when it does not start, the test fails.
#[macro_export]
macro_rules! real_peer {
    ($start:expr) => {
        match $start.await {
            Ok(peer) => peer,
            Err(error) if error.is_missing() && !$crate::peer::missing_peers_fail() => {
                #[allow(clippy::print_stderr)]
                {
                    eprintln!("skipped: {error}");
                }
                return;
            }
            Err(error) => panic!("{error}"),
        }
    };
}
