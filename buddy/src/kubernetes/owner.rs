//! What a pod belongs to, as its users call it.

use compact_str::CompactString;

use super::model::Owner;

/// The label that a Deployment puts on the pods of each of its ReplicaSets.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The first minute since 1970 that can be the end of a CronJob's job: in June 2019. A date such as
/// 20261122 is a smaller number, and jobs are named after dates.
const FIRST_MINUTE: u64 = 26_000_000;
const LAST_MINUTE: u64 = 99_999_999;

/// What the rules look at.
pub(super) struct Clues<'a> {
    pub(super) pod_name: &'a str,
    pub(super) node: &'a str,
    pub(super) is_static: bool,
    /// Kind and name of the controlling owner.
    pub(super) controller: Option<(&'a str, &'a str)>,
    /// The pod's label `pod-template-hash`.
    pub(super) template_hash: Option<&'a str>,
}

impl<'a> Clues<'a> {
    /// Name of the label that [`Clues::template_hash`] is.
    pub(super) const TEMPLATE_HASH: &'static str = TEMPLATE_HASH;

    /// The owner, by these rules:
    /// - a static pod is its own owner, without the node's name at its end, so that the same one of
    ///   several nodes has one owner;
    /// - a ReplicaSet whose name ends with the pod's `pod-template-hash` stands for the Deployment
    ///   of the name before it; one that does not (others than Deployments make them too) for itself;
    /// - a Job whose name ends with the minute of its schedule stands for the CronJob;
    /// - any other controller stands for itself, and a pod without one has no owner.
    pub(super) fn owner(&self) -> Option<Owner> {
        let owner = |kind: &str, name: &str| Some(Owner { kind: kind.into(), name: name.into() });
        if self.is_static {
            return owner(
                "StaticPod",
                without_suffix(self.pod_name, self.node).unwrap_or(self.pod_name),
            );
        }
        let (kind, name) = self.controller?;
        match kind {
            "ReplicaSet" => {
                let deployment = self.template_hash.and_then(|hash| without_suffix(name, hash));
                owner(
                    if deployment.is_some() { "Deployment" } else { kind },
                    deployment.unwrap_or(name),
                )
            }
            "Job" => match cron_job(name) {
                Some(cron_job) => owner("CronJob", cron_job),
                None => owner(kind, name),
            },
            _ => owner(kind, name),
        }
    }
}

/// `NAME` of `NAME-SUFFIX`.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let name = name.strip_suffix(suffix)?.strip_suffix('-')?;
    (!name.is_empty() && !suffix.is_empty()).then_some(name)
}

/// The CronJob that made a job: its name, a hyphen, and the minute since 1970 for which it was
/// scheduled (the second, before Kubernetes 1.21).
fn cron_job(job: &str) -> Option<&str> {
    let (name, digits) = job.rsplit_once('-')?;
    let number: u64 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    let minute = match digits.len() {
        8 => number,
        10 => number / 60,
        _ => return None,
    };
    (!name.is_empty() && (FIRST_MINUTE..=LAST_MINUTE).contains(&minute)).then_some(name)
}

impl Owner {
    /// `KIND/NAME`: the value of a label.
    #[must_use]
    pub fn label(&self) -> CompactString {
        compact_str::format_compact!("{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name of the pod, its controller's kind and name, its `pod-template-hash`, and the owner; none
    /// is empty.
    type Case = (&'static str, [&'static str; 2], &'static str, &'static str);

    #[test]
    fn owners_are_what_users_call_them() {
        let cases: [Case; 10] = [
            ("w-x", ["ReplicaSet", "web-6948c85555"], "6948c85555", "Deployment/web"),
            ("r-x", ["ReplicaSet", "roll-6948c"], "", "ReplicaSet/roll-6948c"),
            ("rs-x", ["ReplicaSet", "rs"], "rs", "ReplicaSet/rs"),
            ("db-0", ["StatefulSet", "db"], "", "StatefulSet/db"),
            ("agent-x", ["DaemonSet", "agent"], "", "DaemonSet/agent"),
            ("b-x", ["Job", "backup-29405000"], "", "CronJob/backup"),
            ("b-x", ["Job", "backup-1611295260"], "", "CronJob/backup"),
            ("b-x", ["Job", "backup-20261122"], "", "Job/backup-20261122"),
            ("b-x", ["Job", "migrate"], "", "Job/migrate"),
            ("bare", ["", ""], "", ""),
        ];
        for (pod_name, [kind, name], hash, expected) in cases {
            let controller = (!kind.is_empty()).then_some((kind, name));
            let template_hash = (!hash.is_empty()).then_some(hash);
            let clues =
                Clues { pod_name, node: "node-a", is_static: false, controller, template_hash };
            let owner = clues.owner().map(|owner| owner.label()).unwrap_or_default();
            assert_eq!(owner, expected, "{pod_name} of {controller:?}");
        }
    }

    #[test]
    fn a_static_pod_is_the_same_on_every_node() {
        for (pod_name, expected) in [("etcd-node-a", "StaticPod/etcd"), ("odd", "StaticPod/odd")] {
            let controller = Some(("Node", "node-a"));
            let clues = Clues {
                pod_name,
                node: "node-a",
                is_static: true,
                controller,
                template_hash: None,
            };
            assert_eq!(clues.owner().unwrap().label(), expected);
        }
    }
}
