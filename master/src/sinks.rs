//! Sinks: where samples go. One file a kind; this one has the contract and the table.
//!
//! A sink knows rows and its own options, never an actor or another sink. Queueing, batching,
//! retries and what happens when it is full are the sink actor's. To add a kind, write its file and
//! its word in the list below.

use std::time::Duration;

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};

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

/// An entry of the table of sinks.
pub struct Kind {
    /// The word in front of the colon.
    pub name: &'static str,
    /// Where it writes to, in a sentence.
    pub summary: &'static str,
    /// Specs that work as written, for the docs; a test builds each.
    pub samples: &'static [&'static str],
    /// Checks the options and makes a sink, without touching the network.
    pub build: fn(Spec) -> Result<Box<dyn Sink>, SpecError>,
}

/// Declares the modules of the sinks and their table.
macro_rules! sinks {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every kind of sink.
        pub const KINDS: &[Kind] = &[$($module::KIND),*];
    };
}

sinks! {}

/// Makes the sink that a spec names.
///
/// # Errors
/// When the kind is unknown or its options are wrong.
pub fn build(spec: Spec) -> Result<Box<dyn Sink>, SpecError> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(spec.unknown_kind("sink", &known));
    };
    (kind.build)(spec)
}
