//! Tests of the connection's options and of what is said when files are missing or wrong.

use super::*;

fn take(text: &str) -> Result<Connector, SpecError> {
    Connector::take(&mut text.parse().unwrap())
}

async fn connect_error(text: &str) -> String {
    take(text).unwrap().connect(HoldOff::default()).await.err().unwrap()
}

#[test]
fn wrong_options_are_refused_before_anything_starts() {
    for (text, expected) in [
        ("kubernetes:api:6443", "no address"),
        ("kubernetes:https://u:p@api", "no part of the address"),
        ("kubernetes:https://api?context=a", "not both"),
        ("kubernetes:https://api?cert=/c", "`cert` and `key` go together"),
        ("kubernetes:https://api?token=t&token_file=/t", "not both"),
        ("kubernetes:https://api?tls=off", "`verify` or `skip`"),
        ("kubernetes?ca=/c", "go with an address"),
        ("kubernetes:in-cluster?tls=skip", "go with an address"),
        ("kubernetes:in-cluster?context=a", "takes no kubeconfig"),
    ] {
        let error = take(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains(":p@"), "{error}");
    }
}

/// Options of others stay in the spec, and a token does not show itself.
#[test]
fn only_its_own_options_are_taken() {
    let mut spec: Spec = "kubernetes:https://api?token=hunter2&selector=a".parse().unwrap();
    let connector = Connector::take(&mut spec).unwrap();
    assert_eq!(spec.options, [("selector".to_owned(), "a".to_owned())]);
    assert!(!format!("{connector:?}").contains("hunter2"));
    assert_eq!(connector, take("kubernetes:https://api?token=hunter2").unwrap());
}

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]
";

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let spec = format!("kubernetes:?kubeconfig={}", file.display());
    let error = connect_error(&spec).await;
    assert!(error.contains("No such file") && error.contains("config"), "{error}");
    for (text, expected) in [
        ("", "has no contexts"),
        ("{", "kubeconfig"),
        (KUBECONFIG, "choose one with `context`: one, two"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = connect_error(&spec).await;
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = connect_error(&format!("{spec}&context=three")).await;
    assert!(error.contains("no context `three`; the known ones are one, two"), "{error}");
    let connector = take(&format!("{spec}&context=two")).unwrap();
    assert!(connector.connect(HoldOff::default()).await.is_ok());
}

#[tokio::test]
async fn a_missing_file_is_named() {
    for option in ["ca", "token_file"] {
        let error = connect_error(&format!("kubernetes:https://api?{option}=/none/such")).await;
        assert!(error.contains(&format!("`{option}` /none/such: ")), "{error}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let spec = format!("kubernetes:https://api?ca={}", file.path().display());
    assert!(connect_error(&spec).await.contains("no certificate in it"));
    let error = connect_error("kubernetes:in-cluster").await;
    assert!(error.contains("not a pod with a service account"), "{error}");
}
