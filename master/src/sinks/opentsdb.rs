//! `opentsdb:URL?OPTIONS`: writes samples by `/api/put` of OpenTSDB 2.x, as its HTTP API is
//! documented (<https://opentsdb.net/docs/build/html/api_http/put.html>).

mod answer;
mod format;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use heapster_shared::{
    spec::{Spec, SpecError},
    units::ByteSize,
};
use reqwest::{Method, header};
use serde::Deserialize;

use self::format::Points;
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    lines::{LineWriter, Part, Verdict},
    peer::{HttpPeer, PeerOptions},
    samples::{Encoded, SharedLines},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "opentsdb",
    summary: "OpenTSDB 2.x, VictoriaMetrics, and others that take points by its HTTP API",
    delivery: "idempotent: metric, tags and time are the same whenever a sample is written again",
    mapping: "`cpu/usage_rate` is the metric `cpu_usage_rate_gauge`, and a counter ends in `_cumulative`, as in the ancestor. Labels are tags, and so is the cluster, as `cluster`; what is no letter or digit, `-`, `_`, `.` or `/` is `_`. OpenTSDB takes 8 tags of a point unless it is told otherwise: the labels that tell series apart go before those that describe them. Times are in milliseconds.",
    tested: "VictoriaMetrics of Debian, which takes OpenTSDB's points, and answers as OpenTSDB documents them",
    samples: &[
        "opentsdb:http://127.0.0.1:4242",
        "opentsdb:http://tsdb.example.com:4242?cluster=k8s-cluster&max_tags=16&required=true",
    ],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Value of the tag `cluster`. Default: the name of the row's cluster.
    cluster: Option<String>,
    /// Tags that a point may have, as the database has it in `tsd.storage.max_tags`. Default 8.
    max_tags: usize,
    /// The most that one request carries. OpenTSDB takes no more than `tsd.http.request.max_chunk`,
    /// and no more than 4 KiB unless `tsd.http.request.enable_chunked` is set. Default `64KiB`.
    body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cluster: None, max_tags: 8, body_bytes: ByteSize(64 << 10) }
    }
}

const DEFAULT_LOCATION: &str = "http://127.0.0.1:4242";

struct OpentsdbSink {
    peer: HttpPeer,
    points: SharedLines<Points>,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("opentsdb: {message}"));
    let (connection, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    let location = if spec.location.is_empty() { DEFAULT_LOCATION } else { &spec.location };
    let peer = HttpPeer::new("OpenTSDB", location, connection).map_err(wrong)?;
    if options.max_tags == 0 {
        return Err(wrong(
            "max_tags must be at least 1: OpenTSDB takes no point without a tag".into(),
        ));
    }
    let points = Points::new(options.cluster, options.max_tags, Arc::clone(labels));
    Ok(Box::new(OpentsdbSink {
        peer,
        points: SharedLines::new(points, options.body_bytes.bytes()),
    }))
}

#[async_trait]
impl Sink for OpentsdbSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let Encoded { bodies, infinite, left_out } = self.points.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.delivered += left_out;
        tally.refuse(infinite, "infinite values cannot be written");
        for body in bodies {
            self.write_body(body, &mut tally).await?;
        }
        tally.finish()
    }
}

#[async_trait]
impl LineWriter for OpentsdbSink {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let request = self.peer.request(Method::POST, "/api/put")?.query(&[("details", "true")]);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = self.peer.send(request.body(array(part))).await?;
        Ok(answer::verdict(&answer, &self.peer))
    }
}

/// The points, each with a comma behind it, as a list.
fn array(part: &Part) -> Bytes {
    let points = part.text().strip_suffix(b",").unwrap_or_default();
    [b"[", points, b"]"].concat().into()
}

#[doc(hidden)]
pub mod door {
    //! A way in for benches.

    use std::sync::Arc;

    use heapster_shared::row::RowBatch;

    use super::{super::samples::SampleLines, format::Points};

    /// An encoder as the sink keeps one: takes rows, gives the bytes of their points.
    pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
        let mut lines = SampleLines::new(Points::new(None, 8, Arc::default()), 64 << 10);
        move |batch| lines.encode([batch]).bodies.iter().map(|body| body.text.len()).sum()
    }
}
