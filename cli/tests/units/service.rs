//! The service of a single machine, and what opens its page to others.

use std::{fs, process::Command};

use heapster_testkit::process::Process;

use crate::{HEAPSTER, SOON, deploy, verify};

/// The unit of a single machine, alone and with the file beside it that opens its page.
#[test]
fn systemd_takes_the_service_and_what_opens_it() {
    let systemd = deploy().join("systemd");
    let read = |name: &str| fs::read_to_string(systemd.join(name)).unwrap();
    for opened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("heapster.service");
        fs::write(&unit, read("heapster.service").replace("/usr/local/bin/heapster", "/bin/true"))
            .unwrap();
        if opened {
            let place = folder.path().join("heapster.service.d");
            fs::create_dir(&place).unwrap();
            fs::write(place.join("tls.conf"), read("tls.conf")).unwrap();
        }
        verify(folder.path(), &unit);
    }
}

/// What opens the page is what a program takes: the files that it copies are those that its comment
/// makes, and stand in the options.
#[test]
fn what_opens_the_page_takes_the_keys_that_its_comment_makes() {
    let text = fs::read_to_string(deploy().join("systemd/tls.conf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let made = text.lines().filter_map(|line| line.strip_prefix("#   heapster "));
    for line in made {
        let line = line.replace("/etc/heapster/keys", keys.to_str().unwrap());
        let line = line.replace("NAME", "localhost");
        let output = Command::new(HEAPSTER).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let copies = folder.path().join("credentials");
    fs::create_dir(&copies).unwrap();
    let mut run = Command::new(HEAPSTER);
    run.arg("standalone").env_clear().current_dir(folder.path());
    for line in text.lines() {
        if let Some((name, from)) =
            line.strip_prefix("LoadCredential=").and_then(|rest| rest.split_once(':'))
        {
            let from = from.replace("/etc/heapster/keys", keys.to_str().unwrap());
            fs::copy(from, copies.join(name)).unwrap();
        }
        if let Some((name, value)) =
            line.strip_prefix("Environment=").and_then(|rest| rest.split_once('='))
        {
            let value = value.replace("%d", copies.to_str().unwrap());
            run.env(name, value.replace("0.0.0.0:8082", "127.0.0.1:0"));
        }
    }
    let mut process = Process::start_with(&mut run).unwrap();
    if let Err(error) = process.line("page   https://127.0.0.1:", SOON) {
        panic!("{error}\n{}", process.output());
    }
}
