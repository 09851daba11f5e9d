//! Tests of what the API server asks for, and of credentials that are exchanged under a running
//! client.

use std::path::Path;

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::User,
};
use tempfile::TempDir;

use super::*;

/// The longest wish counts, up to a bound; dates and nonsense are no wishes.
#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_as_long_as_it_asks() {
    let hold_off = HoldOff::default();
    let started = Instant::now();
    for (value, expected) in [("x", 0), ("7", 7), ("3", 7), ("99999", 300)] {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        hold_off.note(&headers);
        let waits = hold_off.0.lock().unwrap().map_or(0, |until| (until - started).as_secs());
        assert_eq!(waits, expected, "{value}");
    }
    hold_off.wait().await;
    assert!(started.elapsed() >= LONGEST_HOLD_OFF);
}

/// A server and the folder of a client's files.
struct Bench {
    api: ApiServer,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        api.write_kubeconfig(folder.path()).unwrap();
        Self { api, folder }
    }

    /// A client that looks at its files with each request; `API` and `FOLDER` stand for what they
    /// are here.
    async fn client(&self, spec: &str) -> Client {
        let folder = self.folder.path().to_str().unwrap();
        let spec = spec.replace("API", &self.api.url()).replace("FOLDER", folder);
        let connector = Connector::take(&mut spec.parse().unwrap()).unwrap();
        client(connector, HoldOff::default(), Duration::ZERO).await.unwrap()
    }

    /// Exchanges a file as Kubernetes does, by another one.
    fn write(&self, name: &str, text: &str) {
        replace(&self.folder.path().join(name), text);
    }
}

fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// What comes of a question.
async fn ask(client: &Client) -> Result<(), String> {
    let request = Request::get("/api/v1/nodes").body(Vec::new()).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(20), client.request_text(request));
    asked.await.expect("an answer in time").map(drop).map_err(|error| sentence(&error))
}

/// A client certificate is renewed once a year, and one that was written before its key is not
/// taken: until the pair is whole the old one is shown.
#[tokio::test]
async fn a_client_certificate_that_is_exchanged() {
    let bench = Bench::new().await;
    let authority = bench.api.authority();
    authority.set_policy(|asked| asked.user == "new");
    let identity = |name: &str| authority.client(User::new(name, &[])).unwrap();
    let (old, new) = (identity("old"), identity("new"));
    bench.write("client.crt", &old.certificate_pem);
    bench.write("client.key", &old.key_pem);
    for spec in [
        "kubernetes:?kubeconfig=FOLDER/kubeconfig&context=admin",
        "kubernetes:API?ca=FOLDER/ca.crt&cert=FOLDER/client.crt&key=FOLDER/client.key",
    ] {
        bench.write("client.crt", &old.certificate_pem);
        bench.write("client.key", &old.key_pem);
        let client = bench.client(spec).await;
        assert!(ask(&client).await.unwrap_err().contains("403"), "{spec}");
        bench.write("client.crt", &new.certificate_pem);
        let error = ask(&client).await.unwrap_err();
        assert!(error.contains("403") && error.contains("old"), "{spec}: {error}");
        bench.write("client.key", &new.key_pem);
        assert_eq!(ask(&client).await, Ok(()), "{spec}");
    }
}

/// Tokens in files are exchanged every hour; those in the kubeconfig itself when somebody logs in
/// anew.
#[tokio::test]
async fn a_token_that_is_exchanged() {
    let bench = Bench::new().await;
    bench.write("token", "expired\n");
    let of_file = bench.client("kubernetes:API?ca=FOLDER/ca.crt&token_file=FOLDER/token").await;
    let kubeconfig = bench.folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let known = bench.api.service_token();
    bench.write("kubeconfig", &text.replace(known, "expired"));
    let of_kubeconfig =
        bench.client("kubernetes:?kubeconfig=FOLDER/kubeconfig&context=heapster").await;
    for client in [&of_file, &of_kubeconfig] {
        assert!(ask(client).await.unwrap_err().contains("401"));
    }
    bench.write("token", &format!("{known}\n"));
    bench.write("kubeconfig", "{");
    assert_eq!(ask(&of_file).await, Ok(()));
    assert!(ask(&of_kubeconfig).await.unwrap_err().contains("401"), "the old one is kept");
    bench.write("kubeconfig", &text);
    assert_eq!(ask(&of_kubeconfig).await, Ok(()));
    std::fs::remove_file(bench.folder.path().join("token")).unwrap();
    assert_eq!(ask(&of_file).await, Ok(()), "a file that is gone is no reason to forget it");
}

/// The cluster's authority is exchanged, and with it the certificate of the server: as soon as the
/// file has it the server is believed again, and not before.
#[tokio::test]
async fn an_authority_that_is_exchanged() {
    let mut bench = Bench::new().await;
    let by_kubeconfig =
        bench.client("kubernetes:?kubeconfig=FOLDER/kubeconfig&context=heapster").await;
    let by_address = bench.client("kubernetes:API?ca=FOLDER/ca.crt&token=heapster-token").await;
    let clients = [by_kubeconfig, by_address];
    for client in &clients {
        assert_eq!(ask(client).await, Ok(()));
    }
    let port = bench.api.url().rsplit(':').next().unwrap().parse().unwrap();
    bench.api.stop().await;
    let options = ApiServerOptions { port, ..ApiServerOptions::default() };
    let renewed = ApiServer::recorded(options).await.unwrap();
    for client in &clients {
        let error = ask(client).await.unwrap_err();
        assert!(error.contains("not trusted"), "{error}");
    }
    bench.write("ca.crt", renewed.authority().cluster_ca_pem());
    for client in &clients {
        assert_eq!(ask(client).await, Ok(()));
    }
}
