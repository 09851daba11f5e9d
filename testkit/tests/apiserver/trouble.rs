//! A server in trouble: refusals, failures, silence and restarts; and what an ordinary client library
//! makes of them.

use std::time::Duration;

use futures::StreamExt;
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions, Fault},
    peer::http_client,
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher::{self, Event},
};

use super::{ask, recorded};

#[tokio::test]
async fn requests_fail_as_told() {
    let api = recorded().await;
    let retry_after = Duration::from_secs(7);
    api.fail("list pods", Fault::TooManyRequests { retry_after }, Some(1));
    let refused = ask(&api, "/api/v1/pods").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(ask(&api, "/api/v1/pods").await.status(), 200);
    api.fail("*", Fault::Status(503), None);
    assert_eq!(ask(&api, "/api/v1/nodes").await.status(), 503);
    api.heal();
    assert_eq!(ask(&api, "/api/v1/nodes").await.status(), 200);
    api.fail("list nodes", Fault::Close, Some(1));
    let url = format!("{}/api/v1/nodes", api.url());
    let closed = http_client().unwrap().get(&url).bearer_auth(api.service_token()).send();
    assert!(closed.await.is_err());
    api.fail("list nodes", Fault::Hang, Some(1));
    let hanging = http_client().unwrap().get(&url).timeout(Duration::from_millis(100)).send();
    assert!(hanging.await.unwrap_err().is_timeout());
    assert_eq!(api.requests("list nodes"), 4);
}

async fn client(api: &ApiServer, context: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(api.kubeconfig()).unwrap();
    let options = KubeConfigOptions { context: Some(context.into()), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Certificate and token work over TLS, and whoever shows neither is kept out.
#[tokio::test]
async fn a_client_library_gets_in_by_certificate_and_token() {
    let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
    for context in ["admin", "heapster"] {
        let nodes: Api<Node> = Api::all(client(&api, context).await);
        assert_eq!(nodes.list(&Default::default()).await.unwrap().items.len(), 1, "{context}");
    }
    let nodes: Api<Node> = Api::all(client(&api, "anonymous").await);
    let refused = nodes.list(&Default::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
}

/// A library's watcher lives through a restart, a cut and a compaction: it ends up with what is
/// there, having seen what happened in between.
#[tokio::test]
async fn a_watcher_survives_restarts_and_compactions() {
    let mut api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
    let pods: Api<Pod> = Api::all(client(&api, "heapster").await);
    let config = watcher::Config::default().page_size(2);
    let mut events = watcher::watcher(pods, config).boxed();
    let mut next = async || loop {
        // Errors are told, and the watcher goes on.
        if let Some(Ok(event)) = events.next().await {
            return event;
        }
    };
    while !matches!(next().await, Event::InitDone) {}
    api.restart().await.unwrap();
    assert!(api.modify("pods", "kube-system/hostnet", |pod| pod["spec"]["priority"] = 1.into()));
    assert!(
        matches!(next().await, Event::Apply(pod) if pod.metadata.name.as_deref() == Some("hostnet"))
    );
    let lists = api.requests("list pods");
    assert_eq!(lists, 2, "two pages, and no list after the restart");
    api.fail("watch pods", Fault::Status(500), Some(1));
    api.cut_watches();
    assert!(api.delete("pods", "kube-system/hostnet"));
    api.compact();
    let mut left = Vec::new();
    loop {
        match next().await {
            Event::Init => left.clear(),
            Event::InitApply(pod) => left.push(pod.metadata.name.unwrap()),
            Event::InitDone => break,
            Event::Apply(_) | Event::Delete(_) => {}
        }
    }
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(api.requests("list pods") > lists);
}
