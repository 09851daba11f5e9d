//! Secrets do not appear where they do not belong.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use heapster_testkit::{
    peer::{FakeHttp, FakeReply},
    process::Process,
};

use crate::support::{HEAPSTER, Keys, Master, SOON, heapster};

/// Everything, of every library, against what the programs leave out by themselves.
const LOG: &str = "trace,h2=trace,hyper_util=trace,tower=trace,actix_server=trace";
const PAGES: [&str; 10] = [
    "/",
    "/validate",
    "/metrics",
    "/debug/actors",
    "/api/v1/clusters",
    "/api/v1/buddies",
    "/api/v1/sinks",
    "/api/v1/model/",
    "/api/v1/openapi.json",
    "/no/such/page",
];

/// Secrets by what they are for.
type Secrets = BTreeMap<&'static str, String>;

/// Secrets of a master and a buddy that no other text has in it.
fn made_up() -> Secrets {
    let words = ["sink password", "sink token", "kubeconfig", "helper", "consul", "hosts"];
    words.map(|word| (word, format!("s3cr3t-of-the-{}-q7", word.replace(' ', "-")))).into()
}

/// A kubeconfig for a plain server, with a token or a helper that prints one.
fn kubeconfig(path: &Path, server: &str, user: &serde_json::Value) {
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": server } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        "users": [{ "name": "u", "user": user }],
    });
    fs::write(path, config.to_string()).unwrap();
}

/// The words of a process and its children, as everybody on the machine sees them.
fn titles(process: &Process) -> String {
    let mut titles = String::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        let id = entry.file_name().into_string().unwrap();
        if id == process.id().to_string() || parent == Some(&process.id().to_string()) {
            titles.push_str(&fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default());
        }
    }
    titles
}

/// How a secret may be written.
fn shapes(secret: &str) -> Vec<String> {
    let percent = secret.replace('-', "%2D");
    let pairs = ["sink-user", "me", ""].map(|user| STANDARD.encode(format!("{user}:{secret}")));
    let mut shapes = vec![secret.to_owned(), percent, STANDARD.encode(secret)];
    shapes.extend(pairs);
    shapes
}

fn assert_not_in(place: &str, text: &str, secrets: &Secrets) {
    for (what, secret) in secrets {
        for shape in shapes(secret) {
            if let Some(line) = text.lines().find(|line| line.contains(&shape)) {
                panic!("the secret of {what} is in {place}: {line}");
            }
        }
    }
}

/// The configuration file of a master whose sinks have secrets.
fn master_config(keys: &Keys, database: &str, secrets: &Secrets) -> String {
    let (password, token) = (&secrets["sink password"], &secrets["sink token"]);
    let config = format!(
        "sink = ['influxdb:{database}?user=sink-user&pw={password}', \
         'influxdb:{database}?org=o&bucket=b&token={token}']\n"
    );
    fs::write(keys.path("master.toml"), config).unwrap();
    keys.text("master.toml")
}

/// Starts a buddy whose discoveries and sources have secrets, against servers that want none of them.
fn start_buddy(keys: &Keys, master: &Master, api: &str, secrets: &Secrets) -> Process {
    let web = format!("https://localhost:{}", master.http);
    let helper = format!(
        "#!/bin/sh\necho '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"{}\"}}}}'\n",
        secrets["helper"]
    );
    fs::write(keys.path("helper"), helper).unwrap();
    let helper = keys.text("helper");
    let exec = serde_json::json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": [helper],
        "interactiveMode": "Never",
    }});
    kubeconfig(&keys.path("exec.json"), api, &exec);
    let token = serde_json::json!({ "token": secrets["kubeconfig"] });
    kubeconfig(&keys.path("token.json"), api, &token);
    for name in ["consul", "hosts"] {
        fs::write(keys.path(name), &secrets[name]).unwrap();
    }
    let (ca, consul, hosts) = (keys.text("ca.crt"), keys.text("consul"), keys.text("hosts"));
    let list = format!(
        "{{\"items\":[{{\"name\":\"a\",\"ip\":\"127.0.0.1\",\"port\":{},\"scheme\":\"https\"}}]}}",
        master.http
    );
    fs::write(keys.path("hosts.json"), list).unwrap();
    let discoveries = [
        format!("static:{}", keys.text("hosts.json")),
        format!("kubernetes:?kubeconfig={}", keys.text("token.json")),
        format!("consul:{web}?ca={ca}&token_file={consul}"),
    ];
    let events = format!("kubernetes:?kubeconfig={}", keys.text("exec.json"));
    let source = format!("cadvisor:?ca={ca}&token_file={hosts}&scheme=https&port={}", master.http);
    let (url, token) = (master.url(), keys.text("lab.token"));
    let mut arguments = vec![
        "buddy",
        "--cluster",
        "lab",
        "--log",
        LOG,
        "--master",
        &url,
        "--master-ca",
        &ca,
        "--token-file",
        &token,
        "--source",
        &source,
        "--events",
        &events,
        "--resolution",
        "1s",
    ];
    arguments.extend(discoveries.iter().flat_map(|spec| ["--discovery", spec.as_str()]));
    heapster(&arguments)
}

/// Master and buddy use a secret for each thing that has one, at peers that refuse them; then they are
/// looked for everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_do_not_show() {
    let mut secrets = made_up();
    let refuse = |_: &_| FakeReply::body(401, "{\"error\":\"authorization failed\"}");
    let (database, api) =
        (FakeHttp::start(refuse).await.unwrap(), FakeHttp::start(refuse).await.unwrap());
    let keys = Keys::new();
    let admin = keys.token("admin", &["--access", "admin"]);
    secrets.insert("the buddy's token", keys.token("lab", &["--cluster", "lab"]));
    secrets.insert("the admin's token", admin.clone());
    for key in ["master.key", "ca.key"] {
        let pem = keys.read(key);
        secrets.insert(key, pem.lines().nth(1).unwrap().to_owned());
    }
    let config = master_config(&keys, &database.url(), &secrets);
    let mut options = keys.master_options();
    // The last of several counts.
    options.extend(["--config", &config].map(str::to_owned));
    let master = Master::start_logging(LOG, &options);
    let buddy = start_buddy(&keys, &master, &api.url(), &secrets);

    let sent = |peer: &FakeHttp, secret: &str| {
        let requests = peer.requests();
        let shapes = shapes(secret);
        requests.iter().any(|request| {
            let head = format!(
                "{} {:?}",
                request.target,
                request
                    .headers
                    .values()
                    .map(|value| { String::from_utf8_lossy(value.as_bytes()).into_owned() })
                    .collect::<Vec<_>>()
            );
            shapes.iter().any(|shape| head.contains(shape.as_str()))
        })
    };
    let used = || {
        ["sink password", "sink token"].iter().all(|it| sent(&database, &secrets[it]))
            && ["kubeconfig", "helper"].iter().all(|it| sent(&api, &secrets[it]))
            && buddy.output().contains("connected to the master")
            && master.ask(&keys, &admin, "/validate").body.contains("host a: ")
    };
    let deadline = Instant::now() + SOON;
    while !used() {
        let which: Vec<_> = secrets
            .iter()
            .filter(|(_, secret)| !sent(&database, secret) && !sent(&api, secret))
            .collect();
        assert!(Instant::now() < deadline, "not sent: {which:?}\n{}", tail(&buddy.output()));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for path in PAGES {
        for token in [admin.as_str(), &secrets["consul"], &secrets["the buddy's token"]] {
            let answer = master.ask(&keys, token, path);
            assert_not_in(path, &(answer.head + &answer.body), &secrets);
        }
    }
    for log in [master.process.output(), buddy.output()] {
        assert!(log.contains("TRACE"), "a log at its most talkative: {}", tail(&log));
    }
    assert_not_in("the master's log", &master.process.output(), &secrets);
    assert_not_in("the buddy's log", &buddy.output(), &secrets);
    assert_not_in("the titles", &(titles(&master.process) + &titles(&buddy)), &secrets);
    mistakes_repeat_no_secrets(&keys, &secrets);
}

/// Options that cannot be used are told without what is secret in them.
fn mistakes_repeat_no_secrets(keys: &Keys, secrets: &Secrets) {
    let secret = &secrets["sink password"];
    let specs = [
        format!("influxdb:http://h?user=a&pw={secret}&bogus=1"),
        format!("influxdb:http://a:{secret}@h?bogus=1"),
        format!("influxdb:ftp://a:{secret}@h"),
        format!("nodb:http://a:{secret}@h?token={secret}"),
        format!("influxdb:http://h?org=o&bucket=b&token={secret}&retention=x"),
    ];
    for spec in specs {
        let config = format!("insecure = true\nsink = ['{spec}']\n");
        fs::write(keys.path("wrong.toml"), config).unwrap();
        for arguments in [["check"].as_slice(), &["master", "--config"]] {
            let path = keys.text("wrong.toml");
            let mut process = heapster(&[arguments, &[&path]].concat());
            assert!(!process.wait(SOON).unwrap().success(), "{spec}");
            assert_not_in(&format!("the error of {arguments:?}"), &process.output(), secrets);
        }
    }
    let master = format!("https://me:{secret}@h");
    let mut process = Process::start(Path::new(HEAPSTER), ["buddy", "--master", &master]).unwrap();
    assert!(!process.wait(SOON).unwrap().success());
    assert_not_in("the error of --master", &process.output(), secrets);
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.contains("TRACE")).collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
