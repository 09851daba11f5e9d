//! The hosts file while the buddy runs: changed, and broken.

use std::fs;

use crate::support::{Api, Lab, Master, eventually};

/// The hosts' entries of the file, to be put together anew.
fn items(lab: &Lab) -> Vec<serde_json::Value> {
    let whole: serde_json::Value = serde_json::from_str(&lab.sim.hosts_json()).unwrap();
    whole["items"].as_array().unwrap().clone()
}

fn file_of(items: &[serde_json::Value]) -> String {
    serde_json::json!({ "items": items }).to_string()
}

/// Names of the hosts that the master has been told of.
fn hosts(api: &Api) -> Vec<String> {
    let clusters = api.get("/api/v1/clusters");
    let hosts = clusters[0]["hosts"].as_array().cloned().unwrap_or_default();
    hosts.iter().map(|host| host["host"]["name"].as_str().unwrap().to_owned()).collect()
}

fn wait_for_hosts(api: &Api, wanted: &[&str]) {
    eventually(
        || (hosts(api) == wanted).then_some(()),
        || format!("{wanted:?}, not {:?}", hosts(api)),
    );
}

/// A host that is added is polled, one that is removed is no host any more, whether the file is
/// replaced by a rename or written in place.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_picked_up() {
    let lab = Lab::start(3, 1, 1).await;
    let items = items(&lab);
    fs::write(&lab.hosts, file_of(&items[..1])).unwrap();
    let master = Master::start(&[]);
    let _buddy = lab.buddy(&master, "lab", &[]);
    let api = master.api();
    wait_for_hosts(&api, &["sim-00000"]);

    let next = lab.folder.path().join("hosts.json.new");
    fs::write(&next, file_of(&items[..2])).unwrap();
    fs::rename(&next, &lab.hosts).unwrap();
    wait_for_hosts(&api, &["sim-00000", "sim-00001"]);
    api.points("/api/v1/model/nodes/sim-00001/metrics/cpu/usage_rate", 1);

    fs::write(&lab.hosts, file_of(&items[1..])).unwrap();
    wait_for_hosts(&api, &["sim-00001", "sim-00002"]);
    api.points("/api/v1/model/nodes/sim-00002/metrics/cpu/usage_rate", 1);
}

/// A file that is half written, broken or gone costs nothing: the hosts stay, their rows go on, and
/// `/validate` says what is wrong where. When it is good again the error is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_the_last_good_list() {
    let lab = Lab::start(2, 1, 1).await;
    let good = lab.sim.hosts_json();
    let master = Master::start(&[]);
    let _buddy = lab.buddy(&master, "lab", &[]);
    let api = master.api();
    let all = ["sim-00000", "sim-00001"];
    wait_for_hosts(&api, &all);

    let broken = "{\"items\": [\n  {\"name\": \"a\", \"ip\": \"10.0.0.1\"},\n  {\"name\": \"b\" \"ip\"}\n]}\n";
    for (content, place) in [
        (
            &good[..good.len() / 2],
            format!("hosts.json: EOF while parsing an object at line 1 column {}", good.len() / 2),
        ),
        (broken, "at line 3 column 16".to_owned()),
    ] {
        fs::write(&lab.hosts, content).unwrap();
        let page = api.validate_says(&place);
        assert!(page.contains("FAILED, 2 hosts"), "{page}");
        assert_eq!(hosts(&api), all);
    }
    fs::remove_file(&lab.hosts).unwrap();
    api.validate_says("No such file");
    let path = "/api/v1/model/nodes/sim-00000/metrics/uptime";
    let before = api.points(path, 1).len();
    api.points(path, before + 2);
    assert_eq!(hosts(&api), all);

    fs::write(&lab.hosts, &good).unwrap();
    api.validate_says("no problems");
}
