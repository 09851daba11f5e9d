//! What Kubernetes knows of a pod beside its measurements: its labels, its owner, what it asks for
//! and the state that it is in.

use super::{Behaviour, identity::mix, json::hexadecimal};

/// CPU that each container asks for, in millicores; cAdvisor shows it as shares.
pub(super) const REQUEST_MILLICORES: u64 = 100;
/// CPU that each container may use at most, in millicores.
pub(super) const LIMIT_MILLICORES: u64 = 250;
/// Memory that each container asks for.
pub(super) const REQUEST_BYTES: u64 = 128 << 20;
/// Memory that each container may use at most.
pub(super) const LIMIT_BYTES: u64 = 512 << 20;
/// Restarts of the first container of a pod in the state [`PodState::WithInit`].
pub(super) const VARIED_RESTARTS: u64 = 3;

/// The state of a simulated pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodState {
    /// It runs.
    Running,
    /// It runs from a file of its node. The API server knows its mirror, which has another uid.
    Static,
    /// Its init container has ended, and its first container has been restarted.
    WithInit,
    /// It runs and is to end soon.
    Deleting,
    /// It has done its work; nothing is measured.
    Succeeded,
    /// It has not begun; nothing is measured.
    Pending,
}

impl PodState {
    /// The state of the pod in a slot of a host.
    pub(super) fn of(behaviour: Behaviour, pod: usize) -> Self {
        match (behaviour, pod) {
            (Behaviour::Varied, 1) => Self::Static,
            (Behaviour::Varied, 2) => Self::WithInit,
            (Behaviour::Varied, 3) => Self::Deleting,
            (Behaviour::Varied, 4) => Self::Succeeded,
            (Behaviour::Varied, 5) => Self::Pending,
            _ => Self::Running,
        }
    }

    /// Whether there are containers of it to measure.
    pub(super) fn is_measured(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Pending)
    }

    /// The pod's phase.
    pub(super) fn phase(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Pending => "Pending",
            _ => "Running",
        }
    }
}

/// What a pod belongs to: the pods of one slot, on all hosts, are one workload.
pub(super) struct Workload {
    /// Its name, and the label `app`.
    pub(super) app: String,
    pub(super) tier: &'static str,
    pub(super) owner: Owner,
    /// Ten digits that stand for the version of the workload.
    pub(super) hash: String,
    pod: usize,
    seed: u64,
}

/// The kind of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
}

impl Workload {
    pub(super) fn of(seed: u64, pod: usize) -> Self {
        let mut hash = String::with_capacity(10);
        hexadecimal(&mut hash, mix(&[seed, 6, pod as u64]), 10);
        let owners = [
            Owner::Deployment,
            Owner::Deployment,
            Owner::StatefulSet,
            Owner::DaemonSet,
            Owner::Job,
            Owner::Deployment,
        ];
        Self {
            app: format!("svc-{pod:02}"),
            tier: ["web", "data", "batch"][pod % 3],
            owner: owners[pod % 6],
            hash,
            pod,
            seed,
        }
    }

    /// Names and values, in the order of the names.
    pub(super) fn labels(&self) -> [(&'static str, &str); 3] {
        let (name, value) = match self.owner {
            Owner::Deployment => ("pod-template-hash", &self.hash),
            Owner::StatefulSet | Owner::DaemonSet => ("controller-revision-hash", &self.hash),
            Owner::Job => ("job-name", &self.app),
        };
        let own = (name, value.as_str());
        [("app", self.app.as_str()), own, ("tier", self.tier)]
    }

    /// API version, kind and name of what made the pod, and its uid.
    pub(super) fn owner_reference(&self) -> (&'static str, &'static str, String, String) {
        let uid = super::identity::uuid(mix(&[self.seed, 7, self.pod as u64]));
        match self.owner {
            Owner::Deployment => {
                ("apps/v1", "ReplicaSet", format!("{}-{}", self.app, self.hash), uid)
            }
            Owner::StatefulSet => ("apps/v1", "StatefulSet", self.app.clone(), uid),
            Owner::DaemonSet => ("apps/v1", "DaemonSet", self.app.clone(), uid),
            Owner::Job => ("batch/v1", "Job", self.app.clone(), uid),
        }
    }
}
