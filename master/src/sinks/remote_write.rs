//! `prometheus:URL?OPTIONS`: remote write 1.0 and 2.0, to Prometheus, VictoriaMetrics, Mimir, Thanos
//! and whatever else receives it.
//!
//! A series is what a thing has of a metric; a sample keeps its own time. Series that have ended get
//! a staleness marker, see `staleness`.

mod answer;
#[doc(hidden)]
pub mod door;
mod encoder;
mod metadata;
mod options;
mod owner;
mod plan;
mod request;
mod staleness;
mod symbols;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;
use heapster_shared::spec::{Spec, SpecError};
use reqwest::{Method, header};
use serde::Deserialize;

use self::{
    answer::{Meaning, again_in_version_one, meaning},
    encoder::{Encoded, Encoder},
    options::{Options, location},
    request::Request,
};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::apart,
    lines::{LineWriter, Part, Verdict},
    peer::{HttpPeer, PeerOptions},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "prometheus",
    summary: "Prometheus, VictoriaMetrics, Mimir, Thanos, and others that receive remote write",
    delivery: "idempotent: series and time are the same whenever a sample is written again; but Prometheus without an out-of-order window refuses what is older than the newest sample of its series, which is counted as rejected",
    mapping: "`cpu/usage` of a pod's container is `heapster_container_cpu_usage_seconds_total`: the level (`cluster`, `namespace`, `node`, `pod`, `container`, `system_container`), the metric, its base unit (seconds, bytes, cores, ratio; rates are `_per_second`, and `cpu/usage_rate` is `cpu_usage_cores`), and `_total` for counters, which stay counters. The level is in the name so that a sum over a name counts nothing twice; the prefix keeps these series apart from those that cAdvisor and the kubelet give to the same things.\nLabels are those of the ancestor, less `type`, `hostname`, `host_id` and `namespace_id`, which are written when they are renamed; what is not legal in a name becomes `_`, and values are cut after 2048 bytes. Times are those of the samples.\nWhat two rounds running lack, and what a thing no longer has, gets a staleness marker right after its last sample. Type, unit and help are sent too.",
    tested: "Prometheus 2.42 and VictoriaMetrics 1.79 of Debian, queried back; version 2.0 against a receiver written from its specification (2.0-rc.3)",
    samples: &[
        "prometheus:http://127.0.0.1:9090",
        "prometheus:https://mimir.example.com/api/v1/push?version=2&tenant=ops&user=u&password_file=/etc/heapster/mimir",
        "prometheus:http://victoria:8428?rename_labels=namespace_name:namespace,pod_name:pod&staleness=false",
    ],
    build,
};

/// Version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    One,
    #[serde(rename = "2")]
    Two,
}

struct RemoteWriteSink {
    peer: HttpPeer,
    encoder: Arc<Mutex<Encoder>>,
    tenant: Option<header::HeaderValue>,
    /// Whether 2.0 is asked for and the receiver is not known not to know it.
    speaks_two: AtomicBool,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("prometheus: {message}"));
    let (peer, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    let peer = HttpPeer::new("Prometheus", &location(&spec.location), peer).map_err(wrong)?;
    let tenant = (!options.tenant.is_empty()).then(|| options.tenant.parse());
    let tenant = tenant.transpose().map_err(|_| wrong("tenant is no value of a header".into()))?;
    let body_bytes = options.body_bytes.bytes();
    let encoder = Encoder::new(Arc::clone(labels), body_bytes, options.staleness);
    let encoder = Arc::new(Mutex::new(encoder));
    let speaks_two = AtomicBool::new(options.version == Version::Two);
    Ok(Box::new(RemoteWriteSink { peer, encoder, tenant, speaks_two }))
}

#[async_trait]
impl Sink for RemoteWriteSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let version =
            if self.speaks_two.load(Ordering::Relaxed) { Version::Two } else { Version::One };
        let Encoded { requests, clashing, markers } = self.encode(payloads, version).await?;
        let mut tally = Tally::default();
        tally.refuse(clashing, "another metric of the same thing has this name in Prometheus");
        for Request { head, body } in requests {
            let series = Series { sink: self, version, head: head.into() };
            series.write_body(body, &mut tally).await?;
        }
        lock(&self.encoder).tracker.confirm(markers);
        tally.finish()
    }
}

impl RemoteWriteSink {
    async fn encode(&self, payloads: &[Payload], version: Version) -> Result<Encoded, SinkError> {
        let (payloads, encoder) = (payloads.to_vec(), Arc::clone(&self.encoder));
        apart(move || lock(&encoder).encode(&payloads, version, Instant::now())).await
    }
}

/// A panic while it was locked leaves at worst an entry of a cache unmade.
fn lock(encoder: &Mutex<Encoder>) -> MutexGuard<'_, Encoder> {
    encoder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The series of a request.
struct Series<'a> {
    sink: &'a RemoteWriteSink,
    version: Version,
    /// What each part begins with.
    head: Bytes,
}

impl Series<'_> {
    async fn packed(&self, part: &Part) -> Result<Vec<u8>, SinkError> {
        let (part, head) = (part.clone(), self.head.clone());
        let packed = apart(move || {
            let whole = [&head, part.text()].concat();
            snap::raw::Encoder::new().compress_vec(&whole)
        });
        packed.await?.map_err(|error| SinkError::Permanent {
            message: format!("a request cannot be compressed: {error}; set a smaller body_bytes"),
        })
    }

    fn headers(&self) -> [(&'static str, &'static str); 2] {
        match self.version {
            Version::One => [
                ("content-type", "application/x-protobuf"),
                ("x-prometheus-remote-write-version", "0.1.0"),
            ],
            Version::Two => [
                ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
                ("x-prometheus-remote-write-version", "2.0.0"),
            ],
        }
    }
}

#[async_trait]
impl LineWriter for Series<'_> {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let RemoteWriteSink { peer, tenant, speaks_two, .. } = self.sink;
        let mut request = peer.request(Method::POST, "")?.header("content-encoding", "snappy");
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        if let Some(tenant) = tenant {
            request = request.header("x-scope-orgid", tenant.clone());
        }
        let answer = peer.send(request.body(self.packed(part).await?)).await?;
        let counts = [part.samples(), part.line_count() as u64];
        match meaning(&answer, self.version, counts, || peer.failure(&answer)) {
            Meaning::Verdict(verdict) => Ok(verdict),
            Meaning::UnknownVersion => {
                speaks_two.store(false, Ordering::Relaxed);
                Err(again_in_version_one(&peer.place()))
            }
        }
    }
}
