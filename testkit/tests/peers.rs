//! The peers themselves: they start, keep what they were given over a restart, and go away.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use heapster_testkit::{
    peer::{
        Dnsmasq, Docker, Etcd, EtcdOptions, FakeHttp, FakeReply, Influxdb, VictoriaMetrics,
        http_client,
    },
    real_peer,
};

async fn get(url: &str) -> Option<(u16, String)> {
    let answer = http_client().unwrap().get(url).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// Stopped or killed, it comes back on its port with its data, and leaves no folder behind.
#[tokio::test]
async fn influxdb_keeps_its_data_over_a_restart() {
    let mut influxdb = real_peer!(Influxdb::start());
    influxdb.query("", "CREATE DATABASE kept").await.unwrap();
    influxdb.stop().await.unwrap();
    assert!(influxdb.query("", "SHOW DATABASES").await.is_err());
    influxdb.start().await.unwrap();
    influxdb.kill().unwrap();
    influxdb.start().await.unwrap();
    let databases = influxdb.query("", "SHOW DATABASES").await.unwrap().to_string();
    assert!(databases.contains("kept"), "{databases}");
    let folder: PathBuf = influxdb.folder().to_owned();
    let url = influxdb.url();
    drop(influxdb);
    assert!(!folder.exists() && get(&format!("{url}/ping")).await.is_none());
}

#[tokio::test]
async fn victoria_metrics_gives_back_what_was_written() {
    let mut victoria = real_peer!(VictoriaMetrics::start());
    let url = format!("{}/write?precision=ms", victoria.url());
    let line = "a,b=c value=1.5 1795345200000";
    let answer = http_client().unwrap().post(url).body(line).send().await.unwrap();
    assert!(answer.status().is_success());
    let series = victoria.export("a_value").await.unwrap();
    assert_eq!(series[0]["values"], serde_json::json!([1.5]));
    victoria.stop().await.unwrap();
    victoria.start().await.unwrap();
    assert_eq!(victoria.export("a_value").await.unwrap(), series);
}

/// The old API is there only when it is asked for.
#[tokio::test]
async fn etcd_serves_version_2_when_asked() {
    for v2 in [false, true] {
        let etcd = real_peer!(Etcd::start_with(EtcdOptions { v2, ..EtcdOptions::default() }));
        let (status, text) = get(&format!("{}/v2/keys/", etcd.url())).await.unwrap();
        assert_eq!(status == 200, v2, "{text}");
    }
}

/// Of three members two are enough, and one is not.
#[tokio::test]
async fn three_etcds_are_one_cluster() {
    let options = EtcdOptions { v2: true, ..EtcdOptions::default() };
    let [mut one, mut two, three] = real_peer!(Etcd::start_three(options));
    let url = format!("{}/v2/keys/?quorum=true", three.url());
    one.kill().unwrap();
    two.kill().unwrap();
    assert!(get(&url).await.is_none_or(|(status, _)| status >= 500));
    tokio::try_join!(one.start(), two.start()).unwrap();
    // The third has yet to hear of the new leader.
    for _ in 0..10 {
        if get(&url).await.is_some_and(|(status, _)| status == 200) {
            return;
        }
    }
    panic!("there is no leader");
}

/// The name server answers on its port, and the engine is gone when it is dropped.
#[tokio::test]
async fn a_name_server_and_an_engine() {
    let server = real_peer!(Dnsmasq::start(&[]));
    server.set_names("10.0.0.1 a.test\n").unwrap();
    assert!(tokio::net::TcpStream::connect(server.address()).await.is_ok());
    let docker = real_peer!(Docker::start());
    let address = docker.address();
    assert!(docker.get("/info").await.unwrap()["ID"].is_string());
    drop(docker);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_fake_answers_as_told_and_keeps_what_it_was_asked() {
    let mut fake = FakeHttp::start(|request| FakeReply::body(418, &request.target)).await.unwrap();
    let url = format!("{}/x?y=z", fake.url());
    assert_eq!(get(&url).await, Some((418, "/x?y=z".into())));
    fake.stop();
    assert_eq!(get(&url).await, None);
    fake.restart().await.unwrap();
    assert!(get(&url).await.is_some());
    let asked = fake.requests();
    assert_eq!((asked.len(), asked[0].method.as_str()), (2, "GET"));
}
