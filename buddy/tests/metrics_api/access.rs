//! Who gets an answer.

use heapster_buddy::metrics_api::MetricsArgs;
use heapster_testkit::{
    apiserver::Fault,
    authority::{ClientIdentity, User},
};
use reqwest::Identity;

use super::{BASE, Served, busy, client, client_with, text};

const REVIEWS: &str = "create subjectaccessreviews";

async fn served() -> Served {
    Served::recorded().await.polled("node-a", &busy(&[])).await
}

fn identity(of: &ClientIdentity) -> Option<Identity> {
    let pem = format!("{}{}", of.certificate_pem, of.key_pem);
    Some(Identity::from_pem(pem.as_bytes()).unwrap())
}

fn nodes() -> String {
    format!("{BASE}/nodes")
}

/// A token counts as long as the API server says whose it is; its answers are remembered, so that a
/// dashboard costs it one question in ten seconds.
#[tokio::test]
async fn tokens_are_asked_about_once() {
    let served = served().await;
    let ask = |token: &'static str| text(served.get(&client(), &nodes()).bearer_auth(token));
    for _ in 0..3 {
        assert_eq!(ask(served.api.service_token()).await.0, 200);
    }
    assert_eq!(served.api.requests("create tokenreviews"), 1);
    assert_eq!(served.api.requests(REVIEWS), 1);
    let (code, body) = ask("a token that nobody has").await;
    assert!(code == 401 && body.contains(r#""reason":"Unauthorized""#), "{body}");
}

/// The policy decides, by verb, resource, namespace and name; the refusal is that of Kubernetes.
#[tokio::test]
async fn the_policy_decides() {
    let served = served().await;
    served.api.authority().set_policy(|asked| {
        asked.group != "metrics.k8s.io" || (asked.verb == "list" && asked.resource == "nodes")
    });
    let token = served.api.service_token();
    let ask = |path: &str| text(served.get(&client(), path).bearer_auth(token));
    assert_eq!(ask(&nodes()).await.0, 200);
    let (code, body) = ask(&format!("{BASE}/namespaces/default/pods/web")).await;
    assert_eq!(code, 403);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body["message"],
        "pods.metrics.k8s.io \"web\" is forbidden: User \"system:serviceaccount:kube-system:heapster\" cannot get resource \"pods\" in API group \"metrics.k8s.io\" in the namespace \"default\""
    );
    assert_eq!(body["details"]["name"], "web");
}

/// Whoever is not the front proxy is not believed whom he speaks for, be his certificate that of a
/// user of the cluster or nobody's.
#[tokio::test]
async fn only_the_front_proxy_speaks_for_others() {
    let served = served().await;
    let authority = served.api.authority();
    authority.set_policy(|asked| asked.user == "somebody");
    let ask = |client: reqwest::Client, user: &'static str| {
        let request = served.get(&client, &nodes()).header("x-remote-user", user);
        text(request.header("x-remote-group", "system:masters"))
    };
    let (code, _) = ask(client(), "somebody").await;
    assert_eq!(code, 403, "no certificate");
    let mallory = authority.client(User::new("mallory", &[])).unwrap();
    let (code, body) = ask(client_with(identity(&mallory)), "somebody").await;
    assert!(code == 403 && body.contains("mallory"), "{body}");
    let somebody = authority.client(User::new("somebody", &[])).unwrap();
    assert_eq!(ask(client_with(identity(&somebody)), "x").await.0, 200, "by his own name");
    let stranger = heapster_testkit::authority::Authority::new().unwrap();
    let stranger = stranger.client(User::new("somebody", &[])).unwrap();
    assert_eq!(ask(client_with(identity(&stranger)), "somebody").await.0, 401);
}

/// Through the aggregation layer the caller's own rights count.
#[tokio::test]
async fn the_front_proxy_is_believed() {
    let served = served().await;
    served.api.aggregate_metrics(served.address).unwrap();
    let ask = |token: &'static str| {
        let url = format!("{}{}", served.api.url(), nodes());
        text(client().get(url).bearer_auth(token))
    };
    assert_eq!(ask(served.api.service_token()).await.0, 200);
    served.api.authority().set_token("little", User::new("little", &["few"]));
    served.api.authority().set_policy(|asked| asked.user != "little" || asked.path == "/x");
    let (code, body) = ask("little").await;
    assert!(code == 403 && body.contains("little"), "{body}");
    assert_eq!(served.api.requests("create tokenreviews"), 0, "the front proxy has asked already");
}

/// Without the API server's word nobody gets an answer, but by what was answered a moment ago; and a
/// stranger has it asked nothing at all.
#[tokio::test]
async fn an_api_server_that_is_away_lets_nobody_in() {
    let served = served().await;
    let token = served.api.service_token();
    let ask = |path: String| text(served.get(&client(), &path).bearer_auth(token));
    assert_eq!(ask(nodes()).await.0, 200);
    served.api.fail(REVIEWS, Fault::Status(500), None);
    assert_eq!(ask(nodes()).await.0, 200, "remembered");
    let (code, body) = ask(format!("{BASE}/pods")).await;
    assert!(code == 503 && body.contains("ServiceUnavailable"), "{body}");
    let asked = served.api.requests(REVIEWS);
    let stranger = served.get(&client(), &format!("{BASE}/pods"));
    assert_eq!(text(stranger).await.0, 403);
    assert_eq!(served.api.requests(REVIEWS), asked);
    served.api.heal();
    assert_eq!(ask(format!("{BASE}/pods")).await.0, 200);
}

/// Probes need no credentials; whatever says something of the cluster does.
#[tokio::test]
async fn probes_are_open_and_nothing_else_is() {
    let served = served().await;
    for (path, expected) in [
        ("/livez", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/apis", 403),
        ("/openapi/v2", 403),
        ("/metrics", 403),
        (BASE, 403),
    ] {
        assert_eq!(text(served.get(&client(), path)).await.0, expected, "{path}");
    }
}

/// Before the first round there is nothing to serve, or a part of it, and the probe says what is
/// missing: in a rolling update the one before goes on until then.
#[tokio::test]
async fn it_is_not_ready_before_it_can_answer() {
    let served = Served::recorded().await;
    let (code, body) = text(served.get(&client(), "/readyz")).await;
    assert!(code == 500 && body.contains("[-]polls failed: no node has answered lately"), "{body}");
    served.poll("node-a", &busy(&[]));
    let (code, body) = text(served.get(&client(), "/readyz")).await;
    assert!(
        code == 500 && body.contains("[-]round failed") && body.contains("[+]polls ok"),
        "{body}"
    );
    served.until_ready().await;
}

/// With files it shows their certificate, which a client can verify.
#[tokio::test]
async fn a_certificate_of_files_is_verified() {
    let api = heapster_testkit::apiserver::ApiServer::recorded(Default::default()).await.unwrap();
    let serving = api.authority().serving(&["heapster.kube-system.svc", "127.0.0.1"]).unwrap();
    let (cert, key) = (api.folder().join("tls.crt"), api.folder().join("tls.key"));
    std::fs::write(&cert, &serving.certificate_pem).unwrap();
    std::fs::write(&key, &serving.key_pem).unwrap();
    let (cert, key) = (Some(cert), Some(key));
    let options =
        MetricsArgs { metrics_tls_cert: cert, metrics_tls_key: key, ..Default::default() };
    let served = Served::beside(api, options).await;
    let authority = served.api.authority().cluster_ca_pem();
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
    let careful =
        reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    assert_eq!(served.get(&careful, "/livez").send().await.unwrap().status(), 200);
}
