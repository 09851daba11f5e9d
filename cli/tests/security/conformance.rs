//! The judge of masters speaks TLS and shows credentials, and a master that asks for them keeps to the
//! protocol.

use crate::support::{Keys, Master, SOON, heapster};

#[test]
fn a_master_with_credentials_keeps_to_the_protocol() {
    let keys = Keys::new();
    keys.token("judge", &["--cluster", "conformance"]);
    let master = Master::start(&keys.master_options());
    let (url, ca, token) = (master.url(), keys.text("ca.crt"), keys.text("judge.token"));
    let fixed = ["conformance", "master", "--quiet", "300ms", "--endpoint", &url];
    let mut judge = heapster(&[&fixed[..], &["--master-ca", &ca, "--token-file", &token]].concat());
    assert!(judge.wait(SOON * 2).unwrap().success(), "{}", judge.output());

    let mut stranger = heapster(&[&fixed[..], &["--master-ca", &ca]].concat());
    assert!(!stranger.wait(SOON).unwrap().success());
    assert!(stranger.output().contains("refused with CREDENTIAL"), "{}", stranger.output());
    let mut mistaken = heapster(&fixed);
    assert!(!mistaken.wait(SOON).unwrap().success());
    assert!(mistaken.output().contains("--master-ca FILE"), "{}", mistaken.output());
}
