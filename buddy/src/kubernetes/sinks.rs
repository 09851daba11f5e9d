//! From the watches into the metadata.

use std::sync::Arc;

use super::{
    intern::Interner,
    metadata::ClusterMetadata,
    model::{NamespaceInfo, NodeInfo, PodInfo},
    watch::Sink,
    wire::{NamespaceObject, NodeObject, Object as _, PodObject},
};

/// Keeps the nodes.
pub(super) struct Nodes {
    pub(super) metadata: Arc<ClusterMetadata>,
    /// The list in the making; no part of it is seen before it is whole.
    pub(super) listed: Vec<NodeInfo>,
}

impl Sink<NodeObject> for Nodes {
    fn begin(&mut self) {
        self.listed.clear();
    }

    async fn page(&mut self, objects: Vec<NodeObject>) {
        self.listed.extend(objects.into_iter().map(NodeObject::into_info));
    }

    fn complete(&mut self) {
        self.metadata.replace_nodes(std::mem::take(&mut self.listed));
    }

    async fn applied(&mut self, object: NodeObject) {
        self.metadata.put_node(object.into_info());
    }

    fn deleted(&mut self, object: NodeObject) {
        self.metadata.remove_node(&object.metadata().name);
    }

    fn len(&self) -> usize {
        self.metadata.node_count()
    }
}

/// Keeps the namespaces.
pub(super) struct Namespaces {
    pub(super) metadata: Arc<ClusterMetadata>,
    pub(super) listed: Vec<NamespaceInfo>,
}

impl Sink<NamespaceObject> for Namespaces {
    fn begin(&mut self) {
        self.listed.clear();
    }

    async fn page(&mut self, objects: Vec<NamespaceObject>) {
        self.listed.extend(objects.into_iter().map(NamespaceInfo::from));
    }

    fn complete(&mut self) {
        self.metadata.replace_namespaces(std::mem::take(&mut self.listed));
    }

    async fn applied(&mut self, object: NamespaceObject) {
        self.metadata.put_namespace(object.into());
    }

    fn deleted(&mut self, object: NamespaceObject) {
        self.metadata.remove_namespace(&object.metadata().name);
    }

    fn len(&self) -> usize {
        self.metadata.namespace_count()
    }
}

impl From<NamespaceObject> for NamespaceInfo {
    fn from(NamespaceObject { metadata }: NamespaceObject) -> Self {
        Self { name: metadata.name, uid: metadata.uid, labels: metadata.labels.into_labels() }
    }
}

/// Keeps the pods.
pub(super) struct Pods {
    pub(super) metadata: Arc<ClusterMetadata>,
    pub(super) interner: Interner,
    pub(super) listed: Vec<Arc<PodInfo>>,
}

impl Sink<PodObject> for Pods {
    fn begin(&mut self) {
        self.listed = Vec::new();
    }

    async fn page(&mut self, objects: Vec<PodObject>) {
        let (metadata, interner) = (&self.metadata, &mut self.interner);
        let known = objects.into_iter().map(|pod| metadata.known_pod(pod.into_info(interner)));
        self.listed.extend(known);
    }

    fn complete(&mut self) {
        self.metadata.replace_pods(std::mem::take(&mut self.listed));
    }

    async fn applied(&mut self, object: PodObject) {
        self.metadata.put_pod(object.into_info(&mut self.interner));
    }

    fn deleted(&mut self, object: PodObject) {
        let pod = object.metadata();
        self.metadata.remove_pod(&pod.namespace, &pod.name, &pod.uid);
    }

    fn len(&self) -> usize {
        self.metadata.pod_count()
    }
}
