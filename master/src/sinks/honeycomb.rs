//! `honeycomb:[URL]?OPTIONS`: sends rows as events of a dataset of Honeycomb, by its batch API.
//!
//! A row is one event with its metrics and labels, and one more for each volume, device or accelerator
//! with those of its own. Honeycomb answers for each event of a request: what it cannot take now is
//! sent again by itself, as long as it takes some.

mod answer;
#[doc(hidden)]
pub mod door;
mod encoder;
mod options;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};
use reqwest::{Method, header};

use self::{encoder::Encoder, options::Target};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::{apart, events, rows},
    lines::{Body, pack},
    peer::Answer,
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "honeycomb",
    summary: "a dataset of Honeycomb",
    delivery: "at least once: Honeycomb has no identity of an event, so that one that is sent again is there twice",
    mapping: "A row is an event: a column a metric, under the ancestor's name, and a column a label; the cluster is `cluster_name`. Metrics that have labels of their own are an event for each value of these, as `resource_id`. Counters are sent as they stand. The time is the row's own, to the millisecond. Events of clusters have the columns `reason`, `message`, `type`, `count`, `kind`, `namespace_name`, `name`, `uid`, `component` and `host`.",
    tested: "a fake written from the published description of the batch API",
    samples: &[
        "honeycomb:?dataset=heapster&writekey=KEY",
        "honeycomb:https://api.eu1.honeycomb.io?dataset=prod&token_file=/etc/heapster/honeycomb-key",
    ],
    build,
};

struct Honeycomb {
    target: Target,
    encoder: Arc<Mutex<Encoder>>,
    gzip: bool,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (target, options) = Target::take(&mut spec)?;
    let encoder = Encoder::new(Arc::clone(labels), options.body_bytes.bytes());
    let encoder = Arc::new(Mutex::new(encoder));
    Ok(Box::new(Honeycomb { target, encoder, gzip: options.gzip }))
}

#[async_trait]
impl Sink for Honeycomb {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let (batches, events) = (rows(payloads), events(payloads));
        let encoder = Arc::clone(&self.encoder);
        let (mut bodies, infinite) = apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            encoder.encode(&batches, &events)
        })
        .await?;
        let mut tally = Tally::default();
        tally.refuse(infinite, "infinite values cannot be written as JSON");
        bodies.reverse();
        while let Some(body) = bodies.pop() {
            self.send(body, &mut bodies, &mut tally).await?;
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        true
    }
}

impl Honeycomb {
    /// Sends the events of a body once; what of it is worth another try goes to `again`.
    async fn send(
        &self,
        body: Body,
        again: &mut Vec<Body>,
        tally: &mut Tally,
    ) -> Result<(), SinkError> {
        let body = Arc::new(body);
        let answer = self.post(&body).await?;
        match answer.status.as_u16() {
            200..=299 => again.extend(answer::sort(&answer, &body, &self.target, tally)?),
            413 => match answer::halves(&body) {
                Some([first, second]) => again.extend([second, first]),
                None => tally.refuse(answer::samples(&body), "a single event is too large"),
            },
            _ => match self.target.failure(&answer) {
                SinkError::Permanent { message } => tally.refuse(answer::samples(&body), &message),
                transient => return Err(transient),
            },
        }
        Ok(())
    }

    async fn post(&self, body: &Arc<Body>) -> Result<Answer, SinkError> {
        let (body, gzip) = (Arc::clone(body), self.gzip);
        let packed = apart(move || {
            let objects = body.text.split_last().map_or(&[][..], |(_, objects)| objects);
            pack(&[b"[", objects, b"]"].concat(), gzip)
        })
        .await?;
        let request =
            self.target.request(Method::POST)?.header(header::CONTENT_TYPE, "application/json");
        let request = if gzip { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
        self.target.peer.send(request.body(packed)).await
    }
}
