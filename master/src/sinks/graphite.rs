//! `graphite:tcp://HOST:PORT?OPTIONS`: writes the plaintext protocol of carbon, a line a sample:
//! `PATH VALUE SECONDS`.

mod format;

use std::sync::Arc;

use async_trait::async_trait;
use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;

use self::format::Paths;
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    datagrams::DatagramPeer,
    hierarchy::ClusterWatch,
    peer::PeerOptions,
    samples::{Encoded, SharedLines},
    stream::{Address, StreamPeer},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "graphite",
    summary: "Graphite's carbon and others that take its plaintext protocol, over TCP or UDP",
    delivery: "at least once up to what TCP carries: carbon does not answer, so that what lies in the buffers of the two machines when it dies is lost. Over UDP nothing is known of what arrives. What is written twice leaves one value: path and second are the same",
    mapping: "The ancestor's hierarchy: `PREFIX.nodes.NODE.pods.NAMESPACE.POD.containers.CONTAINER.cpu.usage_rate`, `.sys-containers.NAME`, `PREFIX.namespaces.NAMESPACE`, `PREFIX.cluster`; dots and slashes in names become `_`. A device or volume stands behind the group of its metric, written so that no two are the same: `filesystem._2F.usage`. `{cluster}` in the prefix is the name of the cluster; without it two clusters would write the same paths, which is warned of. With `tags=true` labels are Graphite's tags instead: `PREFIX.cpu.usage_rate;pod_name=web-1;...`. Times are cut to the second.",
    tested: "carbon 1.1 of Debian, whose files are read; tags by their published form",
    samples: &[
        "graphite:tcp://metrics.example.com:2003?prefix=kubernetes.{cluster}",
        "graphite:udp://127.0.0.1:2003",
        "graphite:tcp://127.0.0.1:2003?tags=true&required=true",
    ],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// What stands before each path; `{cluster}` in it is the cluster's name. Default `kubernetes`.
    prefix: String,
    /// Write labels as tags, which carbon has since 1.1, instead of a hierarchy. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    tags: bool,
    /// The most that is written at once. Default `1MiB`.
    body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self { prefix: "kubernetes".into(), tags: false, body_bytes: ByteSize::mib(1) }
    }
}

const PORT: u16 = 2003;
/// What a datagram carries at most: a packet of the smallest network that is met, less the headers.
const DATAGRAM_BYTES: usize = 1400;

enum Peer {
    Stream(StreamPeer),
    Datagrams(DatagramPeer),
}

struct GraphiteSink {
    peer: Peer,
    lines: SharedLines<Paths>,
    /// There where paths are the same whatever cluster they are of.
    clusters: Option<ClusterWatch>,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("graphite: {message}"));
    let (connection, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    let (scheme, address) = spec.location.split_once("://").unwrap_or(("tcp", &spec.location));
    let address = Address::parse(address, PORT).map_err(wrong)?;
    let peer = match scheme {
        "tcp" | "tls" => {
            let encrypted = scheme == "tls";
            Peer::Stream(
                StreamPeer::new("Graphite", address, &connection, encrypted).map_err(wrong)?,
            )
        }
        "udp" if connection.asks_for_tls() => {
            return Err(wrong("TLS is for tcp, not for udp".into()));
        }
        "udp" => Peer::Datagrams(DatagramPeer::udp("Graphite", address)),
        _ => return Err(wrong("write the location as tcp://HOST:PORT, tls:// or udp://".into())),
    };
    let paths = Paths::new(&options.prefix, options.tags, Arc::clone(labels)).map_err(wrong)?;
    Ok(Box::new(GraphiteSink {
        peer,
        clusters: paths.mixes_clusters().then(ClusterWatch::default),
        lines: SharedLines::new(paths, options.body_bytes.bytes()),
    }))
}

#[async_trait]
impl Sink for GraphiteSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        if let Some(clusters) = &self.clusters {
            clusters.look("graphite", payloads);
        }
        let Encoded { bodies, infinite, left_out } = self.lines.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.delivered += left_out;
        tally.refuse(infinite, "infinite values cannot be written");
        for body in bodies {
            match &self.peer {
                Peer::Stream(peer) => peer.send(&body.text).await?,
                Peer::Datagrams(peer) => peer.send_lines(&body, DATAGRAM_BYTES, usize::MAX).await?,
            }
            tally.delivered += body.samples();
        }
        tally.finish()
    }
}

#[doc(hidden)]
pub mod door {
    //! A way in for benches.

    use std::sync::Arc;

    use heapster_shared::row::RowBatch;

    use super::{super::samples::SampleLines, format::Paths};

    /// An encoder as the sink keeps one: takes rows, gives the bytes of their lines.
    ///
    /// # Panics
    /// Never: the prefix is a good one.
    pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
        let paths = Paths::new("kubernetes", false, Arc::default());
        let mut lines = SampleLines::new(paths.unwrap_or_else(|error| panic!("{error}")), 1 << 20);
        move |batch| lines.encode([batch]).bodies.iter().map(|body| body.text.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(spec: &str) -> String {
        let built = build(spec.parse().unwrap(), &Arc::default());
        built.err().unwrap_or_else(|| panic!("{spec}")).to_string()
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (spec, expected) in [
            ("graphite:http://h", "tcp://HOST:PORT"),
            ("graphite:tcp://h:x", "write HOST:PORT"),
            ("graphite:udp://h?tls=skip", "TLS is for tcp"),
            ("graphite:tcp://h?prefix=a..b", "prefix"),
        ] {
            let error = error(spec);
            assert!(error.starts_with("graphite: ") && error.contains(expected), "{spec}: {error}");
        }
    }
}
