//! Tests of options, addresses and advice.

use heapster_shared::host::Endpoint;

use super::*;
use crate::source::fetch::{TokenSource, Verification};

struct Stub;

impl Document for Stub {
    const KIND: &'static str = "stub";
    const PATH: &'static str = "/stub";
    const SINCE: &'static str = "since 1.9";

    fn read(url: &str, _: &str, _: &mut Shapes, _: &Layouts) -> Result<Readings, FetchError> {
        Err(FetchError::failed(url, "stub"))
    }
}

fn options(text: &str) -> Options {
    text.parse::<Spec>().unwrap().options().unwrap()
}

fn wrong(text: &str) -> String {
    build_in::<Stub>(text.parse().unwrap(), &Given::default()).err().unwrap().to_string()
}

/// A host as the discovery of Kubernetes makes it.
fn host(port: u16) -> Host {
    let mut host = Host::named("node-a");
    host.endpoints = vec![Endpoint {
        kind: ENDPOINT.into(),
        scheme: "https".into(),
        port,
        ..Endpoint::default()
    }];
    host
}

fn base(text: &str, host: &Host) -> String {
    let given = Given { api_server: Some("https://10.96.0.1:443".into()), ..Given::default() };
    options(text).route(&given).unwrap().target(host, "10.0.0.1").base
}

/// What the options say comes before what the host says, and that before what is usual.
#[test]
fn where_a_kubelet_is() {
    let proxied = "/api/v1/nodes/node-a/proxy";
    for (text, expected) in [
        ("stub", "https://10.0.0.1:10251".to_owned()),
        ("stub?port=10255", "http://10.0.0.1:10255".to_owned()),
        ("stub?port=10255&scheme=https", "https://10.0.0.1:10255".to_owned()),
        ("stub?scheme=http", "http://10.0.0.1:10251".to_owned()),
        ("stub?via=apiserver", format!("https://10.96.0.1:443{proxied}")),
        ("stub?proxy=http://127.0.0.1:8001/", format!("http://127.0.0.1:8001{proxied}")),
    ] {
        assert_eq!(base(text, &host(10251)), expected, "{text}");
    }
    assert_eq!(base("stub", &Host::named("a")), "https://10.0.0.1:10250");
    let mut read_only = Host::named("a");
    read_only.endpoints = vec![Endpoint { port: 10255, ..Endpoint::default() }];
    assert_eq!(base("stub", &read_only), "http://10.0.0.1:10255");
}

#[test]
fn the_host_that_a_location_names() {
    let build = |text: &str| build_in::<Stub>(text.parse().unwrap(), &Given::default()).unwrap();
    let own = build("stub:https://10.0.0.7:10250/p?name=node-7").own_host().unwrap();
    assert_eq!((&*own.id, &*own.addresses[0]), ("node-7", "10.0.0.7"));
    assert_eq!(base("stub", &own), "https://10.0.0.1:10250/p");
    let source = build("stub");
    assert!(source.own_host().is_none());
    assert_eq!((source.kind(), source.endpoint_kind()), ("stub", "kubelet"));
}

#[test]
fn options_that_do_not_go_together() {
    for (text, expected) in [
        ("stub?name=a", "`name` needs an address"),
        ("stub:https://h:1?port=7", "write them into the address"),
        ("stub:https://h:1?via=apiserver", "leave out `via`, `proxy` and `kubeconfig`"),
        ("stub?via=apiserver", "kubeconfig=FILE, or the API server's address with proxy=URL"),
        ("stub?kubeconfig=/k", "go with via=apiserver"),
        ("stub?via=apiserver&context=a&proxy=http://h", "without `proxy`"),
        ("stub?via=apiserver&kubeconfig=/k&ca=/a", "the kubeconfig says whom to trust"),
        ("stub?via=apiserver&kubeconfig=/k&tls=skip", "the kubeconfig says whom to trust"),
        ("stub?via=apiserver&kubeconfig=/k&port=7", "knows the ports of kubelets"),
        ("stub:https://h:1?via=apiserver&kubeconfig=/k", "the address is a kubelet's own"),
        ("stub?proxy=h", "write an address such as"),
        ("stub?proxy=ftp://h", "write an address such as"),
        ("stub?proxy=http://h&port=7", "knows the ports of kubelets"),
        ("stub?proxy=http://h&tls=node-name", "a name of its own"),
        ("stub?port=0", "1 to 65535"),
        ("stub?scheme=ftp", "expected `https` or `http`"),
        ("stub?cert=/a", "`cert` needs its `key`"),
        ("stub?ca=/a&tls=skip", "`ca` is of no use"),
        ("stub?colour=red", "unknown option `colour`"),
        ("stub:nonsense", "write an address such as https://10.0.0.7:10250"),
    ] {
        let error = wrong(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// In a pod its service account is used, unless something else is named.
#[test]
fn a_service_account_is_used_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let fetch = |text: &str| options(text).fetch(&Given::in_directory(directory.path())).unwrap();
    let outside = fetch("stub");
    assert!(outside.token.is_none() && outside.authorities.is_empty());
    for name in ["token", "ca.crt"] {
        std::fs::write(directory.path().join(name), "x").unwrap();
    }
    let file = |options: &crate::source::fetch::FetchOptions| match &options.token {
        Some(TokenSource::File(path)) => path.file_name().unwrap().to_str().unwrap().to_owned(),
        _ => String::new(),
    };
    let inside = fetch("stub?tls=node-name");
    assert_eq!((file(&inside), inside.authorities.len()), ("token".to_owned(), 1));
    assert_eq!(inside.verification, Verification::NodeName);
    assert!(fetch("stub?tls=skip").authorities.is_empty());
    assert_eq!(file(&fetch("stub?token_file=/t/other")), "other");
    let by_certificate = fetch("stub?cert=/c&key=/k&ca=/own");
    assert!(by_certificate.token.is_none() && by_certificate.client.is_some());
    assert!(format!("{:?}", by_certificate.authorities).contains("/own"));
}

#[test]
fn errors_say_what_to_do() {
    let status = |status| FetchError::Status {
        url: "u".to_owned(),
        status,
        text: String::new(),
        advice: String::new(),
    };
    let unreachable =
        || FetchError::Unreachable { url: "u".to_owned(), reason: "refused".to_owned() };
    let advise = |text: &str, error| {
        let given = Given { api_server: Some("https://api".into()), ..Given::default() };
        let host = host(10250);
        let target = options(text).route(&given).unwrap().target(&host, "10.0.0.1");
        target.advise::<Stub>(error).to_string()
    };
    for (told, expected) in [
        (advise("stub", status(404)), "u answered 404; kubelets serve this since 1.9"),
        (advise("stub?port=10255", status(400)), "set scheme=https"),
        (advise("stub?via=apiserver", status(404)), "a node of this name"),
        (advise("stub?via=apiserver", status(503)), "unable to reach the kubelet"),
        (advise("stub?port=10255", unreachable()), "leave out scheme and port to ask by TLS"),
    ] {
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(advise("stub", status(403)), "u answered 403");
    for text in ["stub", "stub?via=apiserver"] {
        assert_eq!(advise(text, unreachable()), "u: refused");
    }
}
