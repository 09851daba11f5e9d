//! `docker`, with the answer that its documentation has, and a real engine, which is made a swarm.

use heapster_testkit::{peer::Docker, real_peer};
use serde_json::json;

use super::common::{serve_unix, start};

/// A real engine is a host with its labels. It is no manager at first; then it is the only node of a
/// swarm, and what is changed of it is seen by its event.
#[tokio::test]
async fn a_real_engine_and_its_swarm() {
    let mut docker = real_peer!(Docker::start());
    let info = docker.get("/info").await.unwrap();
    let listing = start(&format!("docker:tcp://{}", docker.address()))
        .listed(&[info["ID"].as_str().unwrap()])
        .await;
    let host = &listing.hosts[0];
    assert_eq!(host.name, info["Name"].as_str().unwrap());
    assert_eq!(
        (host.addresses[0].as_str(), host.labels.get("storage")),
        ("127.0.0.1", Some("ssd"))
    );

    let mut swarm = start(&format!("swarm:tcp://{}", docker.address()));
    swarm.failed("name a manager of the swarm").await;
    let [port] = heapster_testkit::peer::free_ports().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let alone = json!({"ListenAddr": listen, "AdvertiseAddr": listen, "DataPathAddr": "127.0.0.1"});
    let node = docker.post("/swarm/init", &alone).await.unwrap();
    let node = node.as_str().unwrap();
    let listing = swarm.listed(&[node]).await;
    assert_eq!(listing.hosts[0].addresses, ["127.0.0.1"]);
    assert_eq!(listing.hosts[0].labels.joined(","), "role:manager");
    let version = docker.get(&format!("/nodes/{node}")).await.unwrap()["Version"]["Index"].clone();
    let labelled = json!({"Role": "manager", "Availability": "active", "Labels": {"rack": "r1"}});
    docker.post(&format!("/nodes/{node}/update?version={version}"), &labelled).await.unwrap();
    swarm.until(|listing| listing.hosts[0].labels.get("rack") == Some("r1")).await;
    docker.stop().await.unwrap();
    swarm.failed("cannot connect").await;
}

/// The engine's machine, at the address that is said, or else at this machine's own.
#[tokio::test]
async fn the_machine_of_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    serve_unix(&socket, |path| match path {
        "/info" => r#"{"ID": "7TRN:IPZB:QYBB:VPBQ:UMPP:KARE:6ZNR:XE6T:7EWV:PKF4:ZOJD:TPYS",
            "Containers": 14, "Driver": "overlay2", "Name": "node5.corp.example.com",
            "Labels": ["storage=ssd", "production"], "ServerVersion": "24.0.2"}"#
            .to_owned(),
        _ => "{}".to_owned(),
    });
    let spec = format!("docker:unix://{}", socket.display());
    let id = "7TRN:IPZB:QYBB:VPBQ:UMPP:KARE:6ZNR:XE6T:7EWV:PKF4:ZOJD:TPYS";
    let listing = start(&spec).listed(&[id]).await;
    let host = &listing.hosts[0];
    assert_eq!(
        (host.name.as_str(), host.addresses[0].as_str()),
        ("node5.corp.example.com", "127.0.0.1")
    );
    assert_eq!(host.labels.joined(","), "storage:ssd");
    let listing = start(&format!("{spec}?address=10.0.0.7:4194")).listed(&[id]).await;
    assert_eq!(listing.hosts[0].addresses, ["10.0.0.7"]);
    assert_eq!(listing.hosts[0].endpoints[0].port, 4194);
}

/// Where there is no engine the error names the socket.
#[tokio::test]
async fn no_engine() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listing =
        start(&format!("docker:unix://{}", socket.display())).failed("docker at unix:").await;
    assert!(listing.states[0].error.contains("No such file"), "{listing:?}");
    serve_unix(&socket, |_| "{}".to_owned());
    start(&format!("docker:unix://{}", socket.display())).failed("missing field `Name`").await;
}
