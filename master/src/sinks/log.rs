//! `log[:PATH]`: writes batches as text or JSON to standard output, or at the end of a file.

mod format;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{
    Kind, LabelRules, Sink, SinkError, Written, json_rows::JsonRows, lines::Body, tally::Tally,
};
use crate::delivery::Payload;

pub(super) const KIND: Kind = Kind {
    name: "log",
    summary: "standard output or a file, as text for people or JSON for programs",
    delivery: "at least once: what was written in part before a failure is written again",
    mapping: "A row of labels and samples under the ancestor's names, with the row's own time in UTC. With `format=json`: `cluster`, `tick`, `time`, `labels` and `samples` of `metric`, `labels` and `value`; an event is `cluster` and `event`; the end of a round is `cluster` and `end_of_round`.",
    tested: "files, pipes and directories of the machine",
    samples: &["log", "log?format=json", "log:/var/log/heapster/samples.log?format=json"],
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// `text`: a block a batch of rows and a line an event, for people; `json`: a line a row or
    /// event. Default `text`.
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

struct LogSink {
    format: Format,
    labels: Arc<LabelRules>,
    rows: Mutex<JsonRows>,
    /// The file to append to; standard output without one. Opened for each write, so that it can be
    /// rotated away.
    path: Option<PathBuf>,
    /// Held while bytes go out: a reader that does not read blocks one thread, never more.
    turn: Arc<Semaphore>,
}

fn build(spec: Spec, labels: &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError> {
    let options: Options = spec.options()?;
    let path = (!spec.location.is_empty()).then(|| PathBuf::from(&spec.location));
    Ok(Box::new(LogSink {
        format: options.format,
        labels: Arc::clone(labels),
        rows: Mutex::new(JsonRows::new(Arc::clone(labels))),
        path,
        turn: Arc::new(Semaphore::new(1)),
    }))
}

#[async_trait]
impl Sink for LogSink {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        let mut tally = Tally::default();
        let text = match self.format {
            Format::Text => {
                let mut text = String::new();
                let write = |payload| format::text(payload, &self.labels, &mut text);
                tally.delivered = payloads.iter().map(write).sum();
                text.into_bytes()
            }
            Format::Json => self.json(payloads, &mut tally),
        };
        self.put(text).await?;
        tally.finish()
    }

    fn takes_events(&self) -> bool {
        true
    }
}

impl LogSink {
    fn json(&self, payloads: &[Payload], tally: &mut Tally) -> Vec<u8> {
        let mut body = Body::default();
        // A panic in here leaves at worst an entry of a cache unmade.
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let infinite = payloads.iter().map(|payload| rows.lines(payload, &mut body)).sum();
        tally.refuse(infinite, "infinite values cannot be written as JSON");
        tally.delivered = body.lines.iter().map(|line| u64::from(line.samples)).sum();
        body.text
    }

    async fn put(&self, text: Vec<u8>) -> Result<(), SinkError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let path = self.path.clone();
        let put = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            put_blocking(path.as_ref(), &text)
        });
        let result = put.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        result.map_err(|error| self.judge(&error))
    }

    fn judge(&self, error: &io::Error) -> SinkError {
        let place = match &self.path {
            Some(path) => path.display().to_string(),
            None => "standard output".into(),
        };
        match error.kind() {
            io::ErrorKind::BrokenPipe => SinkError::Permanent {
                message: format!("nobody reads {place} any more; take the log sink away"),
            },
            io::ErrorKind::IsADirectory => {
                SinkError::Permanent { message: format!("{place} is a directory; name a file") }
            }
            _ => SinkError::Transient {
                message: format!(
                    "cannot write to {place}: {error}; see to its folder, rights and free space"
                ),
                retry_after: None,
            },
        }
    }
}

/// Each block goes out in one piece, so that blocks do not mix with other output.
fn put_blocking(path: Option<&PathBuf>, bytes: &[u8]) -> io::Result<()> {
    let Some(path) = path else {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        return out.flush();
    };
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(path: Option<&str>) -> LogSink {
        let path = path.map(PathBuf::from);
        LogSink {
            format: Format::Text,
            labels: Arc::default(),
            rows: Mutex::new(JsonRows::new(Arc::default())),
            path,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// `heapster ... | head` ends the reader: trying again would never help.
    #[test]
    fn a_reader_that_has_gone_is_no_reason_to_try_again() {
        let gone = sink(None).judge(&io::ErrorKind::BrokenPipe.into());
        let SinkError::Permanent { message } = gone else { panic!("{gone:?}") };
        assert!(message.contains("standard output"), "{message}");
        let full = sink(Some("/x/y.log")).judge(&io::ErrorKind::StorageFull.into());
        let SinkError::Transient { message, .. } = full else { panic!("{full:?}") };
        assert!(message.contains("/x/y.log"), "{message}");
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let error =
            build("log?format=xml".parse().unwrap(), &Arc::default()).err().unwrap().to_string();
        assert!(error.contains("`text`") && error.contains("`json`"), "{error}");
    }
}
