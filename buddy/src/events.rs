//! The events of a cluster on their way to the master.
//!
//! ```text
//! EventWatch ──each event once──▶ allowance ──few enough──▶ gathered ──▶ journal, bounded ──▶ master
//! ```
//!
//! A storm of events must not cost rows, which go the same way. So there is a bound to how many pass
//! in a minute, of which warnings have a part to themselves, and the journal gives the events that
//! wait in it no more than their share. What goes over either is left out and counted. An event
//! that happens again comes with a count of all times, so that a later one makes up for it.

mod allowance;
mod observe;
mod tally;

use std::sync::Arc;

use heapster_shared::{
    event::{Event, ObserverState},
    spec::{Spec, SpecError},
};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::Connector;
use observe::Running;
pub use tally::EventTally;

/// The only kind there is.
const KUBERNETES: &str = "kubernetes";

/// Specs that work as written, for the docs.
pub const SAMPLES: &[&str] = &[
    "kubernetes",
    "kubernetes:?kubeconfig=/etc/heapster/kubeconfig&context=prod",
    "kubernetes:https://10.0.0.1:6443?token_file=/etc/heapster/token&ca=/etc/heapster/ca.pem",
    "kubernetes:?per_minute=1000",
];

/// Batches that wait to be written to the journal.
const QUEUE: usize = 16;

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The most events that are sent in a minute, evenly or all at once; a quarter of them is for
    /// warnings only. Default: 6000.
    #[serde(default = "most_per_minute")]
    per_minute: u32,
}

const fn most_per_minute() -> u32 {
    6_000
}

/// What observes events, checked and not started.
#[derive(Debug)]
pub struct Observer {
    name: String,
    connector: Connector,
    per_minute: u32,
}

/// An observer that runs: until it is stopped, or nobody takes its events any more.
#[derive(Debug)]
pub struct Observation {
    /// Events, some at a time.
    pub events: mpsc::Receiver<Vec<Event>>,
    /// How it goes, once that is known.
    pub state: watch::Receiver<Option<ObserverState>>,
    /// What becomes of the events; whoever takes them counts here.
    pub tally: Arc<EventTally>,
}

impl Observer {
    /// Checks a spec, without a look at any file.
    ///
    /// # Errors
    /// A sentence for the spec's author.
    pub fn build(mut spec: Spec) -> Result<Self, SpecError> {
        if spec.kind != KUBERNETES {
            return Err(spec.unknown_kind("observer of events", &[KUBERNETES]));
        }
        let connector = Connector::take(&mut spec)?;
        let options: Options = spec.options().map_err(|SpecError(error)| {
            let own = Connector::OPTIONS.join("`, `");
            SpecError(format!("{error}; or, of the connection, `{own}`"))
        })?;
        let name = spec.name();
        if options.per_minute == 0 {
            let error = format!(
                "{name}: `per_minute` must be at least 1; without --events there are no events"
            );
            return Err(SpecError(error));
        }
        Ok(Self { name, connector, per_minute: options.per_minute })
    }

    /// What is observed, without options.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to observe, until it is stopped. Needs a runtime.
    #[must_use]
    pub fn start(self, stop: CancellationToken) -> Observation {
        let (sender, events) = mpsc::channel(QUEUE);
        let (report, state) = watch::channel(None);
        let tally = Arc::<EventTally>::default();
        let running = Running::new(self, sender, report, Arc::clone(&tally));
        tokio::spawn(running.run(stop));
        Observation { events, state, tally }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(spec: &str) -> String {
        Observer::build(spec.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn every_sample_works_as_written() {
        for sample in SAMPLES {
            Observer::build(sample.parse().unwrap()).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(error("fleet").contains("unknown observer of events `fleet`"));
        assert!(error("kubernetes:?per_minute=0").contains("at least 1"));
        let unknown = error("kubernetes:?permin=1");
        assert!(unknown.contains("`per_minute`") && unknown.contains("`kubeconfig`"), "{unknown}");
    }
}
