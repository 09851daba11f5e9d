//! `influxdb:URL?OPTIONS`: writes samples as line protocol, to InfluxDB 1.x by `/write` and to
//! 2.x and 3.x, with `bucket`, by `/api/v2/write`; and to whatever else speaks either.
//!
//! Events go to `log/events`, or with fields to `events`, as those of the ancestor did.
//!
//! A sample keeps its own time, so that a rate fits the interval it was taken over. Series and time
//! are the same whenever a row is written again, which therefore leaves no duplicates.

mod answer;
mod client;
#[doc(hidden)]
pub mod door;
mod encoder;
mod escape;
mod options;
mod plan;
mod precision;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};

use self::{
    client::Client,
    encoder::{Encoded, Encoder},
    options::Target,
    plan::Schema,
    precision::Precision,
};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::{apart, events, rows},
    lines::{LineWriter, Part, Verdict},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "influxdb",
    summary: "InfluxDB 1.x, 2.x or 3.x, VictoriaMetrics, and others that take their line protocol",
    delivery: "idempotent: series and time are the same whenever a sample is written again",
    mapping: "A metric is a measurement with the field `value`; with `withfields` what stands before the first slash is the measurement and the rest the field. Labels are tags, but for `namespace_id`, `pod_id`, `hostname` and `host_id`; the cluster is the tag `cluster_name`. Times are those of the samples, in milliseconds; integers are written as such.",
    tested: "InfluxDB 1.6 and VictoriaMetrics 1.79 of Debian; the API of InfluxDB 2 by its published description",
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

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (target, peer, options) = Target::take(&mut spec)?;
    let client =
        Client::new(target, peer).map_err(|message| SpecError(format!("influxdb: {message}")))?;
    let schema = Schema {
        with_fields: options.withfields,
        without_counters: options.disable_counter_metrics,
        labels: Arc::clone(labels),
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
        for (precision, bodies) in
            [(Precision::Milliseconds, encoded.bodies), (Precision::Nanoseconds, encoded.events)]
        {
            for body in bodies {
                Lines { sink: self, precision }.write_body(body, &mut tally).await?;
            }
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.takes_events
    }
}

impl InfluxdbSink {
    async fn encode(&self, payloads: &[Payload]) -> Result<Encoded, SinkError> {
        let (batches, events) = (rows(payloads), events(payloads));
        if batches.is_empty() && events.is_empty() {
            return Ok(Encoded::default());
        }
        let encoder = Arc::clone(&self.encoder);
        apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            let mut encoded = encoder.encode(batches.iter().map(Arc::as_ref));
            encoded.events = encoder.encode_events(events.iter().map(Arc::as_ref));
            encoded
        })
        .await
    }
}

/// Lines whose times are of one precision.
struct Lines<'a> {
    sink: &'a InfluxdbSink,
    precision: Precision,
}

#[async_trait]
impl LineWriter for Lines<'_> {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let InfluxdbSink { client, gzip, .. } = self.sink;
        let (part, gzip) = (part.clone(), *gzip);
        let packed = apart(move || part.packed(gzip)).await?;
        let answer = client.write(packed, self.precision, gzip).await?;
        Ok(answer::verdict(&answer, &client.target))
    }
}
