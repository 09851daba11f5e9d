//! Lists of the API server, and texts within them.

use heapster_buddy::kubernetes::{
    LabelSelector,
    door::{kubeconfig, objects, quantity},
};
use heapster_shared::entity::Labels;

use super::{Target, joined, nothing_made, text, two};

/// A target for one resource.
macro_rules! target {
    ($name:literal, $resource:literal, $recorded:literal) => {
        Target {
            name: $name,
            run: |input| list($resource, input),
            recorded: &[$recorded],
            made: nothing_made,
        }
    };
}

pub(super) const TARGETS: &[Target] = &[
    target!("kubernetes-nodes", "nodes", "buddy/testdata/kubernetes/nodes.json"),
    target!("kubernetes-pods", "pods", "buddy/testdata/kubernetes/pods.json"),
    target!("kubernetes-namespaces", "namespaces", "buddy/testdata/kubernetes/namespaces.json"),
    target!("kubernetes-events", "events", "buddy/testdata/kubernetes/events.json"),
    Target {
        name: "kubeconfig",
        run: |input| {
            let (file, context) = two(input);
            let files = kubeconfig(&text(file), &text(context)).unwrap_or_default();
            assert!(files.len() <= input.len(), "{} files", files.len());
            // What comes behind a document adds to it, and takes nothing away.
            let twice = kubeconfig(&format!("{0}\n---\n{0}", text(file)), &text(context));
            assert!(files.is_empty() || twice.is_ok_and(|twice| twice == files), "twice");
        },
        recorded: &[],
        made: || vec![KUBECONFIG.into(), joined(KUBECONFIG, "other")],
    },
    Target {
        name: "quantity",
        run: |input| {
            let (millis, units) = quantity(&text(input));
            assert_eq!(millis.is_some(), units.is_some(), "one of the two units refuses it");
            let (millis, units) = (millis.unwrap_or_default(), units.unwrap_or_default());
            // Both are rounded away from zero, and end where 64 bits do.
            let whole = |millis: i64| millis / 1000 + (millis % 1000).signum();
            let full = millis.unsigned_abs() == i64::MAX.unsigned_abs();
            assert!(full || whole(millis) == units, "{millis} thousandths are {units}");
        },
        recorded: &[],
        made: || ["100m", "1.5Gi", "2E", "12e3", "-1", "0.0001", "1e-3k"].map(|q| q.into()).into(),
    },
    Target {
        name: "label-selector",
        run: |input| {
            let Ok(selector) = LabelSelector::parse(&text(input)) else { return };
            let labels: Labels = [("app", "web"), ("tier", "x")].into_iter().collect();
            let (some, none) = (selector.matches(&labels), selector.matches(&Labels::default()));
            assert!(some || none || !text(input).is_empty(), "nothing selects nothing");
        },
        recorded: &[],
        made: || {
            ["app=web,tier!=x", "a in (b, c),d notin (e),!f,g", "app==web,", "app"]
                .map(|selector| selector.into())
                .into()
        },
    },
];

const KUBECONFIG: &str = r"apiVersion: v1
kind: Config
clusters:
- {name: lab, cluster: {server: 'https://10.0.0.1:6443', certificate-authority: /k/ca.crt, tls-server-name: a}}
- {name: b, cluster: {server: 'https://[::1]:1', certificate-authority-data: QQ==, insecure-skip-tls-verify: true}}
users:
- {name: u, user: {client-certificate: /k/u.crt, client-key: /k/u.key}}
- name: v
  user:
    token: x
    exec: {apiVersion: client.authentication.k8s.io/v1, command: nothing, args: [a], env: [{name: A, value: b}]}
contexts:
- {name: one, context: {cluster: lab, user: u, namespace: n}}
- {name: other, context: {cluster: b, user: v}}
current-context: one
";

fn list(resource: &str, input: &[u8]) {
    let Some(read) = objects(resource, &text(input)) else { panic!("no resource {resource}") };
    let count = read.map(|objects| objects.len()).unwrap_or_default();
    assert!(count <= input.len(), "{count} objects");
}
