//! What every pod gives up, what it may take, and where its image is from.

use std::{collections::BTreeMap, fs, path::Path};

use heapster_shared::units::ByteSize;
use serde_json::{Value, json};

use super::{
    render,
    workload::{Container, containers, templates},
};

fn dockerfile() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docker/Dockerfile");
    fs::read_to_string(path).unwrap()
}

/// Nothing runs as root, gains rights, writes to its image, or gets a token that it does not use.
#[test]
fn pods_have_no_rights_that_they_do_not_need() {
    for (base, documents) in render::all() {
        for (_, template) in templates(&documents) {
            let security = &template["spec"]["securityContext"];
            assert_eq!(security["runAsNonRoot"], true, "{base}");
            assert!(security["runAsUser"].as_u64().unwrap() > 0, "{base}");
            assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{base}");
            for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(template["spec"][forbidden].is_null(), "{base}: {forbidden}");
            }
            let volumes = template["spec"]["volumes"].as_array().into_iter().flatten();
            assert!(volumes.into_iter().all(|volume| volume["hostPath"].is_null()), "{base}");
            let asks = template["spec"]["serviceAccountName"].is_string();
            assert_eq!(template["spec"]["automountServiceAccountToken"], asks, "{base}");
            assert_eq!(template["spec"]["enableServiceLinks"], false, "{base}");
        }
        for container in containers(base, &documents) {
            let wanted = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container.value["securityContext"], wanted, "{}", container.title);
        }
    }
}

/// Images are those that the Dockerfile builds, of this version, run as the user that it names.
#[test]
fn images_are_those_that_are_built() {
    let dockerfile = dockerfile();
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    for (base, documents) in render::all() {
        for container in containers(base, &documents) {
            let (image, tag) = container.image_and_tag();
            assert!(!tag.is_empty() && tag != "latest", "{}", container.title);
            if !container.is_own() {
                continue;
            }
            let target = format!(" AS {image}\n");
            assert!(dockerfile.contains(&target), "{}: {image} is not built", container.title);
            let entry = format!("ENTRYPOINT [\"{image}\"]");
            assert!(dockerfile.contains(&entry), "{}: {image} starts what?", container.title);
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{}", container.title);
            let security = &container.template["spec"]["securityContext"];
            let (own, group) = (&security["runAsUser"], &security["runAsGroup"]);
            assert_eq!(format!("{own}:{group}"), user, "{}", container.title);
        }
    }
}

/// The user of each stage of the Dockerfile by its name, its base's where it names none.
fn users(dockerfile: &str) -> BTreeMap<&str, Option<&str>> {
    let mut users: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut stage = "";
    for line in dockerfile.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["FROM", base, "AS", name] => {
                stage = name;
                users.insert(name, users.get(base).copied().flatten());
            }
            ["USER", user] => drop(users.insert(stage, Some(user))),
            _ => {}
        }
    }
    users
}

/// What an image starts has a user of its own, told by its number: a kubelet does not believe a name to
/// be none of root's.
#[test]
fn images_do_not_run_as_root() {
    let dockerfile = dockerfile();
    let users = users(&dockerfile);
    for image in ["heapster", "heapster-master", "heapster-buddy"] {
        let user = users[image].unwrap_or_else(|| panic!("{image} runs as root"));
        let numbers: Vec<u32> = user.split(':').map(|number| number.parse().unwrap()).collect();
        assert!(numbers.len() == 2 && !numbers.contains(&0), "{image} runs as {user}");
    }
    let later = dockerfile.replace("COPY --from=build /out/heapster-buddy", "USER 0:0\nCOPY");
    assert_eq!(self::users(&later)["heapster-buddy"], Some("0:0"), "it is seen");
}

/// Bytes as Kubernetes writes them.
fn bytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().unwrap();
    let size: ByteSize = format!("{text}B").parse().unwrap();
    size.0
}

/// The memory that the options of a container let it take, the program itself left out.
fn bounded(container: &Container<'_>) -> u64 {
    let environment = container.environment();
    let sinks = environment.get("HEAPSTER_SINK").map_or(0, |sinks| sinks.split(' ').count());
    let mib = match container.image() {
        "heapster-buddy" => 64,
        "heapster-master" => 512 + 64 * sinks as u64,
        _ => 64 + 512 + 64 * sinks as u64,
    };
    mib << 20
}

/// A limit below what the options allow would kill the program in an outage, when its queues are
/// full, and a request above the limit is refused.
#[test]
fn memory_limits_hold_what_the_options_allow() {
    for (base, documents) in render::all() {
        for container in containers(base, &documents) {
            let resources = &container.value["resources"];
            let limit = bytes(&resources["limits"]["memory"]);
            assert!(bytes(&resources["requests"]["memory"]) <= limit, "{}", container.title);
            assert!(resources["requests"]["cpu"].is_string(), "{}", container.title);
            assert!(resources["limits"]["cpu"].is_null(), "{}: throttled", container.title);
            if container.is_own() {
                assert!(limit >= bounded(&container) * 3 / 2, "{}", container.title);
            }
        }
    }
}

/// The bounds that [`bounded`] reckons with are the defaults.
#[test]
fn bounds_are_the_defaults() {
    #[derive(clap::Parser)]
    struct Both {
        #[command(flatten)]
        master: heapster_master::args::MasterArgs,
        #[command(flatten)]
        polling: heapster_buddy::args::PollingArgs,
    }
    let both: Both = clap::Parser::parse_from(["both"]);
    assert_eq!(both.master.model_max_bytes, ByteSize::mib(512));
    assert_eq!(both.polling.spool.config().memory_bytes, 64 << 20);
    let on_disk = heapster_buddy::args::SpoolArgs {
        directory: Some("spool".into()),
        ..both.polling.spool.clone()
    };
    assert_eq!(on_disk.config().memory_bytes, 64 << 20);
    let queue = heapster_master::sinks::CommonOptions::default().queue_bytes;
    assert_eq!(queue, ByteSize::mib(64));
}
