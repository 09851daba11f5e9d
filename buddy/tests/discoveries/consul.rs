//! `consul`, with the answers that its documentation has.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use super::common::{start, until};

const NODES: &str = r#"[
  {"ID": "40e4a748-2192-161a-0510-9bf59fe950b5", "Node": "foobar", "Address": "192.168.10.10",
   "Datacenter": "dc1", "TaggedAddresses": {"lan": "192.168.10.10", "wan": "10.0.10.10"},
   "Meta": {"consul-network-segment": "", "instance_type": "t2.medium"},
   "CreateIndex": 51, "ModifyIndex": 51},
  {"ID": "", "Node": "old", "Address": "fd00::7", "Datacenter": "dc1", "Meta": null}
]"#;

/// An answer with its index.
fn indexed(index: u64, body: &str) -> FakeReply {
    let headers = vec![("X-Consul-Index", index.to_string())];
    FakeReply::Answer { status: 200, headers, body: body.to_owned() }
}

fn waits(request: &FakeRequest) -> bool {
    request.target.contains("index=")
}

/// All nodes, with the token; and again when the blocking query says that there is something new.
#[tokio::test]
async fn nodes_and_their_changes() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "b1gs33cr3t\n").unwrap();
    let index = Arc::new(AtomicU64::new(10));
    let now = Arc::clone(&index);
    let fake = FakeHttp::start(move |request| match now.load(Ordering::Relaxed) {
        _ if request.headers.get("x-consul-token").is_none_or(|token| token != "b1gs33cr3t") => {
            FakeReply::body(403, "Permission denied")
        }
        // Restored from a backup: the index goes back.
        10 if waits(request) => {
            now.store(4, Ordering::Relaxed);
            indexed(4, "[]")
        }
        4 if waits(request) => FakeReply::Hang,
        10 => indexed(10, NODES),
        index => indexed(index, r#"[{"Node": "new", "Address": "10.0.0.9"}]"#),
    });
    let fake = fake.await.unwrap();
    let spec = format!("consul:{}?datacenter=dc1&token_file={}", fake.url(), token.display());
    let mut running = start(&spec);
    let listing = running.listed(&["40e4a748-2192-161a-0510-9bf59fe950b5", "old"]).await;
    let host = &listing.hosts[0];
    assert_eq!((host.name.as_str(), host.addresses[0].as_str()), ("foobar", "192.168.10.10"));
    assert_eq!(host.labels.joined(","), "datacenter:dc1,instance_type:t2.medium");
    running.listed(&["new"]).await;
    until("a new wait", || fake.requests().len() == 4).await;
    let asked: Vec<String> = fake.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(
        asked,
        [
            "/v1/catalog/nodes?dc=dc1",
            "/v1/catalog/nodes?dc=dc1&index=10&wait=60s",
            "/v1/catalog/nodes?dc=dc1",
            "/v1/catalog/nodes?dc=dc1&index=4&wait=60s"
        ]
    );
}

/// Of a service: where it answers, whether it is healthy, and each node once.
#[tokio::test]
async fn the_nodes_of_a_service() {
    let body = r#"[
      {"Node": {"ID": "n1", "Node": "a", "Address": "10.1.10.12", "Datacenter": "dc1", "Meta": {}},
       "Service": {"ID": "c1", "Service": "cadvisor", "Tags": ["x"], "Address": "10.1.10.13", "Port": 8080},
       "Checks": [{"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing"}]},
      {"Node": {"ID": "n1", "Node": "a", "Address": "10.1.10.12", "Datacenter": "dc1"},
       "Service": {"ID": "c2", "Service": "cadvisor", "Address": "", "Port": 8081}, "Checks": []},
      {"Node": {"ID": "n2", "Node": "b", "Address": "10.1.10.14", "Datacenter": "dc1"},
       "Service": {"ID": "c3", "Service": "cadvisor", "Address": "", "Port": 0},
       "Checks": [{"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "critical"}]}
    ]"#;
    let fake = FakeHttp::start(move |request| match request.target.as_str() {
        "/v1/health/service/cadvisor?" => indexed(7, body),
        _ => FakeReply::Hang,
    });
    let fake = fake.await.unwrap();
    let listing =
        start(&format!("consul:{}?service=cadvisor", fake.url())).listed(&["n1", "n2"]).await;
    let [a, b] = &listing.hosts[..] else { panic!("{listing:?}") };
    assert_eq!((a.addresses[0].as_str(), a.endpoints[0].port, a.ready), ("10.1.10.13", 8080, true));
    assert_eq!((b.addresses[0].as_str(), b.endpoints.len(), b.ready), ("10.1.10.14", 0, false));
    assert_eq!(b.state, "its check `Serf Health Status` is critical");
    assert_eq!(listing.states[0].error, "node a has more than one instance of the service");
}

/// Whoever does not block is not asked without a pause; what a token may not see is told; a refusal
/// says what to do, and the last list stands.
#[tokio::test]
async fn what_can_be_wrong() {
    let lists = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lists);
    let fake = FakeHttp::start(move |request| {
        if waits(request) {
            return indexed(5, "[]");
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => FakeReply::Answer {
                status: 200,
                headers: vec![
                    ("X-Consul-Index", "5".into()),
                    ("X-Consul-Results-Filtered-By-ACLs", "true".into()),
                ],
                body: r#"[{"Node": "a", "Address": "10.0.0.1"}, {"Node": "b", "Address": ""}]"#
                    .into(),
            },
            1 => FakeReply::body(403, "Permission denied: token lacks permission 'node:read'"),
            2 => FakeReply::body(200, "[]"),
            _ => indexed(5, "{\"Node\":"),
        }
    });
    let fake = fake.await.unwrap();
    let mut running = start(&format!("consul:{}", fake.url()));
    let good = running.listed(&["a"]).await;
    let told = &good.states[0].error;
    assert!(told.starts_with("node b: its address: a host has an empty"), "{told}");
    assert!(told.contains("some nodes are hidden from the token"), "{told}");
    let bad = running.failed("answered 403: Permission denied").await;
    assert!(
        bad.states[0].error.ends_with("check the user or token and what it may read"),
        "{bad:?}"
    );
    assert!(Arc::ptr_eq(&good.hosts, &bad.hosts));
    running.failed("it has no `x-consul-index`").await;
    running.failed("no valid answer: invalid type: map").await;
}
