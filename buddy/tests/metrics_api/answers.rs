//! Selectors, forms and errors that were not recorded.

use serde_json::Value;

use super::{ADMIN, BASE, Served, busy, client, text};

const CONTAINERS: [[&str; 3]; 3] = [
    ["default", "burner-6948c85555-qdgzs", "cpu"],
    ["default", "burner-6948c85555-t7bgc", "cpu"],
    ["kube-system", "hostnet", "main"],
];

async fn served() -> Served {
    Served::recorded().await.polled("node-a", &busy(&CONTAINERS)).await
}

fn names(list: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(list).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn selectors_choose() {
    let served = served().await;
    let both = ["burner-6948c85555-qdgzs", "burner-6948c85555-t7bgc"];
    for (query, expected) in [
        ("labelSelector=app%21%3Dburner", &["hostnet"][..]),
        ("labelSelector=tier%20in%20(web,db)", &both),
        ("labelSelector=app,%21tier", &["hostnet"]),
        ("labelSelector=app%20notin%20(hostnet)", &both),
        ("fieldSelector=metadata.name%3Dhostnet", &["hostnet"]),
        ("fieldSelector=metadata.namespace%21%3Ddefault", &["hostnet"]),
        ("labelSelector=app%3Dnobody", &[]),
    ] {
        let (status, body) = served.told(&format!("{BASE}/pods?{query}")).await;
        assert_eq!(
            (status, names(&body)),
            (200, expected.iter().map(|&n| n.into()).collect()),
            "{query}"
        );
    }
    let (_, body) =
        served.told(&format!("{BASE}/nodes?labelSelector=kubernetes.io/os%3Dlinux")).await;
    assert_eq!(names(&body), ["node-a"]);
}

/// As a client that cannot go on needs it: a status, a reason and a sentence.
#[tokio::test]
async fn what_cannot_be_answered_is_refused_as_a_status() {
    let served = served().await;
    for (path, status, reason) in [
        (format!("{BASE}/pods?labelSelector=a%20in%20(b"), 400, "BadRequest"),
        (format!("{BASE}/pods?fieldSelector=spec.nodeName%3Da"), 400, "BadRequest"),
        (format!("{BASE}/pods?watch=true"), 405, "MethodNotAllowed"),
        (format!("{BASE}/nope"), 404, "NotFound"),
        ("/api/v1/pods".to_owned(), 404, "NotFound"),
    ] {
        let (code, body) = served.told(&path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, body["reason"].as_str()), (status, Some(reason)), "{path}");
        assert_eq!(body["kind"], "Status");
    }
    let nodes = format!("{BASE}/nodes");
    let request = served.get(&client(), &nodes).bearer_auth(ADMIN);
    let protobuf = request.header("accept", "application/vnd.kubernetes.protobuf");
    let (code, body) = text(protobuf).await;
    assert!(code == 406 && body.contains("NotAcceptable"), "{body}");
    let deletes = client().delete(format!("https://{}{nodes}", served.address));
    assert_eq!(text(deletes.bearer_auth(ADMIN)).await.0, 405);
}

/// A pod that has ended, or that the API server no longer has, is not listed; one that the kubelet
/// has said nothing of is a pod without metrics.
#[tokio::test]
async fn pods_are_those_of_the_api_server() {
    let served = served().await;
    served.poll("node-a", &busy(&CONTAINERS[1..]));
    let path = format!("{BASE}/namespaces/default/pods/{}", CONTAINERS[0][1]);
    let (code, body) = served.told(&path).await;
    assert!(code == 404 && body.contains("pods.metrics.k8s.io \\\"default/burner"), "{body}");
    assert!(served.api.delete("pods", "kube-system/hostnet"));
    served.api.modify("pods", &format!("default/{}", CONTAINERS[1][1]), |pod| {
        pod["status"]["phase"] = "Succeeded".into();
    });
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !names(&served.told(&format!("{BASE}/pods")).await.1).is_empty() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn schemas_are_served() {
    let served = served().await;
    for (path, member) in [
        ("/openapi/v2", "swagger"),
        ("/openapi/v3", "paths"),
        ("/openapi/v3/apis/metrics.k8s.io/v1beta1", "openapi"),
    ] {
        let (code, body) = served.told(path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(code == 200 && !body[member].is_null(), "{path}: {body}");
    }
}
