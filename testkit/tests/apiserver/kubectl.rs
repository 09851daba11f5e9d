//! Real `kubectl` against the server.

use std::{path::Path, process::Command};

use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

/// What `kubectl` printed; fails with what it said.
pub(crate) async fn kubectl(api: &ApiServer, arguments: &[&str]) -> String {
    let (succeeded, output) = try_kubectl(api, arguments).await;
    assert!(succeeded, "kubectl {arguments:?}:\n{output}");
    output
}

/// Whether it succeeded, and what it printed: on success its output, else its errors.
pub(crate) async fn try_kubectl(api: &ApiServer, arguments: &[&str]) -> (bool, String) {
    let (kubeconfig, home) = (api.kubeconfig(), api.folder().to_owned());
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = move || run(&kubeconfig, &home, &arguments);
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Runs it with the current context of a kubeconfig, or the one that the arguments name.
pub(crate) fn run(kubeconfig: &Path, home: &Path, arguments: &[String]) -> (bool, String) {
    let output = Command::new("kubectl")
        .arg("--request-timeout=30s")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run kubectl ({error}); on Debian: apt-get install kubernetes-client")
        });
    let stream = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(stream).unwrap())
}

async fn recorded() -> ApiServer {
    ApiServer::recorded(ApiServerOptions::default()).await.unwrap()
}

/// Over TLS, with the client certificate of the kubeconfig.
#[tokio::test]
async fn gets_nodes_pods_and_events_as_tables() {
    let api = recorded().await;
    let nodes = kubectl(&api, &["get", "nodes"]).await;
    assert!(nodes.contains("STATUS") && nodes.contains("node-a   Ready"), "{nodes}");
    let pods = kubectl(&api, &["get", "pods", "-A"]).await;
    assert_eq!(pods.lines().count(), 4, "{pods}");
    assert!(pods.contains("kube-system   hostnet") && pods.contains("1/1"), "{pods}");
    let wide = kubectl(&api, &["get", "pods", "-A", "-o", "wide"]).await;
    assert!(wide.contains("10.244.7.11") && wide.contains("node-a"), "{wide}");
    let chosen = kubectl(&api, &["get", "pods", "-n", "default", "-l", "app=burner"]).await;
    assert_eq!(chosen.lines().count(), 3, "{chosen}");
    let none = ["get", "pods", "-n", "default", "-l", "app=nobody", "-o", "name"];
    assert_eq!(kubectl(&api, &none).await, "");
    let events = kubectl(&api, &["get", "events", "-n", "kube-system"]).await;
    assert!(events.contains("pod/hostnet"), "{events}");
    let spaces = kubectl(&api, &["get", "ns"]).await;
    assert!(spaces.contains("kube-system") && spaces.contains("Active"), "{spaces}");
}

#[tokio::test]
async fn gets_objects_and_raw_paths() {
    let api = recorded().await;
    let pod = kubectl(&api, &["get", "pod", "hostnet", "-n", "kube-system", "-o", "json"]).await;
    let pod: Value = serde_json::from_str(&pod).unwrap();
    assert_eq!((&pod["kind"], &pod["apiVersion"]), (&json!("Pod"), &json!("v1")));
    assert_eq!(pod["spec"]["nodeName"], "node-a");
    let raw = kubectl(&api, &["get", "--raw", "/api/v1/nodes?limit=1"]).await;
    let list: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(list["kind"], "NodeList");
    let version = kubectl(&api, &["version", "-o", "json"]).await;
    let version: Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["serverVersion"]["gitVersion"], "v1.20.2");
    let resources = kubectl(&api, &["api-resources", "-o", "name"]).await;
    assert!(resources.contains("deployments.apps"), "{resources}");
    let (found, error) = try_kubectl(&api, &["get", "pod", "nope"]).await;
    assert!(!found && error.contains(r#"pods "nope" not found"#), "{error}");
}

/// Whoever shows nothing is told so.
#[tokio::test]
async fn is_kept_out_without_credentials() {
    let api = recorded().await;
    let (allowed, error) = try_kubectl(&api, &["--context=anonymous", "get", "pods"]).await;
    assert!(!allowed && !error.is_empty());
    api.authority().set_policy(|request| request.resource != "pods");
    let (allowed, error) = try_kubectl(&api, &["--context=heapster", "get", "pods"]).await;
    assert!(!allowed && error.contains("cannot list resource \"pods\""), "{error}");
    kubectl(&api, &["--context=heapster", "get", "nodes"]).await;
}

/// A watch that sees a change.
#[tokio::test]
async fn waits_for_a_condition() {
    let api = recorded().await;
    let waits = ["wait", "--for=delete", "pod/hostnet", "-n", "kube-system", "--timeout=20s"];
    let (waited, ()) = tokio::join!(kubectl(&api, &waits), async {
        super::eventually("it watches", async || api.open_watches() > 0).await;
        assert!(api.delete("pods", "kube-system/hostnet"));
    });
    assert!(waited.contains("condition met"), "{waited}");
}
