//! `wavefront:PROXY[:PORT]?OPTIONS`: writes the line format of Wavefront's proxy (now Operations for
//! Applications): `METRIC VALUE MILLISECONDS source="SOURCE" TAG="VALUE" ...`.

mod format;

use std::sync::Arc;

use async_trait::async_trait;
use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;

use self::format::{Choice, Points};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    peer::PeerOptions,
    samples::{Encoded, SharedLines},
    stream::{Address, StreamPeer},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "wavefront",
    summary: "a Wavefront proxy, and others that take its line format",
    delivery: "at least once up to what TCP carries: the proxy does not answer, so that what lies in the buffers of the two machines when it dies is lost. What is written twice leaves one value: metric, source, tags and time are the same",
    mapping: "`cpu/usage_rate` is `heapster.cpu.usage_rate`. The source is the host's name, for a namespace `NAMESPACE-ns`, for a cluster its name. Labels are point tags, but for `namespace_id`, `pod_id`, `hostname` and `host_id`; the cluster is the tag `cluster`; with `includeLabels` each of the pod's own labels is a tag `label.NAME`. Times are in milliseconds.",
    tested: "a server of the tests that reads the published line format",
    samples: &[
        "wavefront:wavefront-proxy:2878?clusterName=k8s-cluster",
        "wavefront:127.0.0.1:2878?prefix=heapster.&includeLabels=true&includeContainers=false",
    ],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(non_snake_case)] // the ancestor's names
struct Options {
    /// Value of the tag `cluster`. Default: the name of the row's cluster.
    clusterName: Option<String>,
    /// What stands before each metric. Default `heapster.`.
    prefix: String,
    /// Write each of the pod's own labels as a tag. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    includeLabels: bool,
    /// Write the rows of pods' containers too. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    includeContainers: bool,
    /// The most that is written at once. Default `1MiB`.
    body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clusterName: None,
            prefix: "heapster.".into(),
            includeLabels: false,
            includeContainers: true,
            body_bytes: ByteSize::mib(1),
        }
    }
}

const PORT: u16 = 2878;

struct WavefrontSink {
    peer: StreamPeer,
    points: SharedLines<Points>,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("wavefront: {message}"));
    let (connection, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    if spec.location.is_empty() {
        return Err(wrong(format!("name the proxy, as wavefront:wavefront-proxy:{PORT}")));
    }
    let location = spec.location.trim_start_matches("tcp://");
    let address = Address::parse(location, PORT).map_err(wrong)?;
    let peer =
        StreamPeer::new("the Wavefront proxy", address, &connection, false).map_err(wrong)?;
    let choice = Choice {
        cluster: options.clusterName,
        prefix: options.prefix,
        pod_labels: options.includeLabels,
        containers: options.includeContainers,
    };
    let points = Points::new(choice, Arc::clone(labels));
    Ok(Box::new(WavefrontSink {
        peer,
        points: SharedLines::new(points, options.body_bytes.bytes()),
    }))
}

#[async_trait]
impl Sink for WavefrontSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let Encoded { bodies, infinite, left_out } = self.points.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.delivered += left_out;
        tally.refuse(infinite, "infinite values cannot be written");
        for body in bodies {
            self.peer.send(&body.text).await?;
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

    use super::{
        super::samples::SampleLines,
        format::{Choice, Points},
    };

    /// An encoder as the sink keeps one: takes rows, gives the bytes of their points.
    pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
        let choice = Choice { prefix: "heapster.".into(), containers: true, ..Choice::default() };
        let mut lines = SampleLines::new(Points::new(choice, Arc::default()), 1 << 20);
        move |batch| lines.encode([batch]).bodies.iter().map(|body| body.text.len()).sum()
    }
}
