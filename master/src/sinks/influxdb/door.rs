//! A way in for fuzzing and benches: the lines of rows, without a database, and what its answers
//! mean.

use heapster_shared::row::RowBatch;
use reqwest::{StatusCode, header};

use super::{encoder::Encoder, plan::Schema};
use crate::sinks::peer::Answer;

/// Bytes after which a body is full.
const BODY_BYTES: usize = 64 << 10;

/// An encoder as the sink keeps one: takes rows, gives the bytes of their lines.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(Schema::default(), None, 4 << 20);
    move |batch| encoder.encode([batch]).bodies.iter().map(|body| body.text.len()).sum()
}

/// The bodies that the rows become, with or without fields.
#[must_use]
pub fn lines(batch: &RowBatch, with_fields: bool) -> Vec<Vec<u8>> {
    let schema = Schema { with_fields, ..Schema::default() };
    let encoded = Encoder::new(schema, None, BODY_BYTES).encode([batch]);
    encoded.bodies.into_iter().map(|body| body.text).collect()
}

/// What an answer says.
#[must_use]
pub fn says(status: u16, retry_after: &[u8], body: &[u8]) -> Option<String> {
    let mut headers = header::HeaderMap::new();
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from_bytes(retry_after).ok()?);
    let status = StatusCode::from_u16(status).ok()?;
    Some(
        Answer::new(
            status,
            &headers,
            bytes::Bytes::copy_from_slice(body),
            jiff::Timestamp::UNIX_EPOCH,
        )
        .says,
    )
}
