//! `elasticsearch:URL?OPTIONS`: writes documents to Elasticsearch 7.9 and later, or to OpenSearch, by
//! their bulk API: to data streams, or with `index` to an index a day, as the ancestor did.
//!
//! A document is what an entity's row says under one set of labels. Its id follows from these labels,
//! its metrics and its time, and it is only ever created: one that is there already is delivered.

mod answer;
mod client;
#[doc(hidden)]
pub mod door;
mod encoder;
mod options;
mod templates;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};

use self::{
    client::Client,
    encoder::{Encoded, Encoder},
    options::Settings,
};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::{apart, events, rows},
    lines::{LineWriter, Part, Verdict},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "elasticsearch",
    summary: "Elasticsearch 7.9 and later, and OpenSearch",
    delivery: "idempotent: a document's id follows from its labels, metrics and time, and it is created once. Of a data stream that holds within one backing index: what is written again after a rollover in between is there twice",
    mapping: "A row is a document, and what it says of each device or volume another: `@timestamp`, `labels` and `metrics`, an object of the ancestor's names and their values. Dots in names become `_`, since a dot parts names of objects here; the cluster is `labels.cluster_name`. Integers are `long`, other values `double`. An event is its object in Kubernetes as `event`. They go to the data streams `heapster-metrics` and `heapster-events`; with `index=NAME` to `NAME-2026.11.22` and `NAME-events-2026.11.22`, the day being that of the sample in UTC. An index template is made once, and left as it is where there is one. The ancestor's `esUserName` and `esUserSecret` are `user` and `password`; its `ver`, `bulkWorkers`, `sniff`, `healthCheck`, `startupHealthcheckTimeout` and `maxRetries` are taken and have no effect.",
    tested: "a fake that checks each request against the published bulk API of Elasticsearch and OpenSearch: no package has either server",
    samples: &[
        "elasticsearch:http://127.0.0.1:9200",
        "elasticsearch:https://es-1:9200?nodes=https://es-2:9200,https://es-3:9200&user=heapster&password_file=/etc/heapster/es-password&retention=30d",
        "elasticsearch:?nodes=http://127.0.0.1:9200&index=heapster&esUserName=u&esUserSecret=p&cluster_name=lab&pipeline=enrich",
    ],
    build,
};

struct ElasticsearchSink {
    client: Client,
    settings: Settings,
    encoder: Arc<Mutex<Encoder>>,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (nodes, peer, settings) = options::take(&mut spec)?;
    let client = Client::new(&nodes, &peer, settings.pipeline.clone())
        .map_err(|message| SpecError(format!("elasticsearch: {message}")))?;
    let encoder = Encoder::new(settings.clone(), Arc::clone(labels));
    Ok(Box::new(ElasticsearchSink { client, settings, encoder: Arc::new(Mutex::new(encoder)) }))
}

#[async_trait]
impl Sink for ElasticsearchSink {
    async fn prepare(&self) -> Result<(), SinkError> {
        templates::prepare(&self.client, &self.settings).await
    }

    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let encoded = self.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.refuse(encoded.infinite, "infinite values cannot be written");
        for body in encoded.bodies {
            self.write_body(body, &mut tally).await?;
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.settings.events
    }
}

impl ElasticsearchSink {
    async fn encode(&self, payloads: &[Payload]) -> Result<Encoded, SinkError> {
        let (batches, events) = (rows(payloads), events(payloads));
        if batches.is_empty() && events.is_empty() {
            return Ok(Encoded::default());
        }
        let encoder = Arc::clone(&self.encoder);
        apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            batches.iter().for_each(|batch| encoder.push_rows(batch));
            events.iter().for_each(|batch| encoder.push_events(batch));
            encoder.finish()
        })
        .await
    }
}

#[async_trait]
impl LineWriter for ElasticsearchSink {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let (copy, gzip) = (part.clone(), self.settings.gzip);
        let packed = apart(move || copy.packed(gzip)).await?;
        let answer = self.client.bulk(packed, gzip).await?;
        Ok(answer::verdict(&answer, part, &self.client))
    }
}
