//! What the watcher of `kube::runtime` does where ours does better. When one of these tests fails
//! the library has changed: look whether ours is still needed.

use std::time::Duration;

use futures::StreamExt as _;
use heapster_buddy::kubernetes::{Cluster, Connector};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api as Typed,
    runtime::watcher::{Config, Event, watcher},
};
use serde_json::json;

use super::{
    NAMESPACES,
    api::{Api, Faults},
    until,
};

/// Runs the library's watcher for as long as the test, with half a second after each failure.
async fn watch(api: &Api) {
    let connector = Connector::take(&mut api.spec().parse().unwrap()).unwrap();
    let client = Cluster::shared(&connector).await.unwrap().client().clone();
    tokio::spawn(async move {
        let mut events = watcher(Typed::<Namespace>::all(client), Config::default()).boxed();
        while let Some(event) = events.next().await {
            if event.is_err() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            } else if matches!(event, Ok(Event::InitDone)) {
                tokio::task::yield_now().await;
            }
        }
    });
    until("the watch", || api.count("watch") == 1).await;
}

/// It begins watches that are ended at once again without any pause, and without an event by which
/// a caller could notice.
#[tokio::test]
async fn short_watches_become_a_storm() {
    let api = Api::start().await;
    watch(&api).await;
    api.set_faults(Faults { short_watches: true, ..Faults::default() });
    api.cut_watches();
    until("a storm", || api.count("watch") > 100).await;
}

/// It asks for ever for a version of which the server says by status 410 that it is gone.
#[tokio::test]
async fn a_version_that_is_gone_by_status_is_asked_for_ever() {
    let api = Api::start().await;
    watch(&api).await;
    api.stop().await;
    api.put(NAMESPACES, json!({"metadata": {"name": "n"}}));
    api.compact();
    api.set_faults(Faults { gone_by_status: true, ..Faults::default() });
    api.start_again().await;
    until("attempts", || api.count("watch") >= 4).await;
    assert_eq!(api.count("list"), 1, "{:?}", api.requests());
}

/// It goes back to the first page when any page fails.
#[tokio::test]
async fn a_failed_page_costs_the_whole_list() {
    let api = Api::start().await;
    for index in 0..501 {
        api.put(NAMESPACES, json!({"metadata": {"name": format!("n{index}")}}));
    }
    api.set_faults(Faults { second_page: Some((500, 2)), ..Faults::default() });
    watch(&api).await;
    assert_eq!(api.count("list"), 3, "{:?}", api.requests());
}
