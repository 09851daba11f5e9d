//! The answers are those of a recorded metrics-server, byte for byte.

use heapster_buddy::metrics_api::MetricsArgs;
use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

use super::{ADMIN, BASE, Served, Used, client, text};

const NODES: &str = include_str!("../../testdata/metrics_api/nodes.json");
const PODS: &str = include_str!("../../testdata/metrics_api/pods.json");

/// An API server with the pods that metrics-server saw, and the usage that it saw.
async fn recorded() -> Served {
    let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
    let template = api.get("pods", "kube-system/hostnet").unwrap();
    for name in ["burner-6948c85555-qdgzs", "burner-6948c85555-t7bgc"] {
        assert!(api.delete("pods", &format!("default/{name}")));
    }
    for item in items(PODS) {
        let mut pod = template.clone();
        for field in ["name", "namespace", "labels"] {
            pod["metadata"][field] = item["metadata"][field].clone();
        }
        pod["metadata"]["uid"] = item["metadata"]["name"].clone();
        pod["kind"] = "Pod".into();
        api.put(pod).unwrap();
    }
    let served = Served::beside(api, MetricsArgs::default()).await;
    served.polled("node-a", &usage()).await
}

fn items(list: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(list).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// The samples from which the recorded answers follow.
fn usage() -> Vec<Used> {
    let mut used = Vec::new();
    for item in items(NODES) {
        used.push(of(&item, &item["usage"], None));
    }
    for item in items(PODS) {
        for container in item["containers"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let metadata = &item["metadata"];
            let names = [&metadata["namespace"], &metadata["name"], &container["name"]].map(text);
            used.push(of(&item, &container["usage"], Some(names)));
        }
    }
    used
}

fn of(item: &Value, usage: &Value, container: Option<[String; 3]>) -> Used {
    let time: jiff::Timestamp = item["timestamp"].as_str().unwrap().parse().unwrap();
    let window = item["window"].as_str().unwrap().trim_end_matches('s');
    let number = |field: &str, suffix: &str| {
        usage[field].as_str().unwrap().trim_end_matches(suffix).parse::<i64>().unwrap()
    };
    #[allow(clippy::cast_possible_truncation)]
    let window_ms = (window.parse::<f64>().unwrap() * 1000.0).round() as i64;
    Used {
        container,
        nanocores: number("cpu", "n"),
        bytes: number("memory", "Ki") * 1024,
        time_ms: time.as_millisecond(),
        window_ms,
    }
}

/// The list that is said, with each pod's containers sorted: metrics-server has them in any order.
fn sorted(list: &str) -> Value {
    let mut list: Value = serde_json::from_str(list).unwrap();
    for item in list["items"].as_array_mut().unwrap() {
        let containers = item["containers"].as_array_mut().unwrap();
        containers.sort_by_key(|container| container["name"].to_string());
    }
    list
}

/// A namespace, and what a selector chooses in it.
#[tokio::test]
async fn lists_of_a_namespace_are_the_same() {
    let served = recorded().await;
    for (query, expected) in [
        ("", include_str!("../../testdata/metrics_api/pods-default.json")),
        (
            "?labelSelector=app%3Dburner",
            include_str!("../../testdata/metrics_api/pods-burner.json"),
        ),
    ] {
        let path = format!("{BASE}/namespaces/default/pods{query}");
        let (code, body) = served.told(&path).await;
        assert_eq!((code, sorted(&body)), (200, sorted(expected)), "{path}");
    }
}

#[tokio::test]
async fn answers_are_the_same_byte_for_byte() {
    let served = recorded().await;
    let port = format!(":{}", served.address.port());
    let apis = include_str!("../../testdata/metrics_api/apis.json").replace(":4443", &port);
    for (path, status, expected) in [
        ("/apis", 200, apis.as_str()),
        ("/apis/metrics.k8s.io", 200, include_str!("../../testdata/metrics_api/group.json")),
        (BASE, 200, include_str!("../../testdata/metrics_api/resources.json")),
        (&format!("{BASE}/nodes"), 200, NODES),
        (
            &format!("{BASE}/nodes/node-a"),
            200,
            include_str!("../../testdata/metrics_api/node.json"),
        ),
        (
            &format!("{BASE}/nodes/nope"),
            404,
            include_str!("../../testdata/metrics_api/no-node.json"),
        ),
        (&format!("{BASE}/pods"), 200, PODS),
        (
            &format!("{BASE}/namespaces/default/pods/nope"),
            404,
            include_str!("../../testdata/metrics_api/no-pod.json"),
        ),
        ("/livez", 200, "ok"),
        ("/readyz", 200, "ok"),
    ] {
        let (code, body) = served.told(path).await;
        assert_eq!((code, body.as_str()), (status, expected), "{path}");
    }
    let nodes = served.get(&client(), &format!("{BASE}/nodes"));
    let (code, body) = text(nodes.header("user-agent", "curl/7.88.1")).await;
    let anonymous = include_str!("../../testdata/metrics_api/anonymous.json");
    assert_eq!((code, body.as_str()), (403, anonymous));
}

/// The form that `kubectl get` asks for; without a person's program, in one line.
#[tokio::test]
async fn tables_are_the_same() {
    let served = recorded().await;
    let expected: Value =
        serde_json::from_str(include_str!("../../testdata/metrics_api/nodes-table.json")).unwrap();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let ask = |path: &str, accept: &str| {
        let request = served.get(&client(), &format!("{BASE}{path}")).bearer_auth(ADMIN);
        text(request.header("accept", accept))
    };
    let (code, body) = ask("/nodes", accept).await;
    assert_eq!((code, body.lines().count()), (200, 1), "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    // The order of what follows a kind is that of the recorded text.
    let squeezed: String = include_str!("../../testdata/metrics_api/nodes-table.json")
        .lines()
        .map(str::trim)
        .collect();
    assert_eq!(body.trim_end(), squeezed.replace("\": ", "\":").replace(", ", ","));

    let (_, body) = ask("/namespaces/kube-system/pods/hostnet?includeObject=None", accept).await;
    let table: Value = serde_json::from_str(&body).unwrap();
    let row = json!({ "cells": ["hostnet", "0", "356Ki", "15.001s"], "object": null });
    assert_eq!(table["rows"], json!([row]));
    let (_, body) = ask("/nodes/node-a?includeObject=Object", accept).await;
    let table: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(table["rows"][0]["object"]["kind"], "NodeMetrics");
    assert_eq!(ask("/nodes?includeObject=Some", accept).await.0, 400);
}
