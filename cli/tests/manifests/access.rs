//! The account may do what the programs ask for, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::render::{self, of_kind};

/// What whoever polls asks for, as `VERB RESOURCE[.GROUP]`, and which part of it does.
const POLLING: [(&str, &str); 8] = [
    ("list nodes", "discovery kubernetes"),
    ("watch nodes", "discovery kubernetes"),
    ("list pods", "labels, requests and limits"),
    ("watch pods", "labels, requests and limits"),
    ("list namespaces", "ids of namespaces"),
    ("watch namespaces", "ids of namespaces"),
    ("get nodes/stats", "source summary"),
    ("get nodes/metrics", "sources resource and kubelet-cadvisor"),
];

/// What one of a cluster asks for besides.
const EVENTS: [(&str, &str); 2] = [("list events", "--events"), ("watch events", "--events")];

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What a role allows that is in every cluster.
pub(crate) fn built_in(role: &str) -> Option<BTreeSet<String>> {
    let rights: &[&str] = match role {
        "system:auth-delegator" => &[
            "create tokenreviews.authentication.k8s.io",
            "create subjectaccessreviews.authorization.k8s.io",
        ],
        "extension-apiserver-authentication-reader" => {
            &["get configmaps", "list configmaps", "watch configmaps"]
        }
        _ => return None,
    };
    Some(rights.iter().map(|right| (*right).to_owned()).collect())
}

/// What a cluster role of the manifests allows.
pub(crate) fn allowed(documents: &[Value], role: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut roles = of_kind(documents, "ClusterRole");
    let role = roles.find(|one| one["metadata"]["name"] == role).unwrap();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    found.insert(format!("{verb} {resource}{group}"));
                }
            }
        }
    }
    found
}

/// The roles that the account is bound to have what is asked for, neither more nor less.
#[test]
fn the_account_may_do_what_is_asked_for() {
    let set = |asked: &[(&str, &str)]| -> BTreeSet<String> {
        asked.iter().map(|(asked, _)| (*asked).to_owned()).collect()
    };
    for base in ["buddy", "daemonset", "all-in-one"] {
        let documents = render::render(base);
        if documents.is_empty() {
            return;
        }
        assert_eq!(allowed(&documents, "heapster"), set(&POLLING), "{base}");
        let own = of_kind(&documents, "ClusterRoleBinding");
        let bound: BTreeSet<&str> =
            own.map(|binding| binding["roleRef"]["name"].as_str().unwrap()).collect();
        if base == "daemonset" {
            assert_eq!(bound, BTreeSet::from(["heapster"]));
        } else {
            assert_eq!(allowed(&documents, "heapster:events"), set(&EVENTS), "{base}");
            let all = ["heapster", "heapster:auth-delegator", "heapster:events"];
            assert_eq!(bound, all.map(delegated).into_iter().collect(), "{base}");
        }
    }
}

/// The role of a binding: our own, or that of every cluster.
fn delegated(binding: &'static str) -> &'static str {
    if binding == "heapster:auth-delegator" { "system:auth-delegator" } else { binding }
}

/// A master has no account at all, and a buddy that serves no metrics API may not ask who others
/// are.
#[test]
fn who_asks_for_nothing_may_do_nothing() {
    for base in ["master", "master-with-grafana"] {
        let documents = render::render(base);
        for kind in ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "RoleBinding"] {
            assert_eq!(of_kind(&documents, kind).count(), 0, "{base}: {kind}");
        }
    }
    let documents = render::render("daemonset");
    let delegates = |one: &Value| one["roleRef"]["name"] == "system:auth-delegator";
    assert!(!documents.iter().any(delegates));
    assert_eq!(of_kind(&documents, "APIService").count(), 0);
}
