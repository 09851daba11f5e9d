//! `otlp:URL?OPTIONS`: OpenTelemetry's protocol over HTTP and gRPC, to its collector and to whatever
//! else receives it.
//!
//! A row is a resource with its metrics. Names and attributes are those of the semantic conventions,
//! see `names` and `resource`.

mod answer;
#[doc(hidden)]
pub mod door;
mod encoder;
mod grpc;
mod names;
mod options;
mod plan;
mod resource;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use heapster_shared::spec::{Spec, SpecError};
use reqwest::{Method, header};

use self::{
    encoder::Encoder,
    grpc::GrpcPeer,
    options::{Options, Protocol},
};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::{apart, rows},
    lines::{LineWriter, Part, Verdict},
    peer::{HttpPeer, PeerOptions},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "otlp",
    summary: "the OpenTelemetry Collector and others that receive OTLP, over HTTP or gRPC",
    delivery: "at least once: the protocol has no word for a point that is sent again; it has the same series and time, by which most stores know it",
    mapping: "A row is a resource: `k8s.cluster.name`, `k8s.node.name`, `k8s.namespace.name`, `k8s.pod.name`, `k8s.pod.uid`, `k8s.container.name`, `container.image.name`, `host.name`, `host.id`, and the owner as `k8s.deployment.name` or the like; labels that are renamed keep the name that they are given.\nMetrics have the names of the semantic conventions for Kubernetes and containers: `container.cpu.time`, `k8s.pod.cpu.usage`, `k8s.node.memory.working_set`, `k8s.pod.network.io` with `network.io.direction`, `k8s.pod.volume.usage` with `k8s.volume.name`, `k8s.container.cpu.request`. What has no name there is `heapster.LEVEL.METRIC`, such as `heapster.namespace.memory.usage`.\nCounters are monotonic cumulative sums that start with the entity; what the conventions call an UpDownCounter is a sum that is not monotonic; all else is a gauge. Times are those of the samples; units are UCUM's, CPU time in seconds and CPU in use in `{cpu}`.",
    tested: "a receiver in Python with the message definitions and gRPC stubs of `opentelemetry-proto`, over HTTP and gRPC",
    samples: &[
        "otlp:http://127.0.0.1:4318",
        "otlp:http://127.0.0.1:4317?protocol=grpc",
        "otlp:https://otlp.example.com?protocol=grpc&token_file=/etc/heapster/otlp-token",
    ],
    build,
};

struct OtlpSink {
    receiver: Receiver,
    encoder: Arc<Mutex<Encoder>>,
}

enum Receiver {
    Http { peer: Box<HttpPeer>, gzip: bool },
    Grpc(Box<GrpcPeer>),
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("otlp: {message}"));
    let (peer, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    let Options { protocol, gzip, body_bytes } = options;
    let location =
        if spec.location.is_empty() { protocol.default_location() } else { &spec.location };
    let receiver = match protocol {
        Protocol::Http => {
            let peer = HttpPeer::new("OTLP receiver", location, peer).map_err(wrong)?;
            Receiver::Http { peer: Box::new(peer), gzip }
        }
        Protocol::Grpc => {
            Receiver::Grpc(Box::new(GrpcPeer::new(location, peer, gzip).map_err(wrong)?))
        }
    };
    let encoder = Encoder::new(Arc::clone(labels), body_bytes.bytes());
    Ok(Box::new(OtlpSink { receiver, encoder: Arc::new(Mutex::new(encoder)) }))
}

#[async_trait]
impl Sink for OtlpSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut tally = Tally::default();
        let batches = rows(payloads);
        if batches.is_empty() {
            return tally.finish();
        }
        let encoder = Arc::clone(&self.encoder);
        let bodies = apart(move || {
            // A panic while it was locked leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            encoder.encode(batches.iter().map(Arc::as_ref))
        });
        for body in bodies.await? {
            self.receiver.write_body(body, &mut tally).await?;
        }
        tally.finish()
    }
}

#[async_trait]
impl LineWriter for Receiver {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        match self {
            Self::Http { peer, gzip } => {
                let (part, gzip) = (part.clone(), *gzip);
                let body = apart(move || part.packed(gzip)).await?;
                over_http(peer, body, gzip).await
            }
            Self::Grpc(peer) => {
                let answer = peer.export(Bytes::copy_from_slice(part.text())).await?;
                Ok(match answer {
                    Ok(message) => answer::success(&message),
                    Err(status) => answer::over_grpc(&status, peer.place(), &peer.account()),
                })
            }
        }
    }
}

async fn over_http(peer: &HttpPeer, body: Bytes, gzip: bool) -> Result<Verdict, SinkError> {
    let request = peer.request(Method::POST, "/v1/metrics")?;
    let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
    let request = if gzip { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
    let answer = peer.send(request.body(body)).await?;
    Ok(answer::over_http(&answer, &peer.place(), || peer.failure(&answer)))
}
