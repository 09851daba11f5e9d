//! The discovery `static` on a real filesystem: files that are replaced, linked, broken and mended
//! while it runs.

#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use heapster_buddy::discovery::{self, Listing};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any test: what is seen is seen because of the watch.
const INTERVAL: Duration = Duration::from_secs(3600);

fn hosts_json(names: &[&str]) -> String {
    let items = names.iter().map(|name| format!(r#"{{"name":"{name}","ip":"10.0.0.1"}}"#));
    format!("{{\"items\":[\n{}\n]}}", items.collect::<Vec<_>>().join(",\n"))
}

fn start(path: &Path) -> (watch::Receiver<Listing>, DropGuard) {
    let spec: heapster_shared::spec::Spec = format!("static:{}", path.display()).parse().unwrap();
    let cancel = CancellationToken::new();
    let named = (spec.name(), discovery::build(spec).unwrap());
    let receiver = discovery::spawn(vec![named], Vec::new(), INTERVAL, cancel.clone());
    (receiver, cancel.drop_guard())
}

async fn listed(receiver: &mut watch::Receiver<Listing>, names: &[&str]) -> Listing {
    let same = |listing: &Listing| {
        listing.states[0].ok
            && listing.hosts.iter().map(|host| &*host.name).eq(names.iter().copied())
    };
    wait(receiver, same).await
}

async fn failed(receiver: &mut watch::Receiver<Listing>, text: &str) -> Listing {
    wait(receiver, |listing| !listing.states[0].ok && listing.states[0].error.contains(text)).await
}

async fn wait(
    receiver: &mut watch::Receiver<Listing>,
    holds: impl FnMut(&Listing) -> bool,
) -> Listing {
    let waiting = tokio::time::timeout(Duration::from_secs(20), receiver.wait_for(holds));
    let listing = waiting.await.map(|listing| listing.unwrap().clone());
    listing.unwrap_or_else(|_| panic!("not in time; it is {:?}", receiver.borrow()))
}

/// Writing in place, and renaming another file over it, are both seen.
#[tokio::test]
async fn changes_are_picked_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts.json");
    fs::write(&path, hosts_json(&["a"])).unwrap();
    let (mut receiver, _guard) = start(&path);
    listed(&mut receiver, &["a"]).await;
    fs::write(&path, hosts_json(&["a", "b"])).unwrap();
    listed(&mut receiver, &["a", "b"]).await;
    let other = directory.path().join("hosts.json.new");
    fs::write(&other, hosts_json(&["c"])).unwrap();
    fs::rename(&other, &path).unwrap();
    listed(&mut receiver, &["c"]).await;
}

/// A broken, half-written or deleted file keeps the last good list and says where it is broken; the
/// mended file is read at once.
#[tokio::test]
async fn the_last_good_list_stands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts.json");
    fs::write(&path, hosts_json(&["a", "b"])).unwrap();
    let (mut receiver, _guard) = start(&path);
    let good = listed(&mut receiver, &["a", "b"]).await;
    let whole = hosts_json(&["a", "b", "c"]);
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let broken = failed(&mut receiver, "line 4 column").await;
    assert!(Arc::ptr_eq(&broken.hosts, &good.hosts));
    assert!(broken.states[0].error.starts_with(path.to_str().unwrap()), "{broken:?}");
    assert_eq!(broken.states[0].hosts, 2);
    fs::write(&path, "").unwrap();
    failed(&mut receiver, "the file is empty").await;
    fs::remove_file(&path).unwrap();
    let gone = failed(&mut receiver, "No such file").await;
    assert!(Arc::ptr_eq(&gone.hosts, &good.hosts));
    fs::write(&path, whole).unwrap();
    listed(&mut receiver, &["a", "b", "c"]).await;
}

/// A list that says it is empty is believed.
#[tokio::test]
async fn an_empty_list_is_a_list() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts.json");
    fs::write(&path, hosts_json(&["a"])).unwrap();
    let (mut receiver, _guard) = start(&path);
    listed(&mut receiver, &["a"]).await;
    fs::write(&path, "{\"items\":[]}").unwrap();
    listed(&mut receiver, &[]).await;
}

/// Kubernetes puts a new version of a config map beside the old one, and swaps a symbolic link that
/// the file's own link leads through.
#[tokio::test]
async fn a_config_map_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let version = |name: &str, hosts: &[&str]| {
        let version = directory.path().join(name);
        fs::create_dir(&version).unwrap();
        fs::write(version.join("hosts.yaml"), hosts_json(hosts)).unwrap();
    };
    version("..1", &["a"]);
    symlink("..1", directory.path().join("..data")).unwrap();
    let path = directory.path().join("hosts.yaml");
    symlink("..data/hosts.yaml", &path).unwrap();
    let (mut receiver, _guard) = start(&path);
    listed(&mut receiver, &["a"]).await;
    version("..2", &["a", "b"]);
    symlink("..2", directory.path().join("..data_tmp")).unwrap();
    fs::rename(directory.path().join("..data_tmp"), directory.path().join("..data")).unwrap();
    listed(&mut receiver, &["a", "b"]).await;
}

/// A file whose directory is not there yet is no reason to give up.
#[tokio::test]
async fn the_file_may_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later/hosts.json");
    let (mut receiver, _guard) = start(&path);
    failed(&mut receiver, "No such file").await;
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, hosts_json(&["a"])).unwrap();
    listed(&mut receiver, &["a"]).await;
}

/// Every sample of the documentation is a discovery that can be made.
#[tokio::test]
async fn samples_build() {
    for kind in discovery::KINDS {
        for sample in kind.samples {
            let spec: heapster_shared::spec::Spec = sample.parse().unwrap();
            assert_eq!(spec.kind, kind.name);
            if let Err(error) = discovery::build(spec) {
                panic!("{sample}: {error}");
            }
        }
    }
}
