//! Files that are exchanged while the programs run.

use std::fs;

use crate::support::{Keys, Master, SOON, eventually, printed};

/// A token is taken back and another one given: the buddy is cut off, goes on, and comes back with
/// the other one, without a restart of either side.
#[test]
fn a_token_is_exchanged_without_a_restart() {
    let keys = Keys::new();
    keys.token("old", &["--cluster", "lab"]);
    let reader = keys.token("reader", &["--access", "read"]);
    let master = Master::start(&keys.master_options());
    let (url, ca, token) = (master.url(), keys.text("ca.crt"), keys.text("old.token"));
    let options = ["--master", &url, "--master-ca", &ca, "--token-file", &token];
    let mut buddy = master.buddy(&options);
    let (line, _) = buddy.line_after(0, "connected to the master", SOON).unwrap();
    let shown = || master.ask(&keys, &reader, "/api/v1/buddies").body;
    eventually(|| shown().contains("\"credential\":\"old\"").then_some(()), shown);
    let page = master.ask(&keys, &reader, "/validate").body;
    assert!(page.contains(" by credential old "), "{page}");

    keys.revoke("old");
    let (line, _) = buddy.line_after(line, "it was revoked", SOON).unwrap();
    keys.token("new", &["--cluster", "lab"]);
    fs::rename(keys.path("new.token"), keys.path("old.token")).unwrap();
    buddy.line_after(line, "connected to the master", SOON).unwrap();
    eventually(|| shown().contains("\"credential\":\"new\"").then_some(()), shown);
}

/// A renewed certificate is shown to who connects next; half of a pair, and rubbish, are told once
/// and change nothing.
#[test]
fn a_certificate_is_exchanged_without_a_restart() {
    let keys = Keys::new();
    let reader = keys.token("reader", &["--access", "read"]);
    let mut master = Master::start(&keys.master_options());
    let good = (keys.read("master.crt"), keys.read("master.key"));
    fs::write(keys.path("master.crt"), "rubbish").unwrap();
    let refused = "a file that has changed cannot be used";
    let (line, told) = master.process.line_after(0, refused, SOON).unwrap();
    assert!(told.contains("master.crt"), "{told}");
    assert_eq!(master.ask(&keys, &reader, "/validate").status, 200);
    // Made by another authority, so that it is seen which one is shown.
    let others = Keys::new();
    fs::copy(others.path("master.crt"), keys.path("master.crt")).unwrap();
    let (line, told) = master.process.line_after(line, refused, SOON).unwrap();
    assert!(told.contains("not the key of"), "{told}");
    assert_eq!(master.ask(&keys, &reader, "/validate").status, 200);
    fs::copy(others.path("master.key"), keys.path("master.key")).unwrap();
    master.process.line_after(line, "took over a file that has changed", SOON).unwrap();
    assert_eq!(master.ask(&others, &reader, "/validate").status, 200);
    fs::write(keys.path("master.crt"), good.0).unwrap();
    fs::write(keys.path("master.key"), good.1).unwrap();
    let count = master.process.output().matches(refused).count();
    assert!(count <= 4, "each trouble is told once: {}", master.process.output());
}

/// The authority of clients' certificates is exchanged: those of the one before are let in no more.
#[test]
fn an_authority_is_exchanged_without_a_restart() {
    let (keys, others) = (Keys::new(), Keys::new());
    for folder in [&keys, &others] {
        printed(&["cert", "buddy", &folder.text(""), "--name", "lab"]);
    }
    fs::copy(keys.path("ca.crt"), keys.path("clients.crt")).unwrap();
    let (certificate, key) = (keys.text("master.crt"), keys.text("master.key"));
    let clients = keys.text("clients.crt");
    let options = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &clients];
    let master = Master::start(&options.map(str::to_owned));
    let (url, ca) = (master.url(), keys.text("ca.crt"));
    let buddy = |folder: &Keys| {
        let (cert, key) = (folder.text("lab.crt"), folder.text("lab.key"));
        let at = ["--master", &url, "--master-ca", &ca, "--cert", &cert, "--key", &key];
        master.buddy(&at)
    };
    let mut before = buddy(&keys);
    let (line, _) = before.line_after(0, "connected to the master", SOON).unwrap();
    fs::copy(others.path("ca.crt"), keys.path("clients.crt")).unwrap();
    before.line_after(line, "not signed by the authority", SOON).unwrap();
    buddy(&others).line("connected to the master", SOON).unwrap();
}
