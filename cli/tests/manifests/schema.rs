//! Each document is what Kubernetes takes: read as its type and written again it is the same. A
//! field that is misspelt or stands in the wrong place would be gone.

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::render;

/// A document read as a type and written again.
fn again<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// A document as Kubernetes understands it.
fn understood(document: &Value) -> Result<Value, String> {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "ConfigMap") => again::<ConfigMap>(document),
        ("v1", "Namespace") => again::<Namespace>(document),
        ("v1", "Secret") => again::<Secret>(document),
        ("v1", "Service") => again::<Service>(document),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(document),
        ("apps/v1", "DaemonSet") => again::<DaemonSet>(document),
        ("apps/v1", "Deployment") => again::<Deployment>(document),
        ("apps/v1", "StatefulSet") => again::<StatefulSet>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<ClusterRole>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            again::<ClusterRoleBinding>(document)
        }
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<RoleBinding>(document),
        ("apiregistration.k8s.io/v1", "APIService") => again::<APIService>(document),
        (version, kind) => Err(format!("say here what {version} {kind} is")),
    }
}

/// Where the second value lacks something of the first, or has another in its place.
fn difference(written: &Value, understood: &Value, at: &str) -> Option<String> {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            written.iter().find_map(|(key, value)| {
                let at = format!("{at}/{key}");
                match understood.get(key) {
                    Some(other) => difference(value, other, &at),
                    None => Some(format!("{at} is no field")),
                }
            })
        }
        (Value::Array(written), Value::Array(understood)) if written.len() == understood.len() => {
            let pairs = written.iter().zip(understood).enumerate();
            pairs.filter_map(|(index, (a, b))| difference(a, b, &format!("{at}/{index}"))).next()
        }
        (written, understood) if written == understood => None,
        (written, understood) => Some(format!("{at}: {written} is taken for {understood}")),
    }
}

/// What is wrong with a document.
pub(crate) fn check(document: &Value) -> Result<(), String> {
    match difference(document, &understood(document)?, "") {
        Some(difference) => Err(difference),
        None => Ok(()),
    }
}

#[test]
fn every_document_is_of_its_type() {
    for (base, documents) in render::all() {
        for document in &documents {
            if let Err(error) = check(document) {
                panic!("{base}: {}: {error}", render::title(document));
            }
        }
    }
}

/// The check finds what it is there to find.
#[test]
fn a_wrong_field_is_found() {
    let service = |port: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
               "spec": {"ports": [port]}})
    };
    assert_eq!(check(&service(json!({"port": 1, "targetPort": "http"}))), Ok(()));
    let error = check(&service(json!({"port": 1, "targetport": "http"}))).unwrap_err();
    assert_eq!(error, "/spec/ports/0/targetport is no field");
    assert!(check(&service(json!({"port": "http"}))).is_err());
    assert!(check(&json!({"apiVersion": "apps/v1beta1", "kind": "Deployment"})).is_err());
}
