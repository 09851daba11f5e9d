//! `nats:SERVERS?OPTIONS`: publishes messages to a stream of NATS JetStream, and waits until the stream
//! has each.
//!
//! A write takes a connection out of the pool, or makes one, and puts it back when all went well: what
//! failed, or was given up, leaves no answers behind that nobody waits for.

mod answer;
mod connection;
#[doc(hidden)]
pub mod door;
mod encoder;
mod nkey;
mod options;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};
use rustls::ClientConfig;

use self::{
    answer::Ack,
    connection::{Access, Connection},
    encoder::{Encoded, Encoder},
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
    name: "nats",
    summary: "NATS JetStream, server 2.2 and later",
    delivery: "idempotent within the stream's `duplicate_window`: a message's `Nats-Msg-Id` follows from its labels, metrics and time; what is written again later is there twice",
    mapping: "A row is a message in JSON: `cluster`, `time` in UTC, `labels`, and `samples` of `metric`, `value` and, where a metric has several, `labels`. It goes to the subject `heapster.CLUSTER.LEVEL`, as `heapster.lab.pod_container`; what a subject cannot have in a name becomes `_`. An event is `cluster` and `event`, under `heapster.CLUSTER.events`.",
    tested: "nats-server of Debian, read back with PyPI's `nats-py`",
    samples: &[
        "nats:127.0.0.1:4222",
        "nats:nats-1:4222,nats-2:4222?stream=METRICS&subject=metrics.{cluster}.{namespace}.{level}&retention=24h&replicas=3",
        "nats:nats.example.com?secure=true&creds=/etc/heapster/nats.creds",
    ],
    build,
};

struct NatsSink {
    options: Options,
    peer: PeerOptions,
    tls: Arc<ClientConfig>,
    encoder: Arc<Mutex<Encoder>>,
    /// Connections that nobody writes to now; never more than writes at once.
    idle: Mutex<Vec<Connection>>,
}

/// Messages that may be under way unanswered.
const MOST_UNANSWERED: usize = 512;

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (peer, options) = Options::take(&mut spec)?;
    let tls = client_config(&peer, options.secure);
    let tls = tls.map_err(|message| SpecError(format!("nats: {message}")))?;
    let encoder = Encoder::new(&options, Arc::clone(labels));
    let (tls, encoder) = (Arc::new(tls), Arc::new(Mutex::new(encoder)));
    Ok(Box::new(NatsSink { options, peer, tls, encoder, idle: Mutex::default() }))
}

fn transient(message: String) -> SinkError {
    SinkError::Transient { message, retry_after: None }
}

#[async_trait]
impl Sink for NatsSink {
    async fn prepare(&self) -> Result<(), SinkError> {
        let connection = self.connection().await?;
        self.put_back(connection);
        Ok(())
    }

    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut tally = Tally::default();
        if payloads.iter().all(|payload| payload.samples() == 0) {
            return tally.finish();
        }
        let mut connection = self.connection().await?;
        let encoded = self.encode(payloads, &connection).await?;
        tally.refuse(encoded.infinite, "infinite values cannot be written");
        tally.refuse(encoded.too_long, "a message is longer than the server takes");
        for messages in encoded.messages.chunks(MOST_UNANSWERED) {
            let acks = connection.publish(&encoded.text, messages).await.map_err(transient)?;
            for (message, ack) in messages.iter().zip(acks) {
                match ack {
                    Ack::Stored => tally.delivered += message.samples,
                    Ack::Refused(reason) => tally.refuse(message.samples, &reason),
                    Ack::NotNow(reason) => return Err(transient(reason)),
                }
            }
        }
        self.put_back(connection);
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        self.options.events
    }
}

impl NatsSink {
    async fn connection(&self) -> Result<Connection, SinkError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut connection) = idle
            && connection.is_alive().await
        {
            return Ok(connection);
        }
        let credentials = self.peer.credentials().map_err(transient)?;
        let creds = self.options.read_creds().map_err(transient)?;
        let access =
            Access { tls: Arc::clone(&self.tls), secure: self.options.secure, credentials, creds };
        let mut failure = String::new();
        for server in &self.options.servers {
            match Connection::open(server, &access).await {
                Ok(mut connection) => {
                    let there = stream::ensure(&mut connection, &self.options).await;
                    return there.map(|()| connection).map_err(transient);
                }
                Err(message) => failure = message,
            }
        }
        Err(transient(failure))
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    async fn encode(
        &self,
        payloads: &[Payload],
        connection: &Connection,
    ) -> Result<Encoded, SinkError> {
        let (batches, events) = (rows(payloads), events(payloads));
        let (encoder, inbox) = (Arc::clone(&self.encoder), connection.inbox().to_owned());
        let longest = connection.longest_message();
        apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
            encoder.begin(&inbox, longest);
            batches.iter().for_each(|batch| encoder.push_rows(batch));
            events.iter().for_each(|batch| encoder.push_events(batch));
            encoder.finish()
        })
        .await
    }
}
