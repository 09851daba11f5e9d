//! The real programs with no more rights than the manifests give: nothing that they ask for is
//! refused, and nothing is given that none of them asks for.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use heapster_testkit::{authority::AccessRequest, http, process::Process};
use serde_json::Value;

use super::{
    access::{allowed, built_in},
    lab::Lab,
    render::{self, of_kind},
};

const SOON: Duration = Duration::from_secs(60);

/// What was asked for so far.
#[derive(Default)]
struct Asked {
    granted: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// What all roles allow that an account of these documents is bound to.
fn rights(documents: &[Value]) -> BTreeSet<String> {
    let bindings = ["ClusterRoleBinding", "RoleBinding"];
    let bindings = bindings.iter().flat_map(|kind| of_kind(documents, kind));
    let roles = bindings.map(|binding| binding["roleRef"]["name"].as_str().unwrap());
    roles.flat_map(|role| built_in(role).unwrap_or_else(|| allowed(documents, role))).collect()
}

/// A request in the words of the roles.
fn words(request: &AccessRequest) -> String {
    let AccessRequest { verb, group, resource, subresource, path, .. } = request;
    if resource.is_empty() {
        return format!("{verb} {path}");
    }
    let subresource =
        if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    format!("{verb} {resource}{subresource}{group}")
}

/// Lets the cluster allow what the rights do, and remember.
fn restrict(lab: &Lab, rights: BTreeSet<String>) -> Arc<Mutex<Asked>> {
    let asked = Arc::new(Mutex::new(Asked::default()));
    let remembered = Arc::clone(&asked);
    lab.authority.set_policy(move |request| {
        let words = words(request);
        let allowed = rights.contains(&words);
        let mut asked = remembered.lock().unwrap();
        if allowed { &mut asked.granted } else { &mut asked.refused }.insert(words);
        allowed
    });
    asked
}

/// Polls a condition until it is met.
async fn until(mut met: impl FnMut() -> bool, describe: impl Fn() -> String) {
    let deadline = Instant::now() + SOON;
    while !met() {
        assert!(Instant::now() < deadline, "{}", describe());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs the all-in-one with a source until it has pods and sees events.
async fn watch(lab: &Lab, source: &str, asked: &Mutex<Asked>) {
    let (kubernetes, source) = (lab.kubernetes(), lab.kubelets(source));
    let fixed = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"];
    let polling = ["--discovery", &kubernetes, "--source", &source, "--events", &kubernetes];
    let program = Path::new(env!("CARGO_BIN_EXE_heapster"));
    let mut process = Process::start(program, fixed.iter().chain(&polling)).unwrap();
    let line = process.line("page   http://127.0.0.1:", SOON).unwrap();
    let url = line[line.find("http://").unwrap()..].trim_end_matches('/').to_owned();
    let has_pods = || {
        let answer = http::get(&format!("{url}/api/v1/model/namespaces/")).unwrap();
        answer.body.contains("kube-system")
    };
    let seen = || asked.lock().unwrap().granted.contains("watch events");
    until(|| has_pods() && seen(), || process.output()).await;
    assert!(process.terminate(SOON).unwrap().success(), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_are_those_that_are_needed() {
    let documents = render::render("all-in-one");
    if documents.is_empty() {
        return;
    }
    let lab = Lab::start().await;
    let rights = rights(&documents);
    let asked = restrict(&lab, rights.clone());
    for source in ["summary", "resource", "kubelet-cadvisor"] {
        watch(&lab, source, &asked).await;
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.refused, BTreeSet::new());
    let own = |right: &&String| !built_in_rights().contains(*right);
    let wanted: BTreeSet<&String> = rights.iter().filter(own).collect();
    assert_eq!(asked.granted.iter().collect::<BTreeSet<_>>(), wanted);
}

/// What the API server's own roles allow; the metrics API has its own tests.
fn built_in_rights() -> BTreeSet<String> {
    let roles = ["system:auth-delegator", "extension-apiserver-authentication-reader"];
    roles.iter().filter_map(|role| built_in(role)).flatten().collect()
}
