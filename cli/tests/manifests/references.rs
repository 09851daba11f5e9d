//! What a document names is there: pods by their labels, ports, volumes, accounts, roles.

use serde_json::Value;

use super::{
    render::{self, of_kind, title},
    workload::{containers, templates},
};

fn array<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

/// Whether labels have all of a selector.
fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// Workloads select their own pods, services pods that have the ports that they lead to, by name.
#[test]
fn selectors_find_pods_and_their_ports() {
    for (base, documents) in render::all() {
        for (document, template) in templates(&documents) {
            let labels = &template["metadata"]["labels"];
            let selector = &document["spec"]["selector"]["matchLabels"];
            assert!(selects(selector, labels), "{base}: {}", title(document));
        }
        for service in of_kind(&documents, "Service") {
            let selector = &service["spec"]["selector"];
            let chosen: Vec<_> = containers(base, &documents)
                .into_iter()
                .filter(|one| selects(selector, &one.template["metadata"]["labels"]))
                .collect();
            assert_eq!(chosen.len(), 1, "{base}: {}", title(service));
            for port in array(service, "/spec/ports") {
                let target = port["targetPort"].as_str().unwrap();
                assert!(chosen[0].port(target).is_some(), "{base}: {} {target}", title(service));
            }
        }
    }
}

/// Probes ask ports that are there, mounts are of volumes that are there, and what is mounted as a
/// config map exists under its rendered name.
#[test]
fn pods_have_what_they_name() {
    for (base, documents) in render::all() {
        let maps: Vec<&Value> =
            of_kind(&documents, "ConfigMap").map(|map| &map["metadata"]["name"]).collect();
        for container in containers(base, &documents) {
            for probe in ["readinessProbe", "livenessProbe"] {
                let Some(port) = container.value.pointer(&format!("/{probe}/httpGet/port")) else {
                    continue;
                };
                assert!(container.port(port.as_str().unwrap()).is_some(), "{}", container.title);
            }
            let mut volumes = array(container.template, "/spec/volumes");
            let claims = templates(&documents).filter(|(_, own)| *own == container.template);
            let claims: Vec<_> = claims.map(|(document, _)| document).collect();
            let claimed = array(claims[0], "/spec/volumeClaimTemplates");
            volumes.iter().filter_map(|one| one.pointer("/configMap/name")).for_each(|name| {
                assert!(maps.contains(&name), "{}: no config map {name}", container.title);
            });
            volumes.extend(claimed.iter().map(|claim| &claim["metadata"]));
            for mount in array(container.value, "/volumeMounts") {
                let known = volumes.iter().any(|volume| volume["name"] == mount["name"]);
                assert!(known, "{}: no volume {}", container.title, mount["name"]);
            }
        }
    }
}

/// Accounts and namespaces are made in the same breath, and the roles that are bound exist there or
/// in every cluster.
#[test]
fn accounts_and_roles_exist() {
    let built_in = ["system:auth-delegator", "extension-apiserver-authentication-reader"];
    for (base, documents) in render::all() {
        let named = |kind: &str, name: &Value| {
            of_kind(&documents, kind).any(|one| one["metadata"]["name"] == *name)
        };
        for (_, template) in templates(&documents) {
            let account = &template["spec"]["serviceAccountName"];
            assert!(account.is_null() || named("ServiceAccount", account), "{base}: {account}");
        }
        for document in &documents {
            let namespace = &document["metadata"]["namespace"];
            let fine =
                namespace.is_null() || namespace == "kube-system" || named("Namespace", namespace);
            assert!(fine, "{base}: {}: no namespace {namespace}", title(document));
            let Some(role) = document.get("roleRef") else { continue };
            let name = role["name"].as_str().unwrap();
            let known = built_in.contains(&name) || named("ClusterRole", &role["name"]);
            assert!(known, "{base}: {}: no role {name}", title(document));
            for subject in array(document, "/subjects") {
                assert!(named("ServiceAccount", &subject["name"]), "{base}: {}", title(document));
            }
        }
        for api in of_kind(&documents, "APIService") {
            assert!(named("Service", &api["spec"]["service"]["name"]), "{base}");
        }
    }
}
