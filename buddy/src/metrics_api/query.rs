//! Which nodes and pods an answer is about: what was measured, joined with what the API server says.

use std::sync::Arc;

use super::{
    request::Query,
    status::Status,
    store::MetricsStore,
    usage::{ContainerUsage, NodeUsage, Usage},
};
use crate::kubernetes::{ClusterMetadata, LabelSelector, NodeInfo, PodInfo};

/// What selectors choose.
#[derive(Debug)]
pub(super) struct Selection {
    labels: LabelSelector,
    fields: Vec<FieldTest>,
}

#[derive(Debug)]
struct FieldTest {
    is_namespace: bool,
    value: String,
    /// `!=`
    negated: bool,
}

impl Selection {
    /// Reads the selectors of a query.
    pub(super) fn of(query: &Query) -> Result<Self, Status> {
        let labels = LabelSelector::parse(&query.labels).map_err(|error| {
            Status::bad_request(format!("unable to parse requirement: {error}"))
        })?;
        let tests = query.fields.split(',').map(str::trim).filter(|test| !test.is_empty());
        let fields: Result<_, _> = tests.map(field_test).collect();
        Ok(Self { labels, fields: fields.map_err(Status::bad_request)? })
    }

    fn allows(&self, namespace: &str, name: &str) -> bool {
        self.fields.iter().all(|test| {
            let own = if test.is_namespace { namespace } else { name };
            (own == test.value) != test.negated
        })
    }
}

fn field_test(text: &str) -> Result<FieldTest, String> {
    let (key, value, negated) = if let Some((key, value)) = text.split_once("!=") {
        (key, value, true)
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, value, false)
    } else {
        return Err(format!("invalid selector: '{text}'; can't understand '{text}'"));
    };
    let is_namespace = match key.trim() {
        "metadata.name" => false,
        "metadata.namespace" => true,
        key => {
            return Err(format!(
                "{key:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ));
        }
    };
    Ok(FieldTest { is_namespace, value: value.trim().to_owned(), negated })
}

/// A node of an answer.
#[derive(Clone, Debug)]
pub(super) struct FoundNode {
    pub(super) info: Arc<NodeInfo>,
    pub(super) usage: Usage,
}

/// A pod of an answer.
#[derive(Clone, Debug)]
pub(super) struct FoundPod {
    pub(super) info: Arc<PodInfo>,
    node: Arc<NodeUsage>,
    pod: usize,
}

impl FoundPod {
    fn of(node: &Arc<NodeUsage>, pod: usize, info: Arc<PodInfo>) -> Option<Self> {
        let found = Self { info, node: Arc::clone(node), pod };
        found.containers().map(|_| ())?;
        Some(found)
    }

    /// In the order in which the node gave them first; `None` where one says nothing yet.
    pub(super) fn containers(&self) -> Option<&[ContainerUsage]> {
        self.node.containers(&self.node.pods[self.pod]).filter(|containers| !containers.is_empty())
    }

    /// The time and the window of the container whose sample is the oldest.
    pub(super) fn oldest(&self) -> Option<Usage> {
        let usages = self.containers()?.iter().map(|container| container.usage);
        usages.min_by_key(|usage| usage.time_ms)
    }

    fn key(&self) -> (&str, &str) {
        (&self.info.namespace, &self.info.name)
    }

    /// Whether it was measured where the API server has it now, and when.
    fn rank(&self) -> (bool, i64) {
        let is_there = *self.info.node == *self.node.name;
        (is_there, self.oldest().map_or(0, |usage| usage.time_ms))
    }
}

/// What answers are made of.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) store: &'a MetricsStore,
    pub(super) metadata: &'a ClusterMetadata,
}

impl Known<'_> {
    /// The nodes that are chosen and of which something is known, by name.
    pub(super) fn nodes(&self, selection: &Selection) -> Vec<FoundNode> {
        let nodes = self.metadata.nodes().into_iter();
        let chosen = nodes.filter(|node| {
            selection.allows("", &node.name) && selection.labels.matches(&node.labels)
        });
        let found = chosen.filter_map(|info| {
            let usage = self.store.node(&info.name)?.usage()?;
            Some(FoundNode { info, usage })
        });
        found.collect()
    }

    /// One node.
    pub(super) fn node(&self, name: &str) -> Result<FoundNode, Status> {
        let info = self.metadata.node(name).ok_or_else(|| Status::no_object("node", name))?;
        let usage = self.store.node(name).and_then(|node| node.usage());
        let usage = usage.ok_or_else(|| Status::no_metrics("nodes", name.to_owned()))?;
        Ok(FoundNode { info, usage })
    }

    /// The pods that are chosen, run, and say something of each of their containers, by namespace and
    /// name.
    pub(super) fn pods(&self, namespace: Option<&str>, selection: &Selection) -> Vec<FoundPod> {
        let mut found = Vec::new();
        for node in self.store.nodes() {
            for (index, pod) in node.pods.iter().enumerate() {
                let (space, name) = pod.key();
                if namespace.is_some_and(|wanted| wanted != space) || !selection.allows(space, name)
                {
                    continue;
                }
                let info = self
                    .metadata
                    .pod(space, name)
                    .filter(|info| !info.is_finished() && selection.labels.matches(&info.labels));
                found.extend(info.and_then(|info| FoundPod::of(&node, index, info)));
            }
        }
        // A pod that moved is still remembered where it was.
        found.sort_by(|a, b| a.key().cmp(&b.key()).then_with(|| b.rank().cmp(&a.rank())));
        found.dedup_by(|a, b| a.key() == b.key());
        found
    }

    /// One pod.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Result<FoundPod, Status> {
        let info = self.metadata.pod(namespace, name);
        let info = info.ok_or_else(|| Status::no_object("pods", name))?;
        let at = |node: &Arc<NodeUsage>| {
            let pod = node.pod(namespace, name)?;
            FoundPod::of(node, pod, Arc::clone(&info))
        };
        let there = self.store.node(&info.node).as_ref().and_then(at);
        let found = there.or_else(|| self.store.nodes().iter().find_map(at));
        let found = found.filter(|pod| !pod.info.is_finished());
        found.ok_or_else(|| Status::no_metrics("pods", format!("{namespace}/{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong is said, and nothing is selected by guessing.
    #[test]
    fn selectors_that_cannot_be_read_are_refused() {
        for (labels, fields, expected) in [
            ("a in (b", "", "unable to parse requirement: `a in (b` has no closing parenthesis"),
            ("", "spec.nodeName=a", "is not a known field selector: only"),
            ("", "nonsense", "can't understand 'nonsense'"),
        ] {
            let query = Query { labels: labels.into(), fields: fields.into(), ..Query::default() };
            let status = serde_json::to_value(Selection::of(&query).unwrap_err()).unwrap();
            let message = status["message"].as_str().unwrap();
            assert!(message.contains(expected), "{message}");
            assert_eq!((&status["code"], &status["reason"]), (&400.into(), &"BadRequest".into()));
        }
    }

    #[test]
    fn fields_choose_by_name_and_namespace() {
        let choose = |fields: &str| {
            let query = Query { fields: fields.into(), ..Query::default() };
            let selection = Selection::of(&query).unwrap();
            [("a", "x"), ("a", "y"), ("b", "x")]
                .map(|(namespace, name)| selection.allows(namespace, name))
        };
        assert_eq!(choose(""), [true, true, true]);
        assert_eq!(choose("metadata.name=x"), [true, false, true]);
        assert_eq!(choose("metadata.namespace!=a"), [false, false, true]);
        assert_eq!(choose("metadata.name==x,metadata.namespace=a"), [true, false, false]);
    }
}
