//! A way in for benches and fuzzing: the requests of rows, without Google, and what its answers mean.

use heapster_shared::row::RowBatch;
use reqwest::{StatusCode, header::HeaderMap};

use super::{
    Place,
    answer::{Verdict, verdict},
    encoder::{Encoder, Schema},
    names::Model,
    pace::Pace,
};
use crate::sinks::peer::Answer;

/// An encoder as the sink keeps one: takes rows, gives the bytes of their requests. What it gave is
/// never said to be taken, so that it gives the same again.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let labels = ["type", "hostname", "host_id", "container_base_image"].map(String::from);
    let schema = Schema {
        models: vec![Model::Custom],
        labels: labels.into(),
        rules: Default::default(),
        cluster_name: None,
        descriptors: true,
    };
    let place = Place { project: "project".into(), location: "europe-west1".into() };
    let pace = Pace::new(10_000, i64::MAX);
    let mut encoder = Encoder::new(schema, place.into(), pace);
    move |batch| {
        let encoded = encoder.encode([batch], batch.tick.0);
        encoded.waves.iter().flatten().map(|request| request.body.len()).sum()
    }
}

/// The samples of 200 that an answer says were refused; `None` when it speaks of all or none.
#[must_use]
pub fn refused(status: u16, body: &[u8]) -> Option<u64> {
    let status = StatusCode::from_u16(status).ok()?;
    let body = bytes::Bytes::copy_from_slice(body);
    let answer = Answer::new(status, &HeaderMap::new(), body, jiff::Timestamp::UNIX_EPOCH);
    match verdict(&answer, 200, "", "") {
        Verdict::TakenInPart { refused, .. } => Some(refused),
        Verdict::Taken | Verdict::Failed(_) => None,
    }
}
