//! `riemann:HOST[:PORT]?OPTIONS`: sends events over TCP in Riemann's protocol: a message of Protocol
//! Buffers behind its length, answered by one (<https://riemann.io/howto.html>, `proto.proto` of
//! riemann-java-client).

mod format;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use heapster_shared::{
    spec::{Spec, SpecError},
    units::ByteSize,
};
use serde::Deserialize;

use self::format::{Choice, States};
use super::{
    Kind, LabelRules, Sink, SinkError, Written, apart,
    lines::{Body, LineWriter, Part, Verdict},
    peer::PeerOptions,
    samples::{Encoded, SharedLines},
    stream::{Address, StreamPeer},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "riemann",
    summary: "Riemann, over TCP or TLS",
    delivery: "at least once: an answer that is lost on its way has the events sent again. Riemann's index keeps one of a host and service; its streams see both",
    mapping: "A sample is an event: the service is the metric's name, the host the host's name, the labels (and a field's) are attributes, with the cluster as `cluster_name`; integers are `metric_sint64`, others `metric_d`; times are in microseconds, and in seconds for older servers. Events of a cluster have its message as description, its reason as service, the state `ok` or `warning`, and its count as metric.",
    tested: "a server of the tests, by the message definitions that Riemann publishes",
    samples: &[
        "riemann:localhost:5555?ttl=120&state=ok&tags=foobar&batchsize=150",
        "riemann:tls://riemann.example.com:5554?required=true",
    ],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Seconds for which events count. Default 60.
    ttl: f32,
    /// State of each event. Default none.
    state: String,
    /// Tags of each event, separated by commas; may be given several times. Default `heapster`.
    tags: Vec<String>,
    /// Events in a message. Default 1000.
    batchsize: usize,
    /// The most that a message carries; Riemann takes 16 MiB. Default `1MiB`.
    body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl: 60.0,
            state: String::new(),
            tags: vec!["heapster".into()],
            batchsize: 1000,
            body_bytes: ByteSize::mib(1),
        }
    }
}

const DEFAULT_LOCATION: &str = "riemann-heapster";
const PORT: u16 = 5555;
/// The longest answer that is read.
const ANSWER_BYTES: u32 = 1 << 20;

struct RiemannSink {
    peer: StreamPeer,
    states: SharedLines<States>,
    events: States,
    batch: usize,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: String| SpecError(format!("riemann: {message}"));
    let (connection, options): (PeerOptions, Options) = PeerOptions::take(&mut spec)?;
    let location = if spec.location.is_empty() { DEFAULT_LOCATION } else { &spec.location };
    // The ancestor wrote the address with http.
    let (scheme, address) = location.split_once("://").unwrap_or(("tcp", location));
    if !matches!(scheme, "tcp" | "http" | "tls") {
        return Err(wrong("write the location as HOST:PORT, or tls://HOST:PORT".into()));
    }
    let address = Address::parse(address, PORT).map_err(wrong)?;
    let peer = StreamPeer::new("Riemann", address, &connection, scheme == "tls").map_err(wrong)?;
    if options.batchsize == 0 || !options.ttl.is_finite() || options.ttl <= 0.0 {
        return Err(wrong("batchsize must be at least 1, and ttl more than 0".into()));
    }
    let tags = options.tags.iter().flat_map(|tags| tags.split(','));
    let tags = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let choice = Choice { ttl: options.ttl, state: options.state, tags };
    let states = States::new(choice, Arc::clone(labels));
    Ok(Box::new(RiemannSink {
        peer,
        events: states.clone(),
        states: SharedLines::new(states, options.body_bytes.bytes()),
        batch: options.batchsize,
    }))
}

#[async_trait]
impl Sink for RiemannSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let Encoded { bodies, infinite, left_out } = self.states.encode(payloads).await?;
        let mut tally = Tally::default();
        tally.delivered += left_out;
        tally.refuse(infinite, "infinite values cannot be written");
        let mut events = Body::default();
        for batch in apart::events(payloads) {
            for event in &batch.events {
                self.events.event(&batch.cluster, event, &mut events.text);
                events.end_line(1);
            }
        }
        for body in bodies.into_iter().chain([events]) {
            for part in Part::whole(body).pieces(self.batch) {
                self.write_pieces(part, &mut tally).await?;
            }
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        true
    }
}

#[async_trait]
impl LineWriter for RiemannSink {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let message = wire::framed(part.text());
        let answer = self.peer.exchange(&message, ANSWER_BYTES).await?;
        Ok(match wire::read_answer(&answer) {
            Ok(()) => Verdict::Taken,
            Err(reason) => {
                let message = format!("{} refuses events: {reason}", self.peer.place());
                Verdict::Failed(SinkError::Permanent { message })
            }
        })
    }
}

#[doc(hidden)]
pub mod door {
    //! A way in for benches.

    use std::sync::Arc;

    use heapster_shared::row::RowBatch;

    use super::{
        super::samples::SampleLines,
        format::{Choice, States},
    };

    /// An encoder as the sink keeps one: takes rows, gives the bytes of their events.
    pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
        let choice = Choice { ttl: 60.0, state: String::new(), tags: vec!["heapster".into()] };
        let mut lines = SampleLines::new(States::new(choice, Arc::default()), 1 << 20);
        move |batch| lines.encode([batch]).bodies.iter().map(|body| body.text.len()).sum()
    }
}
