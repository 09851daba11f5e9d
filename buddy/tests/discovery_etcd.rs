//! The discovery `etcd` against a real etcd, which these tests start on free ports of the loopback
//! and stop again. Where there is no etcd they say so, and fail only in CI.

#![allow(clippy::unwrap_used)]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use heapster_buddy::discovery::{self, Listing};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any test: what is seen is seen because of the watch.
const INTERVAL: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(40);

macro_rules! tls {
    () => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls/")
    };
}

/// An etcd of its own, with its data in a directory of its own.
struct Etcd {
    process: Option<Child>,
    data: tempfile::TempDir,
    port: u16,
    tls_port: u16,
    peer_port: u16,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that nothing listens on, all held until all are known.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

impl Etcd {
    /// None where etcd is not installed.
    async fn start() -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let [port, tls_port, peer_port] = free_ports();
        let mut etcd = Self { process: None, data, port, tls_port, peer_port };
        if let Err(error) = etcd.run() {
            assert!(std::env::var_os("CI").is_none(), "etcd is needed: {error}");
            tracing::warn!(%error, "there is no etcd to test with");
            return None;
        }
        etcd.client().await;
        Some(etcd)
    }

    fn run(&mut self) -> std::io::Result<()> {
        let client = format!("{},{}", self.url(), self.tls_url());
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let process = Command::new("etcd")
            .arg("--data-dir")
            .arg(self.data.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"])
            .args(["--cert-file", concat!(tls!(), "server.pem")])
            .args(["--key-file", concat!(tls!(), "server-key.pem")])
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.process = Some(process);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn tls_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.tls_port)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client, when etcd answers.
    async fn client(&self) -> Client {
        let trying = async {
            loop {
                let options = ConnectOptions::new().with_connect_timeout(Duration::from_secs(1));
                if let Ok(mut client) = Client::connect([self.url()], Some(options)).await
                    && let Ok(Ok(_)) =
                        tokio::time::timeout(Duration::from_secs(1), client.get("ready", None))
                            .await
                {
                    return client;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, trying).await.expect("etcd to answer in time")
    }
}

fn start(spec: &str) -> (watch::Receiver<Listing>, DropGuard) {
    let spec: heapster_shared::spec::Spec = spec.parse().unwrap();
    let cancel = CancellationToken::new();
    let named = (spec.name(), discovery::build(spec).unwrap());
    let receiver = discovery::spawn(vec![named], Vec::new(), INTERVAL, cancel.clone());
    (receiver, cancel.drop_guard())
}

async fn listed(receiver: &mut watch::Receiver<Listing>, names: &[&str]) -> Listing {
    let same = |listing: &Listing| {
        listing.states[0].ok && listing.hosts.iter().map(|host| &*host.id).eq(names.iter().copied())
    };
    wait(receiver, same).await
}

async fn wait(
    receiver: &mut watch::Receiver<Listing>,
    holds: impl FnMut(&Listing) -> bool,
) -> Listing {
    let waiting = tokio::time::timeout(DEADLINE, receiver.wait_for(holds));
    let listing = waiting.await.map(|listing| listing.unwrap().clone());
    listing.unwrap_or_else(|_| panic!("not in time; it is {:?}", receiver.borrow()))
}

/// Keys that come, change and go are seen; one that cannot be read is left out, and named.
#[tokio::test]
async fn hosts_come_and_go() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut client = etcd.client().await;
    client.put("/heapster/hosts/a", "10.0.0.1:4194", None).await.unwrap();
    client.put("/heapster/other", "10.0.0.9", None).await.unwrap();
    let (mut receiver, _guard) = start(&format!("etcd:{}", etcd.url()));
    let listing = listed(&mut receiver, &["a"]).await;
    assert_eq!(listing.hosts[0].endpoints[0].port, 4194);
    let value = r#"{"ip":"10.0.0.2","labels":{"rack":"7"}}"#;
    client.put("/heapster/hosts/b", value, None).await.unwrap();
    let listing = listed(&mut receiver, &["a", "b"]).await;
    assert_eq!(listing.hosts[1].labels.get("rack"), Some("7"));
    client.put("/heapster/hosts/a", "{\"ip\":", None).await.unwrap();
    let listing = listed(&mut receiver, &["b"]).await;
    let error = &listing.states[0].error;
    assert!(error.starts_with("key /heapster/hosts/a: ") && error.contains("line 1"), "{error}");
    client.put("/heapster/hosts/a", "10.0.0.1", None).await.unwrap();
    let listing = listed(&mut receiver, &["a", "b"]).await;
    assert_eq!(listing.states[0].error, "");
    client.delete("/heapster/hosts/b", None).await.unwrap();
    listed(&mut receiver, &["a"]).await;
}

/// While etcd is away the last good list stands; when it is back, what changed is seen, although
/// the revisions in between were compacted away. One endpoint of two is enough.
#[tokio::test]
async fn an_outage_and_a_compaction_are_survived() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let mut client = etcd.client().await;
    client.put("/h/a", "10.0.0.1", None).await.unwrap();
    let [dead] = free_ports();
    let spec = format!("etcd:http://127.0.0.1:{dead},{}?prefix=/h/", etcd.url());
    let (mut receiver, _guard) = start(&spec);
    listed(&mut receiver, &["a"]).await;
    etcd.stop();
    let listing = wait(&mut receiver, |listing| !listing.states[0].ok).await;
    assert_eq!(listing.hosts.len(), 1);
    assert!(listing.states[0].error.contains(&etcd.url()), "{listing:?}");
    etcd.run().unwrap();
    let mut client = etcd.client().await;
    client.put("/h/b", "10.0.0.2", None).await.unwrap();
    let put = client.put("/h/c", "10.0.0.3", None).await.unwrap();
    client.compact(put.header().unwrap().revision(), None).await.unwrap();
    listed(&mut receiver, &["a", "b", "c"]).await;
    client.delete("/h/a", None).await.unwrap();
    listed(&mut receiver, &["b", "c"]).await;
}

/// With the right password it works; with a wrong one the error says what to look at, and does not
/// show the password.
#[tokio::test]
async fn users_and_passwords() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut client = etcd.client().await;
    client.put("/h/a", "10.0.0.1", None).await.unwrap();
    client.role_add("reader").await.unwrap();
    let read = Permission::new(PermissionType::Read, "/h/").with_prefix();
    client.role_grant_permission("reader", read).await.unwrap();
    for (user, role) in [("root", "root"), ("heapster", "reader")] {
        if role == "root" {
            client.role_add("root").await.unwrap();
        }
        client.user_add(user, "sesame", None).await.unwrap();
        client.user_grant_role(user, role).await.unwrap();
    }
    client.auth_enable().await.unwrap();
    let spec = |password: &str| {
        format!("etcd:{}?prefix=/h/&user=heapster&password={password}", etcd.url())
    };
    let (mut receiver, _guard) = start(&spec("sesame"));
    listed(&mut receiver, &["a"]).await;
    let admin = ConnectOptions::new().with_user("root", "sesame");
    let mut admin = Client::connect([etcd.url()], Some(admin)).await.unwrap();
    admin.put("/h/b", "10.0.0.2", None).await.unwrap();
    listed(&mut receiver, &["a", "b"]).await;
    let file = etcd.data.path().join("password");
    std::fs::write(&file, "sesame\n").unwrap();
    let in_file = spec("").replace("password=", "password_file=") + &file.display().to_string();
    let (mut receiver, _guard) = start(&in_file);
    listed(&mut receiver, &["a", "b"]).await;

    let (mut receiver, _guard) = start(&spec("hunter2"));
    let listing = wait(&mut receiver, |listing| listing.states[0].error.contains("etcd at")).await;
    let error = &listing.states[0].error;
    assert!(
        error.contains("check the user and the password") && !error.contains("hunter2"),
        "{error}"
    );
}

/// A burst of changes is read together, and ends with what is there at last.
#[tokio::test]
async fn a_burst_ends_in_the_last_state() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut client = etcd.client().await;
    let (mut receiver, _guard) = start(&format!("etcd:{}?prefix=/h/", etcd.url()));
    listed(&mut receiver, &[]).await;
    for number in 0..300 {
        client
            .put(format!("/h/n{}", number % 3), format!("10.0.0.{}", number % 250), None)
            .await
            .unwrap();
    }
    client.put("/h/n2", "last", None).await.unwrap();
    let listing = wait(&mut receiver, |listing| {
        listing.hosts.len() == 3 && listing.hosts[2].addresses[0] == "last"
    })
    .await;
    assert!(listing.states[0].ok);
}

/// By TLS it works with the authority that is named, and not without.
#[tokio::test]
async fn by_tls() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut client = etcd.client().await;
    client.put("/h/a", "10.0.0.1", None).await.unwrap();
    let spec = |ca: &str| format!("etcd:{}?prefix=/h/{ca}", etcd.tls_url());
    let (mut receiver, _guard) = start(&spec(concat!("&ca=", tls!(), "ca.pem")));
    listed(&mut receiver, &["a"]).await;
    client.put("/h/b", "10.0.0.2", None).await.unwrap();
    listed(&mut receiver, &["a", "b"]).await;

    let (mut receiver, _guard) = start(&spec(""));
    let listing = wait(&mut receiver, |listing| listing.states[0].error.contains("etcd at")).await;
    let error = &listing.states[0].error;
    assert!(error.contains("certificate"), "{error}");
    let (mut receiver, _guard) = start(&spec("&ca=/no/such/file.pem"));
    let listing = wait(&mut receiver, |listing| listing.states[0].error.contains("etcd at")).await;
    let error = &listing.states[0].error;
    assert!(error.contains("`ca` /no/such/file.pem: No such file"), "{error}");
}
