//! A way in for fuzzing and benches: the documents of rows, without a cluster, and what its answers
//! mean.

use std::sync::Arc;

use bytes::Bytes;
use heapster_shared::row::RowBatch;
use reqwest::{StatusCode, header};

use super::{
    answer::verdict,
    client::Client,
    encoder::Encoder,
    options::{Place, Settings},
};
use crate::sinks::{
    lines::{Body, Part},
    peer::{Answer, PeerOptions},
};

/// An encoder as the sink keeps one: takes rows, gives the bytes of their documents.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let settings = Settings {
        place: Place::Streams("heapster".to_owned()),
        retention: None,
        template: true,
        pipeline: String::new(),
        cluster_name: None,
        events: true,
        gzip: true,
        body_bytes: 4 << 20,
    };
    let mut encoder = Encoder::new(settings, Arc::default());
    move |batch| {
        encoder.push_rows(batch);
        encoder.finish().bodies.iter().map(|body| body.text.len()).sum()
    }
}

/// Judges an answer to a request of some documents: never panics, whatever the peer says.
#[must_use]
pub fn judge(status: u16, body: &[u8], documents: usize) -> Option<String> {
    let client =
        Client::new(&["http://h".to_owned()], &PeerOptions::default(), String::new()).ok()?;
    let mut lines = Body::default();
    (0..documents).for_each(|_| lines.end_line(1));
    let (status, body) = (StatusCode::from_u16(status).ok()?, Bytes::copy_from_slice(body));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let answer = Answer::new(status, &header::HeaderMap::new(), body, now);
    Some(format!("{:?}", verdict(&answer, &Part::whole(lines), &client)))
}
