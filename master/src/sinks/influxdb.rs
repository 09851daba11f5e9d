//! `influxdb:URL?OPTIONS`: writes samples as line protocol, to InfluxDB 1.x by `/write` and to
//! 2.x and 3.x, with `bucket`, by `/api/v2/write`; and to whatever else speaks either.
//!
//! Events go to `log/events`, or with fields to `events`, as those of the ancestor did.
//!
//! A sample keeps its own time, so that a rate fits the interval it was taken over. Series and time
//! are the same whenever a row is written again, which therefore leaves no duplicates.

mod answer;
mod body;
mod client;
#[doc(hidden)]
pub mod door;
mod encoder;
mod escape;
mod options;
mod plan;
mod store;
mod weak_cache;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heapster_shared::{
    row::RowBatch,
    spec::{Spec, SpecError},
};

use self::{
    answer::Verdict,
    body::Part,
    client::Client,
    encoder::{Encoded, Encoder},
    options::{Options, Target},
    plan::Schema,
};
use super::{Kind, Sink, SinkError, Written};
use crate::delivery::{EventBatch, Payload};

pub(super) const KIND: Kind = Kind {
    name: "influxdb",
    summary: "InfluxDB 1.x, 2.x or 3.x, VictoriaMetrics, and others that take their line protocol",
    samples: &[
        "influxdb:http://127.0.0.1:8086?db=k8s",
        "influxdb:http://127.0.0.1:8086?db=k8s&withfields=true&retention=30d&user=root&pw=root",
        "influxdb:https://influx.example.com?org=ops&bucket=heapster&token=TOKEN",
    ],
    build,
};

struct InfluxdbSink {
    client: Client,
    encoder: Arc<Mutex<Encoder>>,
    gzip: bool,
    takes_events: bool,
}

fn build(spec: Spec) -> Result<Box<dyn Sink>, SpecError> {
    let options: Options = spec.options()?;
    let target = Target::new(&spec, &options)?;
    let client = Client::new(target, options.insecuressl)
        .map_err(|message| SpecError(format!("influxdb: {message}")))?;
    let schema = Schema {
        with_fields: options.withfields,
        without_counters: options.disable_counter_metrics,
    };
    let encoder = Encoder::new(schema, options.cluster_name, options.body_bytes.bytes());
    let encoder = Arc::new(Mutex::new(encoder));
    let (gzip, takes_events) = (options.gzip, options.events);
    Ok(Box::new(InfluxdbSink { client, encoder, gzip, takes_events }))
}

#[async_trait]
impl Sink for InfluxdbSink {
    async fn prepare(&self) -> Result<(), SinkError> {
        store::prepare(&self.client).await
    }

    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let encoded = self.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.refuse(encoded.infinite, "infinite values cannot be written");
        for body in encoded.bodies {
            self.write_part(Part::whole(body), &mut tally).await?;
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.takes_events
    }
}

impl InfluxdbSink {
    async fn encode(&self, payloads: &[Payload]) -> Result<Encoded, SinkError> {
        let batches: Vec<Arc<RowBatch>> = payloads.iter().filter_map(rows).collect();
        let events: Vec<Arc<EventBatch>> = payloads.iter().filter_map(events).collect();
        if batches.is_empty() && events.is_empty() {
            return Ok(Encoded::default());
        }
        let encoder = Arc::clone(&self.encoder);
        apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            let mut encoded = encoder.encode(batches.iter().map(Arc::as_ref));
            encoded.bodies.extend(encoder.encode_events(events.iter().map(Arc::as_ref)));
            encoded
        })
        .await
    }

    /// Writes a part, in halves where it is too large.
    async fn write_part(&self, part: Part, tally: &mut Tally) -> Result<(), SinkError> {
        let mut parts = vec![part];
        while let Some(part) = parts.pop() {
            let packed = part.clone();
            let gzip = self.gzip;
            let packed = apart(move || packed.packed(gzip)).await?;
            let answer = self.client.write(packed, part.precision(), gzip).await?;
            let samples = part.samples();
            match answer.verdict(&self.client.target) {
                Verdict::Taken => tally.delivered += samples,
                Verdict::TakenInPart { lines_refused, reason } => {
                    let refused = refused_samples(&part, lines_refused);
                    tally.delivered += samples - refused;
                    tally.refuse(refused, &reason);
                }
                Verdict::TooLarge => match part.halves() {
                    Some([first, second]) => parts.extend([second, first]),
                    None => tally.refuse(samples, "a single line is too large for the database"),
                },
                Verdict::Failed(SinkError::Permanent { message }) => {
                    tally.refuse(samples, &message);
                }
                Verdict::Failed(transient) => return Err(transient),
            }
        }
        Ok(())
    }
}

/// The database counts lines; which ones it means it does not say, so that lines with several
/// fields count as lines of average length.
fn refused_samples(part: &Part, lines: u64) -> u64 {
    let (all_lines, samples) = (part.line_count() as u64, part.samples());
    if lines >= all_lines { samples } else { lines * samples / all_lines }
}

fn rows(payload: &Payload) -> Option<Arc<RowBatch>> {
    match payload {
        Payload::Rows(batch) => Some(Arc::clone(batch)),
        Payload::Events(_) | Payload::RoundEnd { .. } => None,
    }
}

fn events(payload: &Payload) -> Option<Arc<EventBatch>> {
    match payload {
        Payload::Events(batch) => Some(Arc::clone(batch)),
        Payload::Rows(_) | Payload::RoundEnd { .. } => None,
    }
}

/// Runs what takes long where it holds up nobody.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SinkError::Permanent {
        message: format!("encoding failed, which is a fault of this program: {error}"),
    })
}

/// What became of the samples of a write.
#[derive(Default)]
struct Tally {
    delivered: u64,
    rejected: u64,
    reason: String,
}

impl Tally {
    fn refuse(&mut self, samples: u64, reason: &str) {
        self.rejected += samples;
        if samples > 0 {
            reason.clone_into(&mut self.reason);
        }
    }

    /// A write of which nothing was taken has failed.
    fn finish(self) -> Result<Written, SinkError> {
        if self.delivered == 0 && self.rejected > 0 {
            return Err(SinkError::Permanent { message: self.reason });
        }
        Ok(Written { delivered: self.delivered, rejected: self.rejected, reason: self.reason })
    }
}
