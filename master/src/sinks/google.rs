//! Writes samples to Google Cloud Monitoring by `timeSeries.create`, and events to Cloud Logging by
//! `entries.write`: what the sinks of several names do.
//!
//! A batch becomes requests of at most 200 series each. Those that have no series in common are sent
//! side by side; a later point of a series waits for the earlier one. What was taken is remembered, so
//! that a batch that failed in part is not sent again as a whole.

mod answer;
mod api;
mod credentials;
mod descriptor;
#[doc(hidden)]
pub mod door;
mod encoder;
mod events;
mod names;
mod options;
mod pace;
mod place;
mod plan;
mod resource;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use heapster_shared::{
    Set,
    spec::{Spec, SpecError},
    tick,
};
use tokio::sync::OnceCell;

use self::{
    answer::Verdict,
    api::Client,
    descriptor::Descriptor,
    encoder::{Encoded, Encoder, Request, Schema},
    options::Options,
    pace::Pace,
    place::{Asked, Place},
};
use super::{
    LabelRules, Sink, SinkError, Written,
    apart::{apart, events, rows},
    tally::Tally,
};
use crate::delivery::Payload;

/// What the sinks of Google guarantee.
pub(super) const DELIVERY: &str =
    "idempotent: the API refuses a point that it has, and an entry is known by its `insertId`";
/// What their tests write to.
pub(super) const TESTED: &str = "a stand-in that reads every request with Google's published message definitions (google-cloud-monitoring and google-cloud-logging for Python) and refuses what the documented rules refuse; not yet Google itself";

struct GoogleSink {
    client: Client,
    asked: Asked,
    options: Options,
    labels: Arc<LabelRules>,
    writer: OnceCell<Writer>,
}

/// What there is once the project is known.
struct Writer {
    place: Arc<Place>,
    encoder: Arc<Mutex<Encoder>>,
}

/// A sink that writes custom metrics unless its options say otherwise; with `named`, under the names
/// that Google has.
pub(super) fn build(
    mut spec: Spec,
    labels: &Arc<LabelRules>,
    named: bool,
) -> Result<Box<dyn Sink>, SpecError> {
    let (peer, options) = Options::take(&mut spec, named)?;
    let wrong = |message: String| SpecError(format!("{}: {message}", spec.kind));
    let client = Client::new(&options, &peer).map_err(wrong)?;
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let asked = Asked::new(&options, environment);
    let (labels, writer) = (Arc::clone(labels), OnceCell::new());
    Ok(Box::new(GoogleSink { client, asked, options, labels, writer }))
}

#[async_trait]
impl Sink for GoogleSink {
    async fn prepare(&self) -> Result<(), SinkError> {
        self.writer().await.map(drop)
    }

    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let writer = self.writer().await?;
        let mut tally = Tally::default();
        let mut encoded = writer.encode(payloads).await?;
        self.describe(writer, std::mem::take(&mut encoded.descriptors)).await?;
        tally.delivered += encoded.written;
        for (why, samples) in encoded.refused {
            tally.refuse(samples, why);
        }
        for wave in encoded.waves {
            self.write_wave(writer, wave, &mut tally).await?;
        }
        self.write_events(writer, payloads, &mut tally).await?;
        writer.encoder().settle(&encoded.rows);
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.options.events
    }
}

impl GoogleSink {
    async fn writer(&self) -> Result<&Writer, SinkError> {
        self.writer.get_or_try_init(|| self.make_writer()).await
    }

    async fn make_writer(&self) -> Result<Writer, SinkError> {
        let place = Arc::new(self.asked.place(&self.client).await?);
        let schema = Schema {
            models: self.options.models(),
            labels: self.options.metric_labels().map(str::to_owned).collect(),
            rules: Arc::clone(&self.labels),
            cluster_name: self.options.cluster_name.clone(),
            descriptors: self.options.descriptors,
        };
        let max_age_ms = i64::try_from(self.options.max_age.as_millis()).unwrap_or(i64::MAX);
        let gap_ms = i64::try_from(self.options.min_interval_sec.saturating_mul(1000));
        let pace = Pace::new(gap_ms.unwrap_or(i64::MAX), max_age_ms);
        let encoder = Encoder::new(schema, Arc::clone(&place), pace);
        Ok(Writer { place, encoder: Arc::new(Mutex::new(encoder)) })
    }

    /// Describes the custom metrics that no earlier write had.
    async fn describe(
        &self,
        writer: &Writer,
        descriptors: Vec<Descriptor>,
    ) -> Result<(), SinkError> {
        stream::iter(descriptors)
            .map(|descriptor| async move {
                self.client.describe(&writer.place.project, &descriptor).await?;
                writer.encoder().described(&descriptor.name);
                Ok(())
            })
            .buffer_unordered(self.options.requests)
            .try_collect()
            .await
    }

    /// Sends requests side by side; remembers the rows that were taken wholly, so that they are not
    /// sent again when others of the batch are.
    async fn write_wave(
        &self,
        writer: &Writer,
        wave: Vec<Request>,
        tally: &mut Tally,
    ) -> Result<(), SinkError> {
        let sent = stream::iter(wave).map(|mut request| async {
            let body = std::mem::take(&mut request.body).into();
            let project = &writer.place.project;
            let verdict = self.client.write(project, body, request.samples).await;
            (request, verdict.unwrap_or_else(Verdict::Failed))
        });
        let sent: Vec<_> = sent.buffer_unordered(self.options.requests).collect().await;
        let mut failed: Set<u64> = Set::default();
        let mut transient = None;
        for (request, verdict) in &sent {
            match verdict {
                Verdict::Taken => tally.delivered += request.samples,
                Verdict::TakenInPart { refused, reason } => {
                    tally.delivered += request.samples - refused;
                    tally.refuse(*refused, reason);
                }
                Verdict::Failed(error) => {
                    failed.extend(request.rows.iter().map(|(entity, _)| *entity));
                    match error {
                        SinkError::Permanent { message } => tally.refuse(request.samples, message),
                        SinkError::Transient { .. } => transient = Some(error.clone()),
                    }
                }
            }
        }
        let rows = sent.into_iter().flat_map(|(request, _)| request.rows);
        writer.encoder().took(rows.filter(|(entity, _)| !failed.contains(entity)));
        transient.map_or(Ok(()), Err)
    }

    async fn write_events(
        &self,
        writer: &Writer,
        payloads: &[Payload],
        tally: &mut Tally,
    ) -> Result<(), SinkError> {
        let batches = events(payloads);
        let cluster_name = self.options.cluster_name.as_deref();
        for request in
            events::requests(batches.iter().map(Arc::as_ref), &writer.place, cluster_name)
        {
            match self.client.log(request.body.into(), request.entries).await? {
                Verdict::Taken => tally.delivered += request.entries,
                Verdict::TakenInPart { refused, reason } => {
                    tally.delivered += request.entries - refused;
                    tally.refuse(refused, &reason);
                }
                Verdict::Failed(SinkError::Permanent { message }) => {
                    tally.refuse(request.entries, &message);
                }
                Verdict::Failed(transient) => return Err(transient),
            }
        }
        Ok(())
    }
}

impl Writer {
    async fn encode(&self, payloads: &[Payload]) -> Result<Encoded, SinkError> {
        let batches = rows(payloads);
        if batches.is_empty() {
            return Ok(Encoded::default());
        }
        let encoder = Arc::clone(&self.encoder);
        apart(move || lock(&encoder).encode(batches.iter().map(Arc::as_ref), tick::unix_ms())).await
    }

    fn encoder(&self) -> MutexGuard<'_, Encoder> {
        lock(&self.encoder)
    }
}

/// A panic in there leaves at worst an entry of a cache unmade.
fn lock(encoder: &Mutex<Encoder>) -> MutexGuard<'_, Encoder> {
    encoder.lock().unwrap_or_else(PoisonError::into_inner)
}
