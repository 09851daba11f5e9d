//! What a user gets wrong is told in one sentence that says what to set.

use std::fs;

use crate::support::{Keys, Master, SOON, heapster, printed};

/// Options that leave something open that nobody said to be open end the program.
#[test]
fn a_master_does_not_start_half_closed() {
    let keys = Keys::new();
    let (certificate, key, ca) =
        (keys.text("master.crt"), keys.text("master.key"), keys.text("ca.crt"));
    let tls = ["--tls-cert", certificate.as_str(), "--tls-key", key.as_str()];
    let nobody = keys.text("nobody");
    let broken = keys.text("broken.toml");
    fs::write(&broken, "[[credential]]\nname = 'a'\ntoken = 'b'\n").unwrap();
    let cases: [(Vec<&str>, &str); 9] = [
        (vec![], "heapster cert new DIR --host NAME"),
        (tls.to_vec(), "TLS alone keeps nobody out"),
        ([&tls[..], &["--insecure", "--anonymous"]].concat(), "leave one of them out"),
        (vec!["--insecure", "--listen", "0.0.0.0:0"], "--listen is open to others"),
        (vec!["--insecure", "--tls-client-ca", &ca], "--tls-client-ca is for TLS"),
        (vec!["--tls-cert", &certificate], "--tls-cert and --tls-key go together"),
        (
            vec!["--tls-cert", &certificate, "--tls-key", &nobody, "--anonymous"],
            "nobody: No such file",
        ),
        (
            vec!["--tls-cert", &certificate, "--tls-key", &certificate, "--anonymous"],
            "master.crt cannot be used",
        ),
        (vec!["--insecure", "--credentials", &broken], "broken.toml:1: credential `a`"),
    ];
    for (options, expected) in cases {
        let ports = ["master", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"];
        let ports = if options.contains(&"--listen") { &ports[..1] } else { &ports[..] };
        let mut master = heapster(&[ports, &options].concat());
        let status = master.wait(SOON).unwrap();
        let output = master.output();
        assert!(!status.success(), "{options:?}");
        assert!(output.contains(expected), "{options:?}: {output}");
        assert_eq!(output.lines().count(), 1, "{options:?}: {output}");
    }
}

/// What is wrong with a certificate or a credential is in the first line of trouble that a buddy
/// writes.
#[test]
fn a_buddy_is_told_what_to_set() {
    let (keys, others) = (Keys::new(), Keys::new());
    keys.token("lab", &["--cluster", "lab"]);
    keys.token("prod", &["--cluster", "prod"]);
    keys.token("finder", &["--cluster", "lab", "--role", "discovers"]);
    others.token("lab", &["--cluster", "lab"]);
    printed(&["cert", "buddy", others.0.path().to_str().unwrap(), "--name", "me"]);
    let mut options = keys.master_options();
    options.extend(["--tls-client-ca".to_owned(), keys.text("ca.crt")]);
    let master = Master::start(&options);
    let url = master.url();
    let plain = url.replace("https", "http");
    let (ca, other_ca) = (keys.text("ca.crt"), others.text("ca.crt"));
    let file = |name: &str| keys.text(&format!("{name}.token"));
    let (lab, prod, finder) = (file("lab"), file("prod"), file("finder"));
    let (stranger, cert, key) =
        (others.text("lab.token"), others.text("me.crt"), others.text("me.key"));
    let at = ["--master", url.as_str(), "--master-ca", ca.as_str()];
    let with = |more: &[&'static str]| [&at[..], more].concat();
    let with_token = |token| [&at[..], &["--token-file", token]].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (
            vec!["--master", &url, "--token-file", &lab],
            "give that authority's certificate with --master-ca FILE",
        ),
        (vec!["--master", &url, "--master-ca", &other_ca], "is not signed by the authority in "),
        (with(&["--master-name", "other"]), "not for other: connect to a name that it has"),
        (
            vec!["--master", &plain, "--insecure"],
            "begins with https:// where the master has a certificate",
        ),
        (with(&[]), "this master wants to know who connects"),
        (with_token(&stranger), "it was revoked, or made for another master"),
        (with_token(&prod), "\"prod\" does not name the cluster \"lab\""),
        (with_token(&finder), "\"finder\" does not have the role polls"),
        (
            [&at[..], &["--cert", &cert, "--key", &key]].concat(),
            "it is not signed by the authority in the master's --tls-client-ca",
        ),
        (with(&["--cert", "x"]), "--cert and --key go together"),
        (with(&["--insecure"]), "leave out --insecure"),
        (with(&["--token-file", "/no/such/token"]), "cannot read /no/such/token"),
    ];
    for (options, expected) in cases {
        let mut buddy = master.buddy(&options);
        if let Err(error) = buddy.line(expected, SOON) {
            panic!("{options:?}: {error}\n{}", master.process.output());
        }
    }
}

/// The certificate of a master that has expired, and a master that speaks plain text.
#[test]
fn a_master_that_is_not_as_it_should_be_is_told() {
    let keys = Keys::new();
    let (certificate, key) = expired();
    fs::write(keys.path("master.crt"), &certificate).unwrap();
    fs::write(keys.path("master.key"), key).unwrap();
    fs::write(keys.path("old-ca.crt"), certificate).unwrap();
    fs::write(keys.path("credentials.toml"), "").unwrap();
    let master = Master::start(&keys.master_options());
    let (url, ca) = (master.url(), keys.text("old-ca.crt"));
    let mut buddy = master.buddy(&["--master", &url, "--master-ca", &ca]);
    buddy.line("has expired, or the clock here is wrong", SOON).unwrap();

    let plain = Master::start(&["--insecure".to_owned()]);
    let (url, ca) = (plain.url(), keys.text("ca.crt"));
    let mut buddy = plain.buddy(&["--master", &url, "--master-ca", &ca]);
    buddy.line("does not speak TLS: a master that runs with --insecure is", SOON).unwrap();
}

/// A certificate of `localhost` of the year 2020, signed by itself.
fn expired() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 12, 31);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
