//! `file:PATH?OPTIONS`: appends JSON lines to a file, and rotates it by size and age.
//!
//! A line is whole or not there: what a crash or a full disk leaves of one is cut off before the next
//! is written. What was written when it happened is written again, since nobody was told that it is
//! there.

mod append;
#[doc(hidden)]
pub mod door;
mod rotated;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::append::{Appended, append};
use super::{
    Kind, LabelRules, Sink, SinkError, Written, apart::apart, json_rows::JsonRows, lines::Body,
    tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "file",
    summary: "a file of JSON lines, rotated by size and age",
    delivery: "at least once: what a failure cut off in the middle is written again from its beginning",
    mapping: "A line a row: `cluster`, `tick`, `time`, `labels` and `samples` of `metric`, `labels` and `value`, under the ancestor's names and with the row's own time in UTC. An event is `cluster` and `event`; the end of a round is `cluster` and `end_of_round`. A rotated file has the time of its rotation behind its name, `samples.jsonl.20261122T110000.000Z`.",
    tested: "files and directories of the machine, and gzip",
    samples: &[
        "file:/var/lib/heapster/samples.jsonl",
        "file:/var/lib/heapster/samples.jsonl?rotate_bytes=1GiB&rotate_age=24h&keep=30&gzip=true&fsync=always",
    ],
    build,
};

/// What follows the question mark.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// The file is put aside before it grows past this; `0` for never. Default `100MiB`.
    rotate_bytes: ByteSize,
    /// The file is put aside when something is written to it this long after it was begun; `0` for
    /// never. Default `0`.
    #[serde(deserialize_with = "units::duration")]
    rotate_age: Duration,
    /// Files that were put aside and are kept; older ones are deleted. Default 7.
    keep: usize,
    /// Compress files that were put aside. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    gzip: bool,
    /// `always` to write each batch through to the disk before it counts as delivered, `never` to
    /// leave that to the system, so that a power cut costs some seconds. Default `never`.
    fsync: Fsync,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fsync {
    #[default]
    Never,
    Always,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rotate_bytes: ByteSize::mib(100),
            rotate_age: Duration::ZERO,
            keep: 7,
            gzip: false,
            fsync: Fsync::Never,
        }
    }
}

/// A smaller bound would put aside a file with each batch.
const SMALLEST_ROTATION: ByteSize = ByteSize(64 << 10);

struct FileSink {
    path: PathBuf,
    options: Options,
    rows: Arc<Mutex<JsonRows>>,
    /// Held while bytes go out: a disk that hangs holds one thread, never more.
    turn: Arc<Semaphore>,
    /// Held while files that were put aside are looked after.
    tidying: Arc<Semaphore>,
}

fn build(spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let wrong = |message: &str| SpecError(format!("file: {message}"));
    let options: Options = spec.options()?;
    let path = PathBuf::from(&spec.location);
    if path.file_name().is_none() {
        return Err(wrong("name a file, as file:/var/lib/heapster/samples.jsonl"));
    }
    let bytes = options.rotate_bytes;
    if bytes.0 != 0 && bytes < SMALLEST_ROTATION {
        return Err(wrong("rotate_bytes must be 0 or at least 64KiB"));
    }
    Ok(Box::new(FileSink {
        path,
        options,
        rows: Arc::new(Mutex::new(JsonRows::new(Arc::clone(labels)))),
        turn: Arc::new(Semaphore::new(1)),
        tidying: Arc::new(Semaphore::new(1)),
    }))
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let (rows, payloads) = (Arc::clone(&self.rows), payloads.to_vec());
        let (body, infinite) = apart(move || encode(&rows, &payloads)).await?;
        let mut tally = Tally::default();
        tally.refuse(infinite, "infinite values cannot be written as JSON");
        tally.delivered = body.lines.iter().map(|line| u64::from(line.samples)).sum();
        if !body.text.is_empty() && self.append(body.text).await?.rotated {
            self.tidy();
        }
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        true
    }
}

fn encode(rows: &Mutex<JsonRows>, payloads: &[Payload]) -> (Body, u64) {
    let mut body = Body::default();
    // A panic in here leaves at worst an entry of a cache unmade.
    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    let infinite = payloads.iter().map(|payload| rows.lines(payload, &mut body)).sum();
    (body, infinite)
}

impl FileSink {
    async fn append(&self, text: Vec<u8>) -> Result<Appended, SinkError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let (path, options) = (self.path.clone(), self.options.clone());
        let appending = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            append(&path, &text, &options, jiff::Timestamp::now())
        });
        let appended = appending.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        appended.map_err(|error| self.judge(&error))
    }

    /// Looks after the files that were put aside, unless that is being done: it may take its time.
    fn tidy(&self) {
        let Ok(turn) = Arc::clone(&self.tidying).try_acquire_owned() else { return };
        let (path, options) = (self.path.clone(), self.options.clone());
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if let Err(error) = rotated::tidy(&path, options.keep, options.gzip) {
                let path = path.display();
                tracing::warn!(%path, %error, "files that were put aside cannot be looked after");
            }
        });
    }

    fn judge(&self, error: &io::Error) -> SinkError {
        let path = self.path.display();
        if error.kind() == io::ErrorKind::IsADirectory {
            return SinkError::Permanent { message: format!("{path} is a directory; name a file") };
        }
        SinkError::Transient {
            message: format!(
                "cannot write to {path}: {error}; see to its folder, rights and free space"
            ),
            retry_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(spec: &str) -> String {
        build(spec.parse().unwrap(), &Arc::default()).err().unwrap().to_string()
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (spec, part) in [
            ("file", "name a file"),
            ("file:/x?rotate_bytes=1KiB", "rotate_bytes"),
            ("file:/x?fsync=sometimes", "`never`"),
            ("file:/x?rotate=1", "`rotate_bytes`"),
        ] {
            let error = error_of(spec);
            assert!(error.starts_with("file: ") && error.contains(part), "{error}");
        }
    }
}
