//! What a buddy is for, and whether it was given what it needs for that.

use std::sync::Arc;

use anyhow::ensure;
use heapster_shared::{Set, spec::Spec};

use crate::{args::Role, source::Source, uplink::Duties};

/// The duties that go with these roles; without any, both.
pub(super) fn of(roles: &[Role]) -> Duties {
    let has = |role| roles.is_empty() || roles.contains(&role);
    Duties { discovers: has(Role::Discovers), polls: has(Role::Polls), standby: false }
}

/// What runs the cluster, by its first discovery; who only polls does not know.
pub(super) fn manager(discoveries: &[Spec], duties: Duties) -> String {
    let found = discoveries.first().map(|spec| spec.kind.as_str());
    found.unwrap_or(if duties.discovers { "standalone" } else { "" }).to_owned()
}

/// The sources as given; else this machine without anything else, and on hosts that were discovered
/// the kubelet where Kubernetes has them, and cAdvisor where something else has, or the master gives
/// them.
pub(super) fn sources(specs: Vec<Spec>, discoveries: &[Spec], duties: Duties) -> Vec<Spec> {
    if !specs.is_empty() || !duties.polls {
        return specs;
    }
    let is_kubernetes = |discovery: &&Spec| discovery.kind == "kubernetes";
    let of_kubernetes = discoveries.iter().filter(is_kubernetes).count();
    let given = of_kubernetes < discoveries.len() || !duties.discovers;
    let cadvisor = given.then_some("cadvisor");
    let summary = (of_kubernetes > 0).then_some("summary");
    let alone = (discoveries.is_empty() && duties.discovers).then_some("cgroup");
    let kinds = [cadvisor, summary, alone].into_iter().flatten();
    let plain =
        |kind: &str| Spec { kind: kind.to_owned(), location: String::new(), options: Vec::new() };
    kinds.map(plain).collect()
}

/// Checks that sources, and so many discoveries, are what the duties need.
pub(super) fn check(
    sources: &[Arc<dyn Source>],
    discoveries: usize,
    duties: Duties,
) -> anyhow::Result<()> {
    let mut own = Set::default();
    for host in sources.iter().filter_map(|source| source.own_host()) {
        ensure!(own.insert(host.id.clone()), "two sources name the host {}", host.id);
    }
    if !duties.polls {
        ensure!(sources.is_empty(), "--role discovers polls nothing: leave out --source");
        ensure!(discoveries > 0, "nothing to discover: give a --discovery");
    } else if !duties.discovers {
        ensure!(discoveries == 0, "--role polls discovers nothing: leave out --discovery");
        ensure!(
            own.is_empty(),
            "--role polls asks the master for hosts: give sources without a location, such as --source cadvisor"
        );
    } else {
        ensure!(
            discoveries > 0 || !own.is_empty(),
            "nothing to poll: give a --discovery, or a --source with a location"
        );
    }
    Ok(())
}
