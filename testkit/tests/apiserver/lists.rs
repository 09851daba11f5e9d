//! Lists, single objects, errors and questions over plain HTTP.

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::User,
    peer::http_client,
};
use serde_json::{Value, json};

use super::{ask, json, names, recorded, simulated};

/// What was recorded comes back word for word.
#[tokio::test]
async fn recorded_lists_are_told_as_recorded() {
    let api = recorded().await;
    for (path, text) in [
        ("/api/v1/nodes", include_str!("../../testdata/apiserver-1.20-nodes.json")),
        ("/api/v1/pods", include_str!("../../testdata/apiserver-1.20-pods.json")),
        ("/api/v1/namespaces", include_str!("../../testdata/apiserver-1.20-namespaces.json")),
        ("/api/v1/events", include_str!("../../testdata/apiserver-1.20-events.json")),
        ("/version", include_str!("../../testdata/apiserver-1.20-version.json")),
    ] {
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(json(&api, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn selectors_and_namespaces_choose() {
    let (_hosts, api) = simulated().await;
    for (path, expected) in [
        ("/api/v1/namespaces/shop/pods", vec!["svc-02-0000x0", "svc-02-0001x0"]),
        ("/api/v1/pods?fieldSelector=metadata.name%3Dsvc-00-0001x0", vec!["svc-00-0001x0"]),
        (
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dsim-00001",
            vec!["svc-00-0001x0", "svc-01-0001x0", "svc-02-0001x0"],
        ),
        ("/api/v1/pods?labelSelector=app%20in%20(svc-01)", vec!["svc-01-0000x0", "svc-01-0001x0"]),
        ("/api/v1/nodes?labelSelector=kubernetes.io/hostname%3Dsim-00001", vec!["sim-00001"]),
    ] {
        assert_eq!(names(&json(&api, path).await), expected, "{path}");
    }
    assert_eq!(ask(&api, "/api/v1/pods?fieldSelector=spec.x%3Dy").await.status(), 400);
}

/// The pages of a list fit together and are of one version, though objects come and go meanwhile.
#[tokio::test]
async fn pages_are_of_one_version() {
    let (_hosts, api) = simulated().await;
    let first = json(&api, "/api/v1/pods?limit=2").await;
    assert_eq!(first["metadata"]["remainingItemCount"], 4);
    assert!(api.delete("pods", "shop/svc-02-0001x0"));
    let mut all: Vec<String> = names(&first).into_iter().map(str::to_owned).collect();
    let mut page = first.clone();
    while let Some(token) = page["metadata"]["continue"].as_str() {
        page = json(&api, &format!("/api/v1/pods?limit=2&continue={token}")).await;
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        all.extend(names(&page).into_iter().map(str::to_owned));
    }
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(names(&json(&api, "/api/v1/pods").await).len(), 5);
    api.compact();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let gone = ask(&api, &format!("/api/v1/pods?limit=2&continue={token}")).await;
    assert_eq!(gone.status(), 410);
    assert_eq!(gone.json::<Value>().await.unwrap()["reason"], "Expired");
}

#[tokio::test]
async fn objects_have_their_kind_and_their_version() {
    let (_hosts, api) = simulated().await;
    let pod = json(&api, "/api/v1/namespaces/default/pods/svc-00-0000x0").await;
    assert_eq!((pod["kind"].as_str(), pod["apiVersion"].as_str()), (Some("Pod"), Some("v1")));
    let before: u64 = pod["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(
        api.modify("pods", "default/svc-00-0000x0", |pod| pod["metadata"]["labels"] = json!({}))
    );
    let pod = json(&api, "/api/v1/namespaces/default/pods/svc-00-0000x0").await;
    let after: u64 = pod["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(after > before && after == api.resource_version());
    assert_eq!(pod["metadata"]["labels"], json!({}));
}

/// Each as a real server says it: `../testdata` has the words.
#[tokio::test]
async fn errors_are_statuses() {
    let api = recorded().await;
    let missing = ask(&api, "/api/v1/namespaces/default/pods/nope").await;
    assert_eq!(missing.status(), 404);
    assert_eq!(
        missing.json::<Value>().await.unwrap(),
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "pods \"nope\" not found", "reason": "NotFound",
            "details": {"name": "nope", "kind": "pods"}, "code": 404,
        })
    );
    let anonymous = http_client().unwrap();
    let url = format!("{}/apis/metrics.k8s.io/v1beta1/nodes", api.url());
    let forbidden = anonymous.get(url).send().await.unwrap();
    assert_eq!(forbidden.status(), 403);
    let recorded = include_str!("../../testdata/metrics-server-0.8-anonymous.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    assert_eq!(forbidden.json::<Value>().await.unwrap(), recorded);
    api.authority().expire_token(api.service_token());
    let expired = ask(&api, "/api/v1/nodes").await;
    assert_eq!(expired.status(), 401);
    assert_eq!(expired.json::<Value>().await.unwrap()["message"], "Unauthorized");
}

async fn post(api: &ApiServer, path: &str, body: &Value) -> Value {
    let request = http_client().unwrap().post(format!("{}{path}", api.url()));
    let answer = request.bearer_auth(api.service_token()).body(body.to_string()).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// What another server asks of a caller is answered from the test's table, and counted.
#[tokio::test]
async fn reviews_are_answered_from_the_table() {
    let api = ApiServer::recorded(ApiServerOptions { tls: false, ..Default::default() });
    let api = api.await.unwrap();
    api.authority().set_token("t", User::new("alice", &["ops"]));
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = |token: &str| json!({"kind": "TokenReview", "spec": {"token": token}});
    let known = post(&api, path, &review("t")).await;
    assert_eq!(known["status"]["authenticated"], true);
    assert_eq!(known["status"]["user"]["username"], "alice");
    assert_eq!(known["status"]["user"]["groups"], json!(["ops", "system:authenticated"]));
    let unknown = post(&api, path, &review("x")).await;
    assert!(unknown["status"]["authenticated"].is_null());
    assert_eq!(api.requests("create tokenreviews"), 2);
    api.authority().set_policy(|ask| ask.user != "alice" || ask.namespace == "shop");
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    for (namespace, allowed) in [("shop", true), ("bank", false)] {
        let resource = json!({
            "namespace": namespace, "verb": "list", "group": "metrics.k8s.io", "resource": "pods",
        });
        let review = json!({"spec": {"user": "alice", "resourceAttributes": resource}});
        assert_eq!(post(&api, path, &review).await["status"]["allowed"], allowed);
    }
    let own = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let resource = json!({"verb": "list", "resource": "pods"});
    let review = json!({"spec": {"resourceAttributes": resource}});
    assert_eq!(post(&api, own, &review).await["status"]["allowed"], true);
}
