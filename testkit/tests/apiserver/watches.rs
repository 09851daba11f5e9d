//! Watches, as their clients see them.

use std::time::Duration;

use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

use super::{ask, json, plain, recorded, simulated};

/// An open watch.
struct Lines {
    answer: reqwest::Response,
    read: Vec<u8>,
}

impl Lines {
    async fn open(api: &ApiServer, path: &str) -> Self {
        let answer = ask(api, path).await;
        assert_eq!(answer.status(), 200);
        Self { answer, read: Vec::new() }
    }

    /// The next event; `None` at the end, also at a broken one.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.read.extend(self.answer.chunk().await.ok()??);
        }
    }

    /// Type and name of the next event.
    async fn event(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

fn pod(name: &str, app: &str) -> Value {
    let metadata = json!({"namespace": "default", "name": name, "labels": {"app": app}});
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": {}})
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.into(), name.into())
}

async fn from_now(api: &ApiServer, more: &str) -> Lines {
    let version = api.resource_version();
    Lines::open(api, &format!("/api/v1/pods?watch=1&resourceVersion={version}{more}")).await
}

#[tokio::test]
async fn changes_are_told_in_order() {
    let api = recorded().await;
    let mut watch = from_now(&api, "").await;
    api.put(pod("new", "a")).unwrap();
    api.put(pod("new", "b")).unwrap();
    assert!(api.delete("pods", "default/new"));
    api.put(json!({"kind": "Node", "metadata": {"name": "other"}})).unwrap();
    assert!(api.delete("pods", "kube-system/hostnet"));
    assert_eq!(watch.event().await, event("ADDED", "new"));
    let modified = watch.next().await.unwrap();
    assert_eq!(
        (&modified["type"], &modified["object"]["kind"]),
        (&json!("MODIFIED"), &json!("Pod"))
    );
    assert_eq!(watch.event().await, event("DELETED", "new"));
    let deleted = watch.next().await.unwrap();
    assert_eq!(deleted["object"]["metadata"]["name"], "hostnet");
    let version = deleted["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    assert_eq!(version, api.resource_version().to_string());
}

/// An object that leaves the selection is deleted for who watches it, and one that enters is added.
#[tokio::test]
async fn selections_are_watched() {
    let api = recorded().await;
    let mut watch = from_now(&api, "&labelSelector=app%3Da").await;
    for app in ["b", "a", "a", "b"] {
        api.put(pod("x", app)).unwrap();
    }
    assert_eq!(watch.event().await, event("ADDED", "x"));
    assert_eq!(watch.event().await, event("MODIFIED", "x"));
    assert_eq!(watch.event().await, event("DELETED", "x"));
}

/// Without a version a watch begins with all that there is, in the recorded words.
#[tokio::test]
async fn a_watch_can_begin_with_everything() {
    let api = recorded().await;
    let mut watch = Lines::open(&api, "/api/v1/pods?watch=1").await;
    let recorded = include_str!("../../testdata/apiserver-1.20-watch-pods.ndjson");
    let mut expected: Vec<Value> = Vec::new();
    for line in recorded.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        expected.push(event);
    }
    for _ in 0..3 {
        let event = watch.next().await.unwrap();
        let same = expected.iter().find(|recorded| {
            recorded["object"]["metadata"]["uid"] == event["object"]["metadata"]["uid"]
        });
        assert_eq!(Some(&event), same);
    }
    let refused = ask(&api, "/api/v1/pods?watch=1&sendInitialEvents=true").await;
    assert_eq!(refused.status(), 422);
}

/// A server that can stream lists marks where the list ends.
#[tokio::test]
async fn a_streamed_list_ends_with_a_bookmark() {
    let options = ApiServerOptions { streaming_lists: true, ..plain() };
    let api = ApiServer::recorded(options).await.unwrap();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true";
    let mut watch = Lines::open(&api, &format!("/api/v1/pods?{query}")).await;
    for _ in 0..3 {
        assert_eq!(watch.event().await.0, "ADDED");
    }
    let mark = watch.next().await.unwrap();
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn bookmarks_carry_the_version_on() {
    let options = ApiServerOptions { bookmarks: Duration::from_millis(20), ..plain() };
    let api = ApiServer::recorded(options).await.unwrap();
    let mut watch = from_now(&api, "&allowWatchBookmarks=true").await;
    api.pass_versions(1000);
    loop {
        let mark = watch.next().await.unwrap();
        assert_eq!((&mark["type"], &mark["object"]["kind"]), (&json!("BOOKMARK"), &json!("Pod")));
        let version = mark["object"]["metadata"]["resourceVersion"].as_str().unwrap();
        if version == api.resource_version().to_string() {
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_ends_when_it_was_asked_to() {
    let api = recorded().await;
    let mut watch = from_now(&api, "&timeoutSeconds=1").await;
    assert_eq!(watch.next().await, None);
    super::eventually("it is closed", async || api.open_watches() == 0).await;
}

/// Who comes back after a compaction is told that his version is gone.
#[tokio::test]
async fn an_old_version_is_gone() {
    let (_hosts, api) = simulated().await;
    let version = json(&api, "/api/v1/pods?limit=1").await["metadata"]["resourceVersion"].clone();
    api.put(pod("new", "a")).unwrap();
    let path = format!("/api/v1/pods?watch=1&resourceVersion={}", version.as_str().unwrap());
    assert_eq!(Lines::open(&api, &path).await.event().await, event("ADDED", "new"));
    api.compact();
    let mut watch = Lines::open(&api, &path).await;
    let error = watch.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(
        (&error["object"]["code"], &error["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn watches_can_be_cut() {
    let api = recorded().await;
    let mut watch = from_now(&api, "").await;
    super::eventually("it is open", async || api.open_watches() == 1).await;
    api.cut_watches();
    let broken = watch.answer.chunk().await;
    assert!(broken.is_err(), "a cut is no proper end: {broken:?}");
    let mut again = from_now(&api, "").await;
    api.put(pod("new", "a")).unwrap();
    assert_eq!(again.event().await, event("ADDED", "new"));
}
