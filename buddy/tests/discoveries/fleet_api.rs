//! `fleet` by fleet's own API, as fleetd 1.0.0 answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{sync::Arc, time::Duration};

use heapster_testkit::peer::{FakeHttp, FakeReply};

use super::common::{recorded, serve_unix, start, start_every};

const FIRST: &str = "5f0c1a2b3d4e4f60819203a4b5c6d7e8";
const SECOND: &str = "aaaabbbbccccddddeeeeffff00001111";

/// The recorded list, by TCP and by a socket.
#[tokio::test]
async fn a_recorded_list() {
    let fake = FakeHttp::start(|request| match request.target.as_str() {
        "/fleet/v1/machines" => FakeReply::body(200, &recorded("fleet/fleet-v1-machines.json")),
        _ => FakeReply::status(404),
    });
    let fake = fake.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("fleet.sock");
    serve_unix(&socket, |path| match path {
        "/fleet/v1/machines" => recorded("fleet/fleet-v1-machines.json"),
        _ => "{}".to_owned(),
    });
    let by_socket = format!("fleet:unix://{}", socket.display());
    for spec in [format!("fleet:{}?api=fleet", fake.url()), by_socket] {
        let listing = start(&spec).listed(&[FIRST, SECOND]).await;
        assert_eq!(listing.hosts[1].addresses, ["127.0.0.2"]);
        assert_eq!(listing.hosts[1].labels.joined(","), "role:bench,zone:b");
    }
}

/// All pages are one list; where one of them fails there is none, and the last list stands.
#[tokio::test]
async fn pages_and_a_refused_token() {
    let refuse = Arc::new(AtomicBool::new(false));
    let refusing = Arc::clone(&refuse);
    let page = |id: &str, next: &str| {
        let machine = format!(r#"{{"id":"{id}","primaryIP":"10.0.0.1"}}"#);
        FakeReply::body(200, &format!(r#"{{"machines":[{machine}],"nextPageToken":"{next}"}}"#))
    };
    let fake = FakeHttp::start(move |request| match request.target.as_str() {
        "/fleet/v1/machines" => page("a", "MQ=="),
        "/fleet/v1/machines?nextPageToken=MQ%3D%3D" if refusing.load(Ordering::Relaxed) => {
            FakeReply::body(400, &recorded("fleet/fleet-v1-machines-badtoken.json"))
        }
        "/fleet/v1/machines?nextPageToken=MQ%3D%3D" => page("b", "Mg=="),
        _ => FakeReply::body(200, r#"{"machines":[{"id":"c","primaryIP":"10.0.0.1"},{"id":"d"}]}"#),
    });
    let fake = fake.await.unwrap();
    let spec = format!("fleet:{}?api=fleet", fake.url());
    let mut running = start_every(&spec, Duration::from_millis(50));
    let good = running.listed(&["a", "b", "c"]).await;
    assert!(good.states[0].error.starts_with("machine d has no public IP"), "{good:?}");
    refuse.store(true, Ordering::Relaxed);
    let bad = running.failed("400: {\"error\":{\"code\":400,\"message\":\"illegal base64").await;
    assert!(bad.states[0].error.starts_with(&format!("fleet at {}: ", fake.url())), "{bad:?}");
    assert!(Arc::ptr_eq(&good.hosts, &bad.hosts));
    assert!(bad.states[0].listed_unix_ms > 0);
    refuse.store(false, Ordering::Relaxed);
    running.listed(&["a", "b", "c"]).await;
}

/// Pages without an end fill no memory: together they are bounded as one answer is.
#[tokio::test]
async fn pages_without_an_end() {
    let machine = format!(r#"{{"id":"a","primaryIP":"10.0.0.1","x":"{}"}}"#, "x".repeat(8 << 20));
    let page = format!(r#"{{"machines":[{machine}],"nextPageToken":"MQ=="}}"#);
    let fake = FakeHttp::start(move |_| FakeReply::body(200, &page)).await.unwrap();
    let mut running = start(&format!("fleet:{}?api=fleet", fake.url()));
    running.failed("the list has more than 64 MiB").await;
}

/// A cluster that says that it has no machines is believed.
#[tokio::test]
async fn no_machines_at_all() {
    let fake = FakeHttp::start(|_| FakeReply::body(200, "{}")).await.unwrap();
    start(&format!("fleet:{}?api=fleet", fake.url())).listed(&[]).await;
}
