//! Subjects with the labels that the cluster manager gives them.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{entity::Labels, tag};

use super::{LabelRules, facts::Facts};
use crate::{
    kubernetes::{ContainerSpec, NodeInfo, PodInfo},
    shared_labels::SharedLabels,
    source::{PodName, PodNames, Subject},
};

/// Makes subjects.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    rules: LabelRules,
    shared: SharedLabels,
    names: PodNames,
}

/// A container as its source tells of it.
pub(super) struct GivenContainer<'g> {
    /// None where it is known by its id alone.
    pub(super) pod: Option<&'g Arc<PodName>>,
    pub(super) name: &'g str,
    pub(super) uid: &'g CompactString,
    pub(super) labels: &'g Labels,
}

impl Subjects {
    pub(super) fn new(rules: LabelRules) -> Self {
        Self { rules, shared: SharedLabels::default(), names: PodNames::default() }
    }

    /// A pod as a whole: all that is known of it, for its containers too.
    pub(super) fn pod(
        &mut self,
        (name, given): (&Arc<PodName>, &Labels),
        pod: &PodInfo,
        namespace_uid: &str,
    ) -> Subject {
        let owner = pod.owner.as_deref();
        let joined = self.rules.joined(pod.labels.iter());
        let known = [
            (tag::NAMESPACE_ID, namespace_uid),
            (tag::OWNER_KIND, owner.map_or("", |owner| &owner.kind)),
            (tag::OWNER_NAME, owner.map_or("", |owner| &owner.name)),
            (tag::LABELS, &joined),
        ];
        let known = known.into_iter().filter(|(_, value)| !value.is_empty());
        let stored = self.rules.stored(pod.labels.iter());
        let labels = given.iter().chain(stored).chain(known).collect();
        let pod = self.name_of(pod, Some(name));
        Subject::Pod { pod, labels: self.shared.share(labels) }
    }

    /// A container of a pod. Its pod's labels are its pod's only; its uid is the source's, for what
    /// runs now is known to the host before anybody else.
    pub(super) fn container(
        &mut self,
        given: &GivenContainer<'_>,
        pod: &PodInfo,
        spec: Option<&ContainerSpec>,
    ) -> Subject {
        let image = spec.map(|spec| (tag::CONTAINER_BASE_IMAGE, spec.image.as_str()));
        let image = image.filter(|(_, image)| !image.is_empty());
        // Told by the pod, which may know it better.
        let own = given.labels.iter().filter(|(name, _)| *name != tag::POD_ID);
        let labels = own.chain(image).collect();
        Subject::PodContainer {
            pod: self.name_of(pod, given.pod),
            name: given.name.into(),
            uid: given.uid.clone(),
            labels: self.shared.share(labels),
        }
    }

    /// The node: its labels in the cluster manager, and those that its discovery gave to the host.
    pub(super) fn node(&mut self, given: &Labels, facts: &Facts<'_>) -> Subject {
        let node = facts.node.as_deref();
        let of_host = facts.host.labels.iter().filter(|(name, _)| *name != tag::HOST_ID);
        let of_node = node.into_iter().flat_map(|node| node.labels.iter());
        let all: Labels = of_host.chain(of_node).collect();
        // Empty too: that says that there is nothing to show.
        let joined = self.rules.joined(all.iter());
        let host_id = given.get(tag::HOST_ID).or(facts.host.labels.get(tag::HOST_ID));
        let host_id = node.and_then(provider_id).or(host_id).or(node.map(|node| &*node.uid));
        let known = [
            (tag::HOST_ID, host_id.unwrap_or_default()),
            (tag::HOSTNAME, node.and_then(host_name).unwrap_or_default()),
        ];
        let known = known.into_iter().filter(|(_, value)| !value.is_empty());
        let stored = self.rules.stored(all.iter());
        let labels = given.iter().chain(stored).chain(known).chain([(tag::LABELS, &*joined)]);
        Subject::Node { labels: labels.collect() }
    }

    /// The API server's uid, also for static pods, which the kubelet calls by another: all things
    /// of a pod are to have the same one. Where it is the one that was given, so is the name.
    fn name_of(&mut self, pod: &PodInfo, given: Option<&Arc<PodName>>) -> Arc<PodName> {
        let is_it = |given: &&Arc<PodName>| {
            pod.uid == *given.uid && pod.name == given.name && *pod.namespace == *given.namespace
        };
        given.filter(is_it).cloned().unwrap_or_else(|| {
            pod.uid.with_text(|uid| self.names.share([&pod.namespace, &pod.name, uid]))
        })
    }

    /// Forgets labels that nobody has any more.
    pub(super) fn prune(&mut self) {
        self.shared.prune();
    }

    pub(super) fn len(&self) -> usize {
        self.shared.len()
    }
}

fn provider_id(node: &NodeInfo) -> Option<&str> {
    Some(&*node.provider_id).filter(|id| !id.is_empty())
}

fn host_name(node: &NodeInfo) -> Option<&str> {
    let named = node.addresses.iter().find(|address| address.kind == "Hostname");
    named.map(|address| &*address.address)
}
