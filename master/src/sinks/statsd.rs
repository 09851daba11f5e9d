//! `statsd:udp://HOST:PORT?OPTIONS`: writes gauges to StatsD, to what understands the tags of Telegraf
//! or of Datadog's agent, or to a datagram socket of the machine.

mod format;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use heapster_shared::{
    row::RowBatch,
    spec::{Spec, SpecError},
    units,
};
use serde::Deserialize;

use self::format::{Gauges, Protocol, Style};
use super::{
    Kind, LabelRules, Sink, SinkError, Written, apart,
    datagrams::DatagramPeer,
    hierarchy::ClusterWatch,
    samples::{Encoded, SharedLines},
    stream::Address,
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "statsd",
    summary: "StatsD, Telegraf, Datadog's agent and others that take gauges in datagrams",
    delivery: "at most once: a datagram that is lost is lost, and nothing is known of what arrives. Do not make it `required`",
    mapping: "Each sample is a gauge, counters too, as in the ancestor. `etsystatsd`: a path as `PREFIX.node.NODE.namespace.NAMESPACE.pod.POD.container.CONTAINER.cpu/usage_rate`, with the pod's labels and a resource in it; `influxstatsd`: `PREFIXcpu/usage_rate,label=value,...`; `dogstatsd`: `PREFIXcpu.usage_rate:1|g|#label:value,...`, the pod's own labels among them. A prefix may have `{cluster}` in it. A gauge that is negative is set to 0 first, where a sign would mean a change. StatsD has no times: samples that are older than `max_age` are refused rather than taken for those of now; `dogstatsd` with `timestamps=true` has them.",
    tested: "StatsD 0.9 of npm, which is asked for every gauge; the tags of Telegraf and Datadog by their published forms",
    samples: &[
        "statsd:udp://127.0.0.1:8125?prefix=kubernetes.&protocolType=influxstatsd&numMetricsPerMsg=10",
        "statsd:udp://127.0.0.1:8125?renameLabels=type:k8s_type&allowedLabels=container_name,namespace_name,type&labelStyle=lowerCamelCase",
        "statsd:unixgram:///var/run/datadog/dsd.socket?protocolType=dogstatsd",
    ],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(non_snake_case)] // the ancestor's names
struct Options {
    /// What stands before each name; `{cluster}` in it is the cluster's name. Default none.
    prefix: String,
    /// `etsystatsd`, `influxstatsd` or `dogstatsd`. Default `etsystatsd`.
    protocolType: Protocol,
    /// Gauges in a datagram, which also has no more than 1432 bytes. Default 5.
    numMetricsPerMsg: usize,
    /// Labels that are called otherwise, as `old:new,old:new`. Default none.
    renameLabels: String,
    /// The labels that are written, separated by commas. Default all.
    allowedLabels: String,
    /// `snake_case`, `lowerCamelCase` or `upperCamelCase`. Default `snake_case`.
    labelStyle: Style,
    /// Samples that are older are refused, because they would be taken for those of now; `0` for
    /// never. Default `2m`.
    #[serde(deserialize_with = "units::duration")]
    max_age: Duration,
    /// Write the time of each sample, which Datadog's agent understands since 7.40. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    timestamps: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            protocolType: Protocol::Etsy,
            numMetricsPerMsg: 5,
            renameLabels: String::new(),
            allowedLabels: String::new(),
            labelStyle: Style::Snake,
            max_age: Duration::from_secs(120),
            timestamps: false,
        }
    }
}

const PORT: u16 = 8125;
/// What fits into a packet of an Ethernet, as StatsD's documentation advises.
const DATAGRAM_BYTES: usize = 1432;
const BODY_BYTES: usize = 1 << 20;

struct StatsdSink {
    peer: DatagramPeer,
    gauges: SharedLines<Gauges>,
    most_gauges: usize,
    max_age: Duration,
    /// There where names are the same whatever cluster they are of.
    clusters: Option<ClusterWatch>,
}

fn build(spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("statsd: {message}"));
    let options: Options = spec.options()?;
    let (scheme, address) = spec.location.split_once("://").unwrap_or(("udp", &spec.location));
    let peer = match scheme {
        "udp" if address.is_empty() => {
            let host = "127.0.0.1".to_owned();
            DatagramPeer::udp("StatsD", Address { host, port: PORT })
        }
        "udp" => DatagramPeer::udp("StatsD", Address::parse(address, PORT).map_err(wrong)?),
        "unixgram" | "unix" => DatagramPeer::unix("StatsD", address.into()),
        _ => return Err(wrong("write the location as udp://HOST:PORT or unixgram:///PATH".into())),
    };
    if options.numMetricsPerMsg == 0 {
        return Err(wrong("numMetricsPerMsg must be at least 1".into()));
    }
    if options.timestamps && options.protocolType != Protocol::Dog {
        return Err(wrong("timestamps=true is for protocolType=dogstatsd".into()));
    }
    let names_cluster = options.prefix.contains("{cluster}");
    if names_cluster && options.protocolType != Protocol::Etsy {
        return Err(wrong("here the cluster is a tag: leave {cluster} out of the prefix".into()));
    }
    let mut gauges = Gauges::new(options.protocolType, &options.prefix, Arc::clone(labels));
    gauges.style = options.labelStyle;
    gauges.timestamps = options.timestamps;
    gauges.rename(&options.renameLabels).map_err(wrong)?;
    gauges.allow(&options.allowedLabels);
    // With times nothing is taken for now.
    let max_age = if options.timestamps { Duration::ZERO } else { options.max_age };
    let (gauges, most_gauges) = (SharedLines::new(gauges, BODY_BYTES), options.numMetricsPerMsg);
    let mixes_clusters = options.protocolType == Protocol::Etsy && !names_cluster;
    let clusters = mixes_clusters.then(ClusterWatch::default);
    Ok(Box::new(StatsdSink { peer, gauges, most_gauges, max_age, clusters }))
}

#[async_trait]
impl Sink for StatsdSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        if let Some(clusters) = &self.clusters {
            clusters.look("statsd", payloads);
        }
        let (payloads, too_old) = self.of_now(payloads);
        let Encoded { bodies, infinite, left_out } = self.gauges.encode(&payloads).await?;
        let mut tally = Tally::default();
        tally.delivered += left_out;
        tally.refuse(infinite, "infinite values cannot be written");
        tally.refuse(too_old, "samples older than max_age would be taken for those of now");
        for body in bodies {
            self.peer.send_lines(&body, DATAGRAM_BYTES, self.most_gauges).await?;
            tally.delivered += body.samples();
        }
        tally.finish()
    }
}

impl StatsdSink {
    /// The rows whose tick is not too long ago, and the number of samples of the others.
    fn of_now(&self, payloads: &[Payload]) -> (Vec<Payload>, u64) {
        if self.max_age.is_zero() {
            return (payloads.to_vec(), 0);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let oldest = now.saturating_sub(self.max_age).as_millis();
        let oldest = i64::try_from(oldest).unwrap_or(i64::MAX);
        let (fresh, old): (Vec<Arc<RowBatch>>, Vec<_>) =
            apart::rows(payloads).into_iter().partition(|rows| rows.tick.0 >= oldest);
        let too_old: usize = old.iter().map(|rows| rows.sample_count()).sum();
        (fresh.into_iter().map(Payload::Rows).collect(), too_old as u64)
    }
}

#[doc(hidden)]
pub mod door {
    //! A way in for benches.

    use std::sync::Arc;

    use heapster_shared::row::RowBatch;

    use super::{
        super::samples::SampleLines,
        format::{Gauges, Protocol},
    };

    /// An encoder as the sink keeps one: takes rows, gives the bytes of their gauges.
    pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
        let gauges = Gauges::new(Protocol::Influx, "", Arc::default());
        let mut lines = SampleLines::new(gauges, 1 << 20);
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
            ("statsd:tcp://h", "udp://HOST:PORT"),
            ("statsd:udp://h:x", "write HOST:PORT"),
            ("statsd:udp://h?numMetricsPerMsg=0", "at least 1"),
            ("statsd:udp://h?timestamps=true", "protocolType=dogstatsd"),
            ("statsd:udp://h?protocolType=dogstatsd&prefix={cluster}.", "the cluster is a tag"),
            ("statsd:udp://h?renameLabels=a", "`a` is not like"),
            ("statsd:udp://h?protocolType=x", "unknown variant `x`"),
        ] {
            let error = error(spec);
            assert!(error.starts_with("statsd: ") && error.contains(expected), "{spec}: {error}");
        }
    }
}
