//! `heapster check` over good and bad files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::{fs, path::Path, time::Duration};

use heapster_testkit::process::Process;

const SOON: Duration = Duration::from_secs(20);

fn check(text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heapster.toml");
    fs::write(&file, text).unwrap();
    let arguments = ["check".as_ref(), file.as_os_str()];
    let mut process = Process::start(Path::new(env!("CARGO_BIN_EXE_heapster")), arguments).unwrap();
    let status = process.wait(SOON).unwrap();
    (status.success(), process.output())
}

#[test]
fn a_good_file_is_told_back() {
    let (ok, output) = check(
        "resolution = '10s'\nsource = ['cgroup']\n[[sink]]\nkind = 'influxdb'\n\
         location = 'http://127.0.0.1:8086'\npw = 'secret'\ndb = 'k8s'\nrequired = true\n",
    );
    assert!(ok, "{output}");
    assert!(output.contains("sink influxdb:http://127.0.0.1:8086"), "{output}");
    assert!(output.contains("ok for heapster standalone"), "{output}");
    assert!(!output.contains("secret"), "{output}");
    let (ok, output) = check("master = 'http://h:8085'\ninsecure = true\ncluster = 'lab'\n");
    assert!(ok && output.contains("ok for heapster buddy"), "{output}");
}

#[test]
fn a_bad_file_says_where() {
    let cases = [
        ("resolution = '10s'\nresolutoin = '5s'\n", "heapster.toml:2: unknown key `resolutoin`"),
        ("resolution = '1ms'\n", "heapster.toml:1: invalid value '1ms'"),
        ("sink = ['influx:http://h']\n", "unknown sink `influx`; the known ones are"),
        ("[[sink]]\nkind = 'influxdb'\nlocation = 'http://h'\ndbs = 'x'\n", "unknown option `dbs`"),
        ("master = 'http://h:8085'\n", "--insecure"),
        ("cluster = 'lab'\nsource = [\n", "line 2"),
        ("metadata = 'nope'\n", "unknown metadata `nope`; the known ones are kubernetes, none"),
        ("store-label = ['pod_name']\n", "pod_name"),
    ];
    for (text, expected) in cases {
        let (ok, output) = check(text);
        assert!(!ok && output.contains(expected), "wanted {expected:?} in:\n{output}");
    }
}
