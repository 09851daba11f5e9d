//! `webhook:URL?OPTIONS`: posts events, and rows where they are wanted, as JSON to an address.
//!
//! A request is `{"cluster":"lab","events":[..]}`, or `"rows"`. It has a number that follows from its
//! bytes, by which a receiver knows one that comes again; with a secret it is signed.

mod options;
mod sign;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use heapster_shared::spec::{Spec, SpecError};
use reqwest::{Method, header};

use self::options::Target;
use super::{
    Kind, LabelRules, Sink, SinkError, Written,
    apart::apart,
    event_json::as_in_kubernetes,
    json,
    json_rows::JsonRows,
    lines::{Body, LineWriter, Part, Verdict},
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "webhook",
    summary: "an HTTP address of yours, which is sent events as JSON",
    delivery: "at least once: a request that is sent again has the same `X-Heapster-Delivery`, by which a receiver knows it",
    mapping: "A request is `cluster` and `events`, each as its object in Kubernetes: `metadata`, `involvedObject`, `reason`, `message`, `source`, `firstTimestamp`, `lastTimestamp`, `count`, `type`. With `rows=true` there are requests of `cluster` and `rows` too, each as a line of the sink `file`. Times are in UTC.",
    tested: "a receiver of our own, which checks the signatures with another implementation of them",
    samples: &[
        "webhook:https://hooks.example.com/heapster?secret_file=/etc/heapster/webhook-secret",
        "webhook:http://127.0.0.1:9000/events?header=X-Team:ops&include_namespaces=shop",
    ],
    build,
};

struct Webhook {
    target: Arc<Target>,
    takes_rows: bool,
    body_bytes: usize,
    rows: Arc<Mutex<JsonRows>>,
}

fn build(mut spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let (target, options) = Target::take(&mut spec)?;
    Ok(Box::new(Webhook {
        target: Arc::new(target),
        takes_rows: options.rows,
        body_bytes: options.body_bytes.bytes(),
        rows: Arc::new(Mutex::new(JsonRows::new(Arc::clone(labels)))),
    }))
}

#[async_trait]
impl Sink for Webhook {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut tally = Tally::default();
        for payload in payloads {
            let (rows, payload) = (Arc::clone(&self.rows), payload.clone());
            let body_bytes = self.body_bytes;
            let (before, bodies, infinite) = apart(move || {
                let (before, body, infinite) = objects(&rows, &payload);
                (Bytes::from(before), body.parted(body_bytes), infinite)
            })
            .await?;
            tally.refuse(infinite, "infinite values cannot be written as JSON");
            let poster = Poster { target: &self.target, before };
            for body in bodies {
                poster.write_body(body, &mut tally).await?;
            }
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn takes_rows(&self) -> bool {
        self.takes_rows
    }
}

/// What requests begin with, and objects with a comma behind each; with how many infinite values were
/// left out.
fn objects(rows: &Mutex<JsonRows>, payload: &Payload) -> (Vec<u8>, Body, u64) {
    let mut body = Body::default();
    match payload {
        Payload::Rows(batch) => {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            let infinite = rows.rows(batch, b",", &mut body);
            (beginning(&batch.cluster, "rows"), body, infinite)
        }
        Payload::Events(batch) => {
            for event in &batch.events {
                // Neither values nor memory make it fail.
                let _ = serde_json::to_writer(&mut body.text, &as_in_kubernetes(event));
                body.text.push(b',');
                body.end_line(1);
            }
            (beginning(&batch.cluster, "events"), body, 0)
        }
        Payload::RoundEnd { .. } => (Vec::new(), body, 0),
    }
}

fn beginning(cluster: &str, what: &str) -> Vec<u8> {
    let mut before = b"{".to_vec();
    json::pair("cluster", cluster, &mut before);
    before.push(b',');
    json::key(what, &mut before);
    before.push(b'[');
    before
}

/// Posts parts of a request.
struct Poster<'a> {
    target: &'a Arc<Target>,
    before: Bytes,
}

#[async_trait]
impl LineWriter for Poster<'_> {
    async fn write_part(&self, part: &Part) -> Result<Verdict, SinkError> {
        let Some((_, objects)) = part.text().split_last() else { return Ok(Verdict::Taken) };
        let body = Bytes::from([&self.before[..], objects, b"]}"].concat());
        let Target { peer, path, headers, signer, .. } = &**self.target;
        let mut request = peer
            .request(Method::POST, path)?
            .headers(headers.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Heapster-Delivery", sign::number(&body));
        if let Some((name, signature)) = signer.signature(&body)? {
            request = request.header(name, signature);
        }
        let answer = peer.send(request.body(body)).await?;
        Ok(match answer.status.as_u16() {
            200..=299 => Verdict::Taken,
            413 => Verdict::TooLarge,
            _ => Verdict::Failed(peer.failure(&answer)),
        })
    }
}
