//! `fleet` by etcd's API of version 2, as fleetd writes.

use std::path::Path;

use futures::StreamExt as _;
use heapster_testkit::{
    peer::{Etcd, EtcdOptions, EtcdTls, FakeHttp, FakeReply, free_ports, http_client},
    real_peer,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::common::{DEADLINE, recorded, start, until};

const V2: EtcdOptions = EtcdOptions { v2: true, tls: None };
const MACHINES: &str = "/v2/keys/_coreos.com/fleet/machines";

/// The value of a machine's key, as fleetd writes it.
pub(crate) fn object(id: &str, ip: &str, zone: &str) -> String {
    format!(
        r#"{{"ID":"{id}","PublicIP":"{ip}","Metadata":{{"zone":"{zone}"}},"Capabilities":{{"GRPC":false}},"Version":"1.0.0"}}"#
    )
}

/// Changes etcd as its clients do: again and again while it has no leader.
async fn send(method: &str, url: String, form: &[(&str, &str)]) {
    send_by(&http_client().unwrap(), method, &url, form).await;
}

async fn send_by(client: &reqwest::Client, method: &str, url: &str, form: &[(&str, &str)]) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let request = client.request(method.clone(), url).body(body.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        let status = answer.status();
        if status.is_success() {
            return;
        }
        let text = answer.text().await.unwrap();
        assert!(status.is_server_error(), "{url}: {status} {text}");
        assert!(tokio::time::Instant::now() < deadline, "{url}: {status} {text}");
    }
}

/// Registers a machine, or renews it.
async fn register(etcd: &str, id: &str, value: &str, ttl: &str) {
    let url = format!("{etcd}{MACHINES}/{id}/object");
    send("PUT", url, &[("value", value), ("ttl", ttl)]).await;
}

/// Machines come, change, leave and expire, each seen at once; what is no machine is named.
#[tokio::test]
async fn machines_come_and_go() {
    let etcd = real_peer!(Etcd::start_with(V2));
    let url = etcd.url();
    let mut running = start(&format!("fleet:{url}"));
    running.failed("no fleetd ever used this etcd").await;
    register(&url, "m1", &object("m1", "10.0.0.1", "a"), "3600").await;
    let listing = running.listed(&["m1"]).await;
    assert_eq!(listing.hosts[0].addresses, ["10.0.0.1"]);
    assert_eq!(listing.hosts[0].labels.get("zone"), Some("a"));
    register(&url, "m2", &object("m2", "10.0.0.2", "a"), "3600").await;
    running.listed(&["m1", "m2"]).await;
    register(&url, "m2", &object("m2", "10.0.0.9", "b"), "3600").await;
    let listing = running.until(|listing| listing.hosts[1].addresses == ["10.0.0.9"]).await;
    assert_eq!(listing.hosts[1].labels.get("zone"), Some("b"));
    register(&url, "m3", "{\"ID\":", "3600").await;
    let told = |text: &str| text.starts_with("key /_coreos.com/fleet/machines/m3/object: EOF");
    running.until(|listing| listing.states[0].ok && told(&listing.states[0].error)).await;
    send("DELETE", format!("{url}{MACHINES}/m3?recursive=true"), &[]).await;
    running.until(|listing| listing.states[0].error.is_empty()).await;
    // Its fleetd died: nobody renews the key, and etcd lets it expire.
    register(&url, "m1", &object("m1", "10.0.0.1", "a"), "1").await;
    running.listed(&["m2"]).await;
    send("DELETE", format!("{url}{MACHINES}/m2/object"), &[]).await;
    running.listed(&[]).await;
}

/// Heartbeats are waited through without a list; an index that etcd forgot leads to one.
#[tokio::test]
async fn heartbeats_and_a_cleared_index() {
    let fake = FakeHttp::start(|request| {
        let (_, query) = request.target.split_once('?').unwrap();
        match query {
            "recursive=true&quorum=true" => FakeReply::Answer {
                status: 200,
                headers: vec![("X-Etcd-Index", "35".into())],
                body: recorded("fleet/etcd-v2-fleet-all.json"),
            },
            "wait=true&recursive=true&waitIndex=36" => {
                FakeReply::body(200, &recorded("fleet/etcd-v2-watch-heartbeat.json"))
            }
            _ => FakeReply::body(400, &recorded("fleet/etcd-v2-cleared.json")),
        }
    });
    let fake = fake.await.unwrap();
    let _running = start(&format!("fleet:{}", fake.url()));
    until("a second list", || fake.requests().len() >= 4).await;
    let asked: Vec<String> = fake.requests()[..4]
        .iter()
        .map(|request| request.target.strip_prefix(MACHINES).unwrap().to_owned())
        .collect();
    let list = "?recursive=true&quorum=true";
    let wait = |index| format!("?wait=true&recursive=true&waitIndex={index}");
    assert_eq!(asked, [list.to_owned(), wait(36), wait(41), list.to_owned()]);
}

/// What the test above plays is what etcd says when its 1,000 events have gone by.
#[tokio::test]
async fn the_cleared_index_is_as_recorded() {
    let etcd = real_peer!(Etcd::start_with(V2));
    let client = http_client().unwrap();
    for _ in 0..1001 {
        let put = client.put(format!("{}/v2/keys/x", etcd.url())).body("value=1");
        put.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    }
    let url = format!("{}{MACHINES}?wait=true&waitIndex=1", etcd.url());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let recorded: serde_json::Value =
        serde_json::from_str(&recorded("fleet/etcd-v2-cleared.json")).unwrap();
    assert_eq!(answer["errorCode"], recorded["errorCode"]);
    assert_eq!(answer["message"], recorded["message"]);
}

/// Of three members one dies, then a second: with one gone nothing is missed; the last one alone has
/// no leader and is not believed, so that the last list stands, with its age; then all is well again.
#[tokio::test]
async fn members_die_and_come_back() {
    let [mut one, mut two, three] = real_peer!(Etcd::start_three(V2));
    let urls = [one.url(), two.url(), three.url()];
    register(&urls[2], "m1", &object("m1", "10.0.0.1", "a"), "3600").await;
    let mut running = start(&format!("fleet:{}", urls.join(",")));
    running.listed(&["m1"]).await;
    one.kill().unwrap();
    register(&urls[1], "m2", &object("m2", "10.0.0.2", "a"), "3600").await;
    let good = running.listed(&["m1", "m2"]).await;
    two.kill().unwrap();
    let bad = running.failed(&urls[2]).await;
    assert_eq!(bad.hosts, good.hosts);
    assert_eq!(bad.states[0].listed_unix_ms, good.states[0].listed_unix_ms);
    for url in &urls {
        assert!(bad.states[0].error.contains(url), "{bad:?}");
    }
    tokio::try_join!(one.start(), two.start()).unwrap();
    register(&urls[0], "m3", &object("m3", "10.0.0.3", "a"), "3600").await;
    running.listed(&["m1", "m2", "m3"]).await;
}

/// A thousand machines that renew their keys at once, which is more events than etcd keeps; and a
/// machine that came in the midst of it.
#[tokio::test]
async fn a_thousand_machines() {
    let etcd = real_peer!(Etcd::start_with(V2));
    let client = http_client().unwrap();
    let renew_all = async || {
        let renew = async |number: usize| {
            let id = format!("m{number:04}");
            let url = format!("{}{MACHINES}/{id}/object", etcd.url());
            let value = object(&id, &format!("10.0.{}.{}", number / 250, number % 250), "a");
            send_by(&client, "PUT", &url, &[("value", &value), ("ttl", "3600")]).await;
        };
        futures::stream::iter((0..1000).map(renew)).buffer_unordered(16).collect::<()>().await;
    };
    renew_all().await;
    let mut running = start(&format!("fleet:{}", etcd.url()));
    let before = running.until(|listing| listing.hosts.len() == 1000).await;
    register(&etcd.url(), "new", &object("new", "10.0.9.9", "a"), "3600").await;
    renew_all().await;
    let after = running.until(|listing| listing.hosts.len() == 1001).await;
    assert_eq!(after.hosts[..1000], before.hosts[..]);
    assert_eq!((&*after.hosts[1000].id, after.states[0].ok), ("new", true));
}

/// With the user's password from its file it works; with a wrong one the error says what to check.
#[tokio::test]
async fn users_and_passwords() {
    let etcd = real_peer!(Etcd::start_with(V2));
    let url = etcd.url();
    register(&url, "m1", &object("m1", "10.0.0.1", "a"), "3600").await;
    let json = |path: &str, body: &str| {
        let put = http_client().unwrap().put(format!("{url}/v2/auth/{path}"));
        put.header("content-type", "application/json").body(body.to_owned()).send()
    };
    let role =
        r#"{"role":"reader","permissions":{"kv":{"read":["/_coreos.com/fleet/*"],"write":[]}}}"#;
    for (path, body) in [
        ("users/root", r#"{"user":"root","password":"rootpw"}"#),
        ("roles/reader", role),
        ("users/heapster", r#"{"user":"heapster","password":"sesame","roles":["reader"]}"#),
        ("enable", ""),
    ] {
        let answer = json(path, body).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }
    let guest = http_client().unwrap().delete(format!("{url}/v2/auth/roles/guest"));
    let guest = guest.basic_auth("root", Some("rootpw")).send().await.unwrap();
    assert!(guest.status().is_success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let spec = format!("fleet:{url}?username=heapster&password_file={}", file.display());
    let mut running = start(&spec);
    let listing = running.failed("check `username` and `password_file`").await;
    assert!(!listing.states[0].error.contains("wrong"), "{listing:?}");
    std::fs::write(&file, "sesame\n").unwrap();
    running.listed(&["m1"]).await;
}

/// An authority, and certificates of it.
fn certificates(folder: &Path) -> EtcdTls {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &ca).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }
    let [cert, key, client_ca] =
        ["server.pem", "server-key.pem", "ca.pem"].map(|name| folder.join(name));
    EtcdTls { cert, key, client_ca }
}

/// By TLS, where etcd lets nobody in without a client certificate: by both of its APIs.
#[tokio::test]
async fn by_tls() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(certificates(folder.path()));
    let etcd = real_peer!(Etcd::start_with(EtcdOptions { v2: true, tls }));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let own = format!("cert={}&key={}", path("client.pem"), path("client-key.pem"));
    for (api, absent) in [("v2", "no fleetd ever used this etcd"), ("v3", "")] {
        let spec = format!("fleet:{}?api={api}&ca={}", etcd.url(), path("ca.pem"));
        let mut trusted = start(&format!("{spec}&{own}"));
        match absent {
            "" => trusted.listed(&[]).await,
            absent => trusted.failed(absent).await,
        };
        start(&spec).failed("fleet at https:").await;
        let stranger = format!("fleet:{}?api={api}&{own}", etcd.url());
        start(&stranger).failed("certificate").await;
    }
}

/// Where no port is named both usual ones are asked; what serves no keys says what to do.
#[tokio::test]
async fn what_is_no_etcd_of_version_2() {
    let etcd = real_peer!(Etcd::start());
    let listing = start(&format!("fleet:{}", etcd.url())).failed("--enable-v2=true").await;
    assert!(listing.states[0].error.contains("give api=v3"), "{listing:?}");
    let [dead] = free_ports().unwrap();
    start(&format!("fleet:http://127.0.0.1:{dead}")).failed("cannot connect").await;
    let fake = FakeHttp::start(|_| FakeReply::body(200, "<html>hello")).await.unwrap();
    start(&format!("fleet:{}", fake.url())).failed("no valid answer: expected value").await;
}
