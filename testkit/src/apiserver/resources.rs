//! The kinds of objects that there are, and the documents by which clients discover them.

use serde_json::{Value, json};

/// A kind of object.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Resource {
    /// The name in paths; no two groups here have the same.
    pub(super) plural: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    pub(super) short: &'static [&'static str],
}

const fn resource(
    plural: &'static str,
    group: &'static str,
    kind: &'static str,
    namespaced: bool,
    short: &'static [&'static str],
) -> Resource {
    Resource { plural, group, version: "v1", kind, namespaced, short }
}

/// What is stored.
pub(super) const RESOURCES: &[Resource] = &[
    resource("configmaps", "", "ConfigMap", true, &["cm"]),
    resource("events", "", "Event", true, &["ev"]),
    resource("namespaces", "", "Namespace", false, &["ns"]),
    resource("nodes", "", "Node", false, &["no"]),
    resource("pods", "", "Pod", true, &["po"]),
    resource("services", "", "Service", true, &["svc"]),
    resource("apiservices", "apiregistration.k8s.io", "APIService", false, &[]),
    resource("daemonsets", "apps", "DaemonSet", true, &["ds"]),
    resource("deployments", "apps", "Deployment", true, &["deploy"]),
    resource("replicasets", "apps", "ReplicaSet", true, &["rs"]),
    resource("statefulsets", "apps", "StatefulSet", true, &["sts"]),
    resource("jobs", "batch", "Job", true, &[]),
    resource("leases", "coordination.k8s.io", "Lease", true, &[]),
];

/// Questions: they are posted, answered and not stored. Group, plural, kind.
const REVIEWS: [(&str, &str, &str); 3] = [
    ("authentication.k8s.io", "tokenreviews", "TokenReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
];

/// The group that another server answers for.
pub(super) const METRICS_GROUP: &str = "metrics.k8s.io";

impl Resource {
    /// `v1`, or `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// The kind of object of this name in paths.
pub(super) fn by_plural(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.plural == plural)
}

/// The kind of object that calls itself so.
pub(super) fn by_kind(kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.kind == kind)
}

fn has_group(group: &str) -> bool {
    RESOURCES.iter().any(|resource| resource.group == group)
        || REVIEWS.iter().any(|(of, _, _)| *of == group)
}

/// `/api`.
pub(super) fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
    })
}

/// `/apis`: those of the recorded groups that there are.
pub(super) fn groups(with_metrics: bool) -> Value {
    let recorded = include_str!("../../testdata/apiserver-1.20-apis.json");
    let mut list: Value = serde_json::from_str(recorded).unwrap_or_default();
    if let Some(groups) = list.get_mut("groups").and_then(Value::as_array_mut) {
        groups.retain(|group| match group["name"].as_str() {
            Some(METRICS_GROUP) => with_metrics,
            Some(name) => has_group(name),
            None => false,
        });
        groups.iter_mut().for_each(keep_served_versions);
    }
    list
}

fn keep_served_versions(group: &mut Value) {
    let preferred = group["preferredVersion"].clone();
    group["versions"] = json!([preferred]);
}

/// `/apis/GROUP`.
pub(super) fn group(name: &str, with_metrics: bool) -> Option<Value> {
    let mut list = groups(with_metrics);
    let groups = list.get_mut("groups")?.as_array_mut()?;
    let mut group = groups.iter().find(|group| group["name"] == name)?.clone();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// `/api/v1` and `/apis/GROUP/v1`.
pub(super) fn resource_list(group: &str, version: &str) -> Option<Value> {
    if version != "v1" || !has_group(group) {
        return None;
    }
    let mut resources = Vec::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group) {
        resources.push(json!({
            "name": resource.plural, "singularName": "", "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": ["get", "list", "watch"], "shortNames": resource.short,
        }));
        if resource.plural == "nodes" {
            resources.push(json!({
                "name": "nodes/proxy", "singularName": "", "namespaced": false,
                "kind": "NodeProxyOptions", "verbs": ["get"],
            }));
        }
    }
    for (_, plural, kind) in REVIEWS.iter().filter(|(of, _, _)| *of == group) {
        resources.push(json!({
            "name": plural, "singularName": "", "namespaced": false, "kind": kind,
            "verbs": ["create"],
        }));
    }
    let group_version =
        if group.is_empty() { "v1".to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": resources,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is served is told as a real server tells it, less the versions that are not served.
    #[test]
    fn groups_are_as_recorded() {
        let all = groups(true);
        let names: Vec<_> =
            all["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"apps") && names.contains(&METRICS_GROUP), "{names:?}");
        assert!(!names.contains(&"policy"), "{names:?}");
        for name in names.iter().filter(|name| **name != METRICS_GROUP) {
            assert!(resource_list(name, "v1").is_some(), "{name}");
        }
        assert!(group(METRICS_GROUP, false).is_none());
    }
}
