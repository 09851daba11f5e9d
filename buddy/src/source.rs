//! Sources: what polls one host. One file a kind; this one has the contract and the table.
//!
//! A source knows a host and its own options, and gives what the host measured: no rates, no sums,
//! nothing made up. The poller gives it a deadline. To add a kind, write its file and its word in
//! the list below.

mod accelerators;
pub mod fetch;
mod hosts;
mod interfaces;
mod json;
mod kubelet;
mod location;
mod pod_name;
mod prometheus;
mod readings;

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use heapster_shared::{
    entity::{Labels, Level},
    host::Host,
    spec::{Spec, SpecError},
};

pub use pod_name::PodName;
pub(crate) use pod_name::PodNames;
pub use readings::{Layouts, PlainReading, Reading, Readings, Recalled, Recorder, Shapes};

/// Polls hosts, many at a time.
#[async_trait]
pub trait Source: Send + Sync {
    /// The word that names its kind.
    fn kind(&self) -> &'static str;

    /// The kind of a host's endpoints that it polls: mostly its own.
    fn endpoint_kind(&self) -> &'static str {
        self.kind()
    }

    /// The one host that its location names, such as `cadvisor:http://127.0.0.1:8080`. A source
    /// without a location polls whatever was discovered.
    fn own_host(&self) -> Option<Host>;

    /// What it finds at a first look, in a sentence for the start of the program; `None` for kinds
    /// that cannot tell without asking a host. It may read local files, so call it once.
    fn describe(&self) -> Option<String> {
        None
    }

    /// What the host measures now. The future may be dropped at the deadline.
    ///
    /// # Errors
    /// When the host gave no complete answer; it costs the rows of this host and tick.
    async fn poll(&self, host: &Host) -> Result<Readings, PollError>;
}

/// Why a host gave no rows: a sentence that says where, and what to do about it where that is
/// known; never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PollError(pub String);

/// Whose reading it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// The host as a whole; once a poll.
    Node {
        /// `host_id`, `hostname` and the like, as far as the host itself knows them.
        labels: Labels,
    },
    /// A pod as a whole, for what is measured there and not by container (the network).
    Pod {
        /// Which pod.
        pod: Arc<PodName>,
        /// Labels of the pod, `namespace_name` left out.
        labels: Labels,
    },
    /// A container of a pod.
    PodContainer {
        /// Which pod.
        pod: Arc<PodName>,
        /// Name within the pod.
        name: CompactString,
        /// Identity of this run of it; may be empty.
        uid: CompactString,
        /// `container_base_image` and the like.
        labels: Labels,
    },
    /// A container or control group that belongs to no pod.
    SysContainer {
        /// Name, unique on the host: the container's own, or the path of its control group without
        /// the leading `/`.
        name: CompactString,
        /// Identity of this run of it; may be empty.
        uid: CompactString,
        /// `container_base_image` and the like.
        labels: Labels,
    },
}

impl Subject {
    /// The level of its rows.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Node { .. } => Level::Node,
            Self::Pod { .. } => Level::Pod,
            Self::PodContainer { .. } => Level::PodContainer,
            Self::SysContainer { .. } => Level::SysContainer,
        }
    }
}

/// An entry of the table of sources.
pub struct Kind {
    /// The word in front of the colon.
    pub name: &'static str,
    /// What it polls, in a sentence.
    pub summary: &'static str,
    /// Specs that work as written, for the docs; a test builds each.
    pub samples: &'static [&'static str],
    /// Checks the options and makes a source, without touching the network.
    pub build: fn(Spec) -> Result<Box<dyn Source>, SpecError>,
}

/// Declares the modules of the sources and their table.
macro_rules! sources {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every kind of source.
        pub const KINDS: &[Kind] = &[$($module::KIND),*];
    };
}

sources! { cadvisor, cgroup, kubelet_cadvisor, resource, summary }

#[doc(hidden)]
pub use cadvisor::bench as cadvisor_bench;
#[doc(hidden)]
pub use cgroup::door as cgroup_door;
#[doc(hidden)]
pub use kubelet::bench as kubelet_bench;

/// Makes the source that a spec names.
///
/// # Errors
/// When the kind is unknown or its options are wrong.
pub fn build(spec: Spec) -> Result<Box<dyn Source>, SpecError> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(spec.unknown_kind("source", &known));
    };
    (kind.build)(spec)
}
