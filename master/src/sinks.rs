//! Sinks: where samples go. One file a kind; this one has the contract and the table.
//!
//! A sink knows rows and its own options, never an actor or another sink. Queueing, batching,
//! retries and what happens when it is full are the sink actor's. To add a kind, write its file and
//! its word in the list below.

mod apart;
mod datagrams;
mod event_json;
mod google;
mod hierarchy;
mod json;
mod json_rows;
mod json_text;
mod labels;
mod lines;
mod options;
mod peer;
mod protobuf;
mod samples;
mod select;
mod stream;
mod tally;
mod weak_cache;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};

pub use labels::LabelRules;
pub use options::CommonOptions;
pub use select::{FilterOptions, Selection};

use crate::delivery::Payload;

/// Writes payloads somewhere.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Makes ready what has to be there before the first write (a database, a topic). Called
    /// before the first write, and again after it failed.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn prepare(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Writes all of these, in order. Written again after a transient failure, so that a sample
    /// may reach the peer more than once.
    ///
    /// # Errors
    /// When some or all were not written.
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError>;

    /// Whether it wants events; others are never given any.
    fn takes_events(&self) -> bool {
        false
    }

    /// Whether it wants rows and the ends of rounds; others are never given any.
    fn takes_rows(&self) -> bool {
        true
    }
}

/// What a write did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Samples (or events) that the peer has now.
    pub delivered: u64,
    /// Samples that the peer refused for good, as in a partial write.
    pub rejected: u64,
    /// Why it refused them, in the peer's words.
    pub reason: String,
}

/// Why a write failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SinkError {
    /// It may work later: no connection, a timeout, an overloaded peer.
    #[error("{message}")]
    Transient {
        /// What happened, where, and what to do: a sentence without secrets.
        message: String,
        /// The wait that the peer asked for.
        retry_after: Option<Duration>,
    },
    /// It will never work for these payloads: the peer says that they, or we, are wrong.
    #[error("{message}")]
    Permanent {
        /// What happened, where, and what to do: a sentence without secrets.
        message: String,
    },
}

/// Makes a sink of a spec without the common options.
pub type Build = fn(Spec, &Arc<LabelRules>) -> Result<Box<dyn Sink>, SpecError>;

/// An entry of the table of sinks.
pub struct Kind {
    /// The word in front of the colon.
    pub name: &'static str,
    /// Where it writes to, in a sentence.
    pub summary: &'static str,
    /// Whether a sample that is written again is there twice: `idempotent`, or `at least once`, and
    /// why.
    pub delivery: &'static str,
    /// What becomes of names, labels, times and units, in Markdown.
    pub mapping: &'static str,
    /// What the tests write to, and what they go by where no such program can be had.
    pub tested: &'static str,
    /// Specs that work as written, for the docs; a test builds each.
    pub samples: &'static [&'static str],
    /// Checks the options and makes a sink that names labels by these rules, without touching the
    /// network.
    pub build: Build,
}

/// Declares the modules of the sinks and their table.
macro_rules! sinks {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every kind of sink.
        pub const KINDS: &[Kind] = &[$($module::KIND),*];
    };
}

sinks! {
    elasticsearch, file, gcm, graphite, honeycomb, influxdb, kafka, log, nats, opentsdb, otlp,
    remote_write, riemann, stackdriver, statsd, wavefront, webhook,
}

#[doc(hidden)]
pub use elasticsearch::door as elasticsearch_door;
#[doc(hidden)]
pub use file::door as file_door;
#[doc(hidden)]
pub use google::door as google_door;
#[doc(hidden)]
pub use graphite::door as graphite_door;
#[doc(hidden)]
pub use honeycomb::door as honeycomb_door;
#[doc(hidden)]
pub use influxdb::door as influxdb_door;
#[doc(hidden)]
pub use kafka::door as kafka_door;
#[doc(hidden)]
pub use nats::door as nats_door;
#[doc(hidden)]
pub use opentsdb::door as opentsdb_door;
pub use otlp::door as otlp_door;
pub use remote_write::door as remote_write_door;
#[doc(hidden)]
pub use riemann::door as riemann_door;
#[doc(hidden)]
pub use statsd::door as statsd_door;
#[doc(hidden)]
pub use wavefront::door as wavefront_door;

/// A sink with all that its actor has to know.
#[derive(Clone)]
pub struct Configured {
    /// Its spec without options and secrets.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The options that every sink has.
    pub options: CommonOptions,
    /// The sink itself.
    pub sink: Arc<dyn Sink>,
}

/// Makes the sink that a spec names, with the options that every sink has.
///
/// # Errors
/// When the kind is unknown or its options are wrong.
pub fn configure(mut spec: Spec) -> Result<Configured, SpecError> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(spec.unknown_kind("sink", &known));
    };
    let options = CommonOptions::take_from(&mut spec)?;
    let labels = Arc::new(options.label_rules()?);
    let name = spec.name();
    let sink = (kind.build)(spec, &labels).map_err(options::also_name_common_options)?;
    Ok(Configured { name, kind: kind.name.to_owned(), options, sink: Arc::from(sink) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(spec: &str) -> String {
        configure(spec.parse().unwrap()).err().unwrap().to_string()
    }

    #[test]
    fn every_sample_works_as_written() {
        for kind in KINDS {
            assert!(!kind.samples.is_empty(), "{} has no sample", kind.name);
            for sample in kind.samples {
                let spec: Spec = sample.parse().unwrap();
                assert_eq!(spec.kind, kind.name);
                assert!(configure(spec).is_ok(), "{sample}");
            }
        }
    }

    /// Whoever mistypes an option is shown all that would do, the common ones included.
    #[test]
    fn unknown_words_list_the_known_ones() {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let expected = format!("unknown sink `logg`; the known ones are {}", known.join(", "));
        assert_eq!(error_of("logg"), expected);
        let error = error_of("influxdb:http://h:8086?datbase=x");
        for name in ["unknown option `datbase`", "`db`", "`withfields`", "`required`"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn common_options_belong_to_every_kind() {
        for kind in KINDS {
            let sample = kind.samples[0];
            let joint = if sample.contains('?') { '&' } else { '?' };
            let spec = format!("{sample}{joint}required=true&queue_bytes=2MiB&concurrency=3");
            let configured = configure(spec.parse().unwrap()).ok().unwrap();
            assert!(configured.options.required);
            assert_eq!(configured.options.concurrency, 3);
        }
    }
}
