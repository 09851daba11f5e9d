//! What a change of the sinks came to, for who asked for it and for the log.

use heapster_shared::spec::Spec;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Running,
    plan::{Plan, Step},
};

/// What a change of the sinks came to. Sinks are named without options and secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct ReloadAnswer {
    /// Sinks that were started.
    pub added: Vec<String>,
    /// Sinks whose options are others: started anew, while the ones before write what they hold.
    pub changed: Vec<String>,
    /// Sinks that write what they hold and stop.
    pub removed: Vec<String>,
    /// Sinks that run on as they were.
    pub unchanged: Vec<String>,
    /// Other settings of the file that are not what they were when the program started: they take
    /// effect when it is started again.
    pub needs_restart: Vec<String>,
    /// A sentence on what was not to be expected; empty for none.
    pub note: String,
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is nothing to read.
    #[error(
        "there is no configuration file to read again: start the program with --config FILE, and name the sinks in it"
    )]
    NoFile,
    /// What is wrong with the configuration, in a sentence without secrets.
    #[error("nothing was changed: {0}")]
    Wrong(String),
    /// A fault of this program.
    #[error("changing the sinks failed inside: look at the log, and start the program again")]
    Failed,
    /// It is too late.
    #[error("the master is stopping")]
    Stopping,
}

impl ReloadError {
    pub(super) fn wrong(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

/// What a plan comes to.
pub(super) fn of(plan: &Plan, running: &[Running], sinks: &[Spec]) -> ReloadAnswer {
    let mut answer = ReloadAnswer::default();
    let name = |index: usize| running[index].slot.name.clone();
    for (spec, step) in sinks.iter().zip(&plan.steps) {
        match *step {
            Step::Keep(index) => answer.unchanged.push(name(index)),
            Step::Change(index) => answer.changed.push(name(index)),
            Step::Add => answer.added.push(spec.name()),
        }
    }
    answer.removed = plan.removed.iter().map(|index| name(*index)).collect();
    answer
}
