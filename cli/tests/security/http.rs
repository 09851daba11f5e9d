//! Who may look, by HTTP.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use heapster_testkit::http::Request;

use crate::support::{Keys, Master, SOON, heapster, printed};

const PAGES: [&str; 8] = [
    "/",
    "/validate",
    "/metrics",
    "/api/v1/clusters",
    "/api/v1/buddies",
    "/api/v1/metric-export-schema",
    "/api/v1/sinks",
    "/api/v1/openapi.json",
];

/// Nothing but the probes is open; who may read does not see the insides, however the path is
/// written.
#[test]
fn each_page_takes_a_credential() {
    let keys = Keys::new();
    let (reader, admin) =
        (keys.token("reader", &["--access", "read"]), keys.token("admin", &["--access", "admin"]));
    let buddy = keys.token("lab", &["--cluster", "lab"]);
    let master = Master::start(&keys.master_options());
    let status = |token: &str, path: &str| master.ask(&keys, token, path).status;
    for path in PAGES {
        let answer = master.ask(&keys, "", path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.body.contains("authorization: Bearer TOKEN"), "{}", answer.body);
        assert!(answer.head.to_lowercase().contains("www-authenticate: bearer"), "{}", answer.head);
        assert_eq!(status("nonsense", path), 401, "{path}");
        assert_eq!(status(&buddy, path), 403, "{path}");
        assert_eq!(status(&reader, path), 200, "{path}");
        assert_eq!(status(&admin, path), 200, "{path}");
    }
    for path in ["/healthz", "/readyz", "/readyz/"] {
        assert_eq!(status("", path), 200, "{path}");
    }
    for path in ["/debug/actors", "/debug/actors/", "/%64ebug/actors", "/debug/../debug/actors"] {
        assert_eq!(status("", path), 401, "{path}");
        assert_ne!(status(&reader, path), 200, "{path}");
    }
    assert_eq!(status(&admin, "/debug/actors"), 200);
    assert_eq!(status("", "/no/such/page"), 401, "what there is is not said");
    for path in
        ["/healthz/../validate", "/healthz/x", "//healthz/..//validate", "/healthz%2f..%2fvalidate"]
    {
        assert_ne!(status("", path), 200, "{path}");
    }
    let answer = master.ask(&keys, &reader, "/debug/actors");
    assert!(answer.body.contains("\\\"reader\\\" has read access"), "{}", answer.body);
}

/// Who may read changes nothing; an admin takes over a list of sinks, and a page in his browser does
/// not, whatever the browser sends along.
#[test]
fn changing_sinks_takes_an_admin() {
    let keys = Keys::new();
    let (reader, admin) =
        (keys.token("reader", &["--access", "read"]), keys.token("admin", &["--access", "admin"]));
    let master = Master::start(&keys.master_options());
    let url = format!("https://localhost:{}/api/v1/sinks", master.http);
    let post = |token: &str, body: &str, more: &[&str]| {
        let mut headers = vec![format!("authorization: Bearer {token}")];
        headers.extend(more.iter().map(|line| (*line).to_owned()));
        let (method, body) = ("POST".to_owned(), body.to_owned());
        let request = Request {
            authorities: keys.read("ca.crt"),
            headers,
            method,
            body,
            ..Request::default()
        };
        request.send(&url).unwrap()
    };
    let list = r#"["log"]"#;
    assert_eq!(post("nonsense", list, &[]).status, 401);
    assert_eq!(post(&reader, list, &[]).status, 403);
    assert_eq!(post(&admin, list, &["origin: https://evil.example"]).status, 403);
    assert_eq!(post(&admin, "log", &[]).status, 400);
    let unknown = post(&admin, r#"["logg"]"#, &[]);
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.contains("the known ones are"), "{}", unknown.body);
    assert!(!master.ask(&keys, &reader, "/api/v1/sinks").body.contains("\"log\""));
    let taken = post(&admin, list, &[]);
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert!(taken.body.contains(r#""added":["log"]"#), "{}", taken.body);
    assert!(master.ask(&keys, &reader, "/api/v1/sinks").body.contains("\"log\""));
}

/// A browser is asked for the token as a password, and sees a page that says what is wrong.
#[test]
fn a_browser_may_give_the_token_as_a_password() {
    let keys = Keys::new();
    keys.token("other", &["--access", "read"]);
    // `echo -n :abc | base64`
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let entry = format!("[[credential]]\nname = 'me'\ntoken = 'sha256:{hash}'\naccess = 'read'\n");
    std::fs::write(keys.path("credentials.toml"), entry).unwrap();
    let master = Master::start(&keys.master_options());
    let url = format!("https://localhost:{}/", master.http);
    let ask = |headers: &[&str]| {
        let headers = headers.iter().map(|line| (*line).to_owned()).collect();
        let request = Request { authorities: keys.read("ca.crt"), headers, ..Request::default() };
        request.send(&url).unwrap()
    };
    assert_eq!(ask(&["authorization: Basic OmFiYw=="]).status, 200);
    let page = ask(&["accept: text/html,*/*"]);
    assert_eq!(page.status, 401);
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    let changes = Request {
        authorities: keys.read("ca.crt"),
        headers: vec!["authorization: Bearer abc".to_owned(), "content-length: 0".to_owned()],
        method: "POST".to_owned(),
        ..Request::default()
    };
    assert_eq!(changes.send(&url).unwrap().status, 403, "reading is not changing");
}

/// Certificates, and the options as the ancestor wrote them.
#[test]
fn certificates_open_the_pages_to_who_is_named() {
    let keys = Keys::new();
    let others = Keys::new();
    for (folder, name) in [(&keys, "alice"), (&keys, "bob"), (&others, "alice")] {
        printed(&["cert", "buddy", &folder.text(""), "--name", name]);
    }
    let (certificate, key, ca) =
        (keys.text("master.crt"), keys.text("master.key"), keys.text("ca.crt"));
    let options = [
        "--tls_cert",
        &certificate,
        "--tls_key",
        &key,
        "--tls_client_ca",
        &ca,
        "--allowed_users",
        "alice,carol",
    ];
    let master = Master::start(&options.map(str::to_owned));
    let ask = |who: Option<(&Keys, &str)>, path: &str| {
        let identity = who.map(|(folder, name)| {
            (folder.read(&format!("{name}.crt")), folder.read(&format!("{name}.key")))
        });
        let request = Request { authorities: keys.read("ca.crt"), identity, ..Request::default() };
        request.send(&format!("https://localhost:{}{path}", master.http)).unwrap().status
    };
    assert_eq!(ask(None, "/validate"), 401);
    assert_eq!(ask(None, "/healthz"), 200);
    assert_eq!(ask(Some((&keys, "alice")), "/debug/actors"), 200);
    assert_eq!(ask(Some((&keys, "bob")), "/validate"), 403);
    assert_eq!(ask(Some((&others, "alice")), "/validate"), 401);
}

/// What never leaves the machine takes no options; a certificate makes it TLS.
#[test]
fn standalone_needs_nothing_on_its_own_machine() {
    let mut open = heapster(&["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"]);
    open.line("http://127.0.0.1:", SOON).unwrap();
    let mut for_all = heapster(&["standalone", "--listen", "0.0.0.0:0"]);
    assert!(!for_all.wait(SOON).unwrap().success());
    assert!(for_all.output().contains("--insecure"), "{}", for_all.output());

    let keys = Keys::new();
    let reader = keys.token("reader", &["--access", "read"]);
    let options = keys.master_options();
    let [http, _] = heapster_testkit::peer::free_ports().unwrap();
    let listen = format!("127.0.0.1:{http}");
    let mut arguments = vec!["standalone", "--listen", &listen, "--resolution", "1s"];
    arguments.extend(options.iter().map(String::as_str));
    let mut encrypted = heapster(&arguments);
    encrypted.line("Ctrl-C ends", SOON).unwrap();
    let ask = |token: &str| {
        let headers = vec![format!("authorization: Bearer {token}")];
        let request = Request { authorities: keys.read("ca.crt"), headers, ..Request::default() };
        request.send(&format!("https://localhost:{http}/api/v1/buddies")).unwrap()
    };
    // Its own buddy needs no credential.
    let connected = || ask(&reader).body.contains("\"connected\":true").then_some(());
    crate::support::eventually(connected, || encrypted.output());
    assert_eq!(ask("x").status, 401);
}

/// Who connects and says nothing, or something that is no TLS, keeps nobody else waiting.
#[test]
fn silent_connections_keep_nobody_waiting() {
    let keys = Keys::new();
    let reader = keys.token("reader", &["--access", "read"]);
    keys.token("lab", &["--cluster", "lab"]);
    let master = Master::start(&keys.master_options());
    let mut silent = Vec::new();
    for number in 0..200_u8 {
        for port in [master.grpc, master.http] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            if number % 2 == 0 {
                // The beginning of a TLS record that never comes.
                stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            }
            silent.push(stream);
        }
    }
    let asked = Instant::now();
    assert_eq!(master.ask(&keys, &reader, "/validate").status, 200);
    let (url, ca, token) = (master.url(), keys.text("ca.crt"), keys.text("lab.token"));
    let options = ["--master", &url, "--master-ca", &ca, "--token-file", &token];
    master.buddy(&options).line("connected to the master", SOON).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(9), "they were waited for");
    drop(silent);
}
