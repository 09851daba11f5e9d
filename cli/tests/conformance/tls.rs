//! Buddies of a master that speaks TLS and asks who comes.

use crate::{HEAPSTER, Verdicts, fake_buddy_by};

/// The own buddy, by TLS.
fn own_buddy(proof: &str, options: &str) -> Verdicts {
    let command = format!("{HEAPSTER} buddy --master {{master}} --cluster {{cluster}} {options}");
    Verdicts::of(&["buddy", "--tls", proof, "--command", &command])
}

/// With a token, told by words; every check is tried and passed.
#[test]
fn the_own_buddy_passes_with_a_token() {
    let options = "--master-ca {ca} --token-file {token_file} --source cgroup --source cadvisor";
    let verdicts = own_buddy("token", options);
    verdicts.assert_all_pass();
    for name in ["master-certificate", "credential"] {
        assert_eq!(verdicts.check(name).0, "passed", "{}", verdicts.text);
    }
}

/// With a certificate, told by variables alone.
#[test]
fn the_own_buddy_passes_with_a_certificate() {
    let verdicts = own_buddy("certificate", "--source cgroup --source cadvisor");
    verdicts.assert_all_pass();
    assert_eq!(verdicts.check("credential").0, "passed", "{}", verdicts.text);
}

/// What fails below fails for its fault alone.
#[test]
fn a_faultless_fake_buddy_passes() {
    let verdicts = fake_buddy_by("none", &["--tls", "token"]);
    verdicts.assert_all_pass();
    assert_eq!(verdicts.check("master-certificate").0, "passed", "{}", verdicts.text);
}

/// Each fault fails the check that is meant for it, in its sentence, and no other.
#[test]
fn a_buddy_that_trusts_or_shows_the_wrong_is_found() {
    let cases = [
        ("trusting", "token", "master-certificate", "not signed by the authority in {ca}"),
        ("misled", "token", "master-certificate", "whose certificate is for another name"),
        ("nameless", "token", "credential", "a Control stream came without `authorization`"),
        ("forgetful", "token", "credential", "an Ingest stream came without `authorization`"),
        ("none", "certificate", "credential", "without a client certificate"),
    ];
    let tried = cases
        .map(|case| (std::thread::spawn(move || fake_buddy_by(case.0, &["--tls", case.1])), case));
    for (verdicts, (fault, _, check, sentence)) in tried {
        let verdicts = verdicts.join().unwrap();
        verdicts.assert_failed(check, sentence);
        assert_eq!(verdicts.json["failed"], 1, "{fault}:\n{}", verdicts.text);
    }
}

/// Whoever speaks plain text is told so, and what a run does not have is missed before anything starts.
#[test]
fn plain_text_and_wrong_words_are_told() {
    let buddy = "buddy --insecure --cluster {cluster} --master http://{address}";
    let command = format!("env -u HEAPSTER_MASTER_CA -u HEAPSTER_TOKEN_FILE {HEAPSTER} {buddy}");
    let short = ["--timeout", "5s", "--quiet", "1s"];
    let plain = ["buddy", "--tls", "token", "--command", &command];
    let verdicts = Verdicts::of(&[&plain[..], &short].concat());
    verdicts.assert_failed("master-certificate", "what the buddy sends is no TLS");
    verdicts.assert_failed("handshake", "the last TLS handshake failed");

    let output = std::process::Command::new(HEAPSTER)
        .args(["conformance", "buddy", "--command", "./my-buddy {token_file}"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("that is for --tls token"), "{said}");
}
